//! `ggraft inspect`: what a GGUF file or a checkpoint holds and where, as a table or as JSON.
//!
//! Only headers are read, unless digests are wanted. Nothing here knows conversion.

mod hash;
mod json;
mod mixed;
mod set;
mod text;

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use crate::checkpoint::{self, Checkpoint};
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, TypeInfo, Value};
use crate::input::{glimpse, shell_word};
use crate::source::{File, ModelDir, OnHub, is_dir, lfs_pointer, must_exist};

pub use hash::Hashed;
pub(crate) use json::value_json;
pub(crate) use set::{first as first_of_set, open as open_set, read as read_set};
pub(crate) use text::value_text;

/// The block size that phases count in when nobody says otherwise: that of most file systems.
const USUAL_BLOCK: NonZeroU64 = NonZeroU64::new(4096).unwrap();

/// What was found. [`Inspection::write_text`] and [`Inspection::write_json`] show it.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Container format of all files.
    pub format: Format,
    /// Block size in bytes that phases are relative to; 4096 unless set.
    pub block: NonZeroU64,
    /// All files that belong together, in order.
    pub files: Vec<InspectedFile>,
    /// Key-values of all files; where two files share a key, the first file's value.
    pub metadata: KeyValues,
    /// Tensors by file; in a GGUF file in its order, in a safetensors file by name.
    pub tensors: Vec<InspectedTensor>,
    /// SHA-256 of the data of all tensors, if it was [computed](Inspection::hash).
    pub sha256: Option<String>,
}

/// Container formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Format {
    Gguf,
    Safetensors,
    Torch,
}

impl Format {
    /// Name as it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
            Self::Torch => "torch",
        }
    }
}

/// One file.
#[derive(Clone, Debug)]
pub struct InspectedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Where tensor data starts, in bytes from the start of the file.
    pub data_start: u64,
    /// Alignment of tensor data in bytes; `None` for safetensors, which has none.
    pub alignment: Option<u64>,
    /// How many bytes of the padding behind its last tensor it lacks, which llama.cpp does not mind.
    pub missing_padding: u64,
    /// SHA-256 of the data of its tensors, if it was [computed](Inspection::hash).
    pub sha256: Option<String>,
}

/// One tensor.
#[derive(Clone, Debug)]
pub struct InspectedTensor {
    /// Name.
    pub name: String,
    /// Type in the format's spelling.
    pub kind: Cow<'static, str>,
    /// Dimensions, outermost first in both formats.
    pub shape: Vec<u64>,
    /// Index into [`Inspection::files`].
    pub file: usize,
    /// First byte, from the start of the file.
    pub offset: u64,
    /// Length in bytes without padding; `None` for GGUF types that are not known.
    pub bytes: Option<u64>,
    /// SHA-256 of its data, if it was [computed](Inspection::hash).
    pub sha256: Option<String>,
}

/// Reads the headers of `path`: a model directory or a repository on a hub, a safetensors file, or a GGUF file. Any file of a
/// split GGUF stands for the whole set.
///
/// # Errors
/// Those of [`Checkpoint::open`] and [`crate::gguf::read`]; [`Error::Invalid`] for a set that is incomplete or put together from
/// several.
pub fn inspect(path: &Path) -> Result<Inspection> {
    inspect_on_hub(path, &OnHub::default())
}

/// As [`inspect`], with what else is said about a repository on a hub.
///
/// # Errors
/// As [`inspect`], and those of [`ModelDir::find`].
pub fn inspect_on_hub(path: &Path, on_hub: &OnHub) -> Result<Inspection> {
    if ModelDir::is_on_hub(path, on_hub)? {
        return checkpoint_dir(&ModelDir::find(path, on_hub)?);
    }
    if is_dir(path)? {
        return checkpoint_dir(&ModelDir::open(path)?);
    }
    must_exist(path)?;
    let file = File::open(path)?;
    let start = file.read_range(0, file.len().min(64))?;
    let is_called = |what: &str| path.extension().is_some_and(|extension| extension == what);
    if start.starts_with(b"GGUF") || is_called("gguf") {
        gguf_set(path)
    } else if is_called("safetensors") || checkpoint::may_begin(&start) {
        safetensors_file(&file)
    } else {
        Err(neither(path, &start))
    }
}

/// What to say of a file that begins with `start`, of which nothing can be shown.
fn neither(path: &Path, start: &[u8]) -> Error {
    let problem =
        format!("expected a GGUF or a safetensors file, or a model's directory, found {}", glimpse(start));
    let error = lfs_pointer(path, start).unwrap_or_else(|| Error::invalid(path, problem));
    match start {
        [b'P', b'K', ..] => {
            let dir = shell_word(&ggraft_platform::parent(path).to_string_lossy());
            error.hint(format!("if it is a model's, `ggraft inspect {dir}` shows all of that model"))
        }
        _ => error,
    }
}

fn empty(format: Format) -> Inspection {
    let (files, tensors) = (Vec::new(), Vec::new());
    Inspection { format, block: USUAL_BLOCK, files, metadata: KeyValues::new(), tensors, sha256: None }
}

/// Adds what an earlier file has not said already.
fn merge(metadata: &mut KeyValues, key: String, value: Value) {
    if metadata.get(&key).is_none() {
        metadata.set(key, value);
    }
}

fn checkpoint_dir(dir: &ModelDir) -> Result<Inspection> {
    let mut found = empty(Format::Safetensors);
    let checkpoint = Checkpoint::open_with(dir, |file| {
        for (key, value) in file.metadata.iter().flatten() {
            merge(&mut found.metadata, key.clone(), Value::String(value.clone().into_bytes()));
        }
    })?;
    if checkpoint.format == checkpoint::Format::Torch {
        found.format = Format::Torch;
    }
    found.files = (checkpoint.files.into_iter())
        .map(|f| InspectedFile {
            path: f.path,
            bytes: f.len,
            data_start: f.data_start,
            alignment: None,
            missing_padding: 0,
            sha256: None,
        })
        .collect();
    found.tensors = (checkpoint.tensors.into_iter())
        .map(|t| InspectedTensor {
            name: t.name,
            kind: t.dtype.name().into(),
            shape: t.shape.to_vec(),
            file: t.file,
            offset: t.offset,
            bytes: Some(t.len),
            sha256: None,
        })
        .collect();
    Ok(found)
}

fn safetensors_file(source: &File) -> Result<Inspection> {
    let mut found = empty(Format::Safetensors);
    let file = checkpoint::read_file(source)?;
    for (key, value) in file.metadata.into_iter().flatten() {
        found.metadata.set(key, Value::String(value.into_bytes()));
    }
    let (bytes, data_start) = (file.len, file.data_start);
    found.files.push(InspectedFile {
        path: source.path().to_owned(),
        bytes,
        data_start,
        alignment: None,
        missing_padding: 0,
        sha256: None,
    });
    found.tensors = (file.tensors.into_iter())
        .map(|t| InspectedTensor {
            name: t.name,
            kind: t.dtype.name().into(),
            shape: t.shape.to_vec(),
            file: 0,
            offset: data_start + t.begin,
            bytes: Some(t.end - t.begin),
            sha256: None,
        })
        .collect();
    Ok(found)
}

fn gguf_set(path: &Path) -> Result<Inspection> {
    let mut found = empty(Format::Gguf);
    for (path, gguf) in set::read(path)? {
        let (file, missing_padding) =
            (found.files.len(), gguf.missing_padding().map_or(0, |(_, missing)| missing));
        for (key, value) in gguf.metadata {
            merge(&mut found.metadata, key, value);
        }
        found.tensors.extend(gguf.tensors.into_iter().map(|t| {
            InspectedTensor {
                name: t.name,
                kind: TypeInfo::of(t.type_id)
                    .map_or_else(|| format!("type {}", t.type_id).into(), |info| info.name.into()),
                shape: t.shape,
                file,
                offset: t.offset,
                bytes: t.len,
                sha256: None,
            }
        }));
        let alignment = Some(gguf.alignment);
        found.files.push(InspectedFile {
            path,
            bytes: gguf.len,
            data_start: gguf.data_start,
            alignment,
            missing_padding,
            sha256: None,
        });
    }
    Ok(found)
}
