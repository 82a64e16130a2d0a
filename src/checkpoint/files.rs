//! Which files of a model directory hold its tensors.
//!
//! The choice is the reference's (`get_model_part_names` and `index_tensors` in conversion/base.py):
//! what `model.safetensors.index.json` names, else every `model*.safetensors`, else the same with
//! `pytorch_model*.bin`.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Format;
use super::index::{self, Index};
use crate::error::{Error, Result};
use crate::input::listed;

const INDEX: &str = "model.safetensors.index.json";
const TORCH_INDEX: &str = "pytorch_model.bin.index.json";

/// The files of a checkpoint in the order they are indexed, and the index if there is one.
pub struct Parts {
    pub format: Format,
    pub paths: Vec<PathBuf>,
    pub index: Option<(PathBuf, Index)>,
}

/// Finds the files of the checkpoint in `dir`.
pub fn parts(dir: &Path) -> Result<Parts> {
    let (mut safetensors, mut torch) = (Vec::new(), Vec::new());
    let (mut has_index, mut has_torch_index, mut has_mistral) = (false, false, false);
    for entry in fs::read_dir(dir).map_err(|e| Error::io("cannot open the model directory", dir, e))? {
        let name = entry.map_err(|e| Error::io("cannot list the model directory", dir, e))?.file_name();
        let matches = |prefix: &str, suffix: &str| {
            let bytes = name.as_encoded_bytes();
            bytes.starts_with(prefix.as_bytes()) && bytes.ends_with(suffix.as_bytes())
        };
        has_index |= name == INDEX;
        has_torch_index |= name == TORCH_INDEX;
        has_mistral |= matches("consolidated", ".safetensors");
        if matches("model", ".safetensors") {
            safetensors.push(name);
        } else if matches("pytorch_model", ".bin") {
            torch.push(name);
        }
    }
    if has_index {
        return indexed(dir, INDEX, Format::Safetensors);
    }
    if !safetensors.is_empty() {
        return Ok(listed_parts(dir, safetensors, Format::Safetensors));
    }
    if has_mistral {
        return Err(Error::Unsupported(format!(
            "{}: holds consolidated*.safetensors, Mistral's own format, which is not supported yet; \
             use the Hugging Face version of the model (model*.safetensors)",
            dir.display()
        )));
    }
    if has_torch_index {
        return indexed(dir, TORCH_INDEX, Format::Torch);
    }
    if !torch.is_empty() {
        return Ok(listed_parts(dir, torch, Format::Torch));
    }
    Err(Error::NoWeights { dir: dir.to_owned() })
}

/// All files of a kind, by name.
fn listed_parts(dir: &Path, mut names: Vec<OsString>, format: Format) -> Parts {
    names.sort_unstable_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    Parts { format, paths: names.iter().map(|name| dir.join(name)).collect(), index: None }
}

/// The files that an index names. Those that are missing are all told at once.
fn indexed(dir: &Path, name: &str, format: Format) -> Result<Parts> {
    let path = dir.join(name);
    let index = index::read(&path)?;
    let missing: Vec<&str> = (index.files.iter().map(String::as_str))
        .filter(|name| {
            let absent = [ErrorKind::NotFound, ErrorKind::NotADirectory, ErrorKind::InvalidFilename];
            fs::symlink_metadata(dir.join(name)).is_err_and(|e| absent.contains(&e.kind()))
        })
        .collect();
    if !missing.is_empty() {
        let (count, all) = (missing.len(), index.files.len());
        let names = listed(missing);
        return Err(Error::invalid(&path, format!("{count} of {all} files it names are missing: {names}")));
    }
    let paths = index.files.iter().map(|name| dir.join(name)).collect();
    Ok(Parts { format, paths, index: Some((path, index)) })
}
