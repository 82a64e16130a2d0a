//! Which files of a model directory hold its tensors.
//!
//! The choice is the reference's (`get_model_part_names` and `index_tensors` in conversion/base.py):
//! what `model.safetensors.index.json` names, else every `model*.safetensors`, else the same with
//! `pytorch_model*.bin`. In Mistral's own format it is every `consolidated*.safetensors`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::Format;
use super::index::{self, Index};
use super::numbering;
use crate::error::{Error, Result};
use crate::input::{listed, quoted};
use crate::source::ModelDir;

const INDEX: &str = "model.safetensors.index.json";
const TORCH_INDEX: &str = "pytorch_model.bin.index.json";
/// How names of the files start and end.
const CONSOLIDATED: (&str, &str) = ("consolidated", ".safetensors");
const TORCH: (&str, &str) = ("pytorch_model", ".bin");

/// The files of a checkpoint in the order they are indexed, and the index if there is one.
pub struct Parts {
    pub format: Format,
    pub names: Vec<PathBuf>,
    pub index: Option<(PathBuf, Index)>,
    /// What the numbers in their names say against there being all of them, if nothing else tells.
    pub incomplete: Option<String>,
}

/// Finds the files of the checkpoint in `dir`.
pub fn parts(dir: &ModelDir) -> Result<Parts> {
    let names = dir.list("")?;
    let has = |file: &str| names.iter().any(|name| name == file);
    if has(INDEX) {
        return indexed(dir, INDEX, Format::Safetensors);
    }
    if let Some(parts) = listed_parts(&names, ("model", ".safetensors"), Format::Safetensors) {
        return Ok(parts);
    }
    let torch = match has(TORCH_INDEX) {
        true => Some(indexed(dir, TORCH_INDEX, Format::Torch)?),
        false => listed_parts(&names, TORCH, Format::Torch),
    };
    match (torch, names.iter().any(|name| matches(name, CONSOLIDATED))) {
        (Some(parts), false) => Ok(parts),
        (Some(parts), true) => {
            tracing::warn!(
                "pytorch_model*.bin is read; consolidated*.safetensors, the model in Mistral's own format, is read with \
                 --mistral-format"
            );
            Ok(parts)
        }
        (None, true) => Err(Error::unsupported("holds consolidated*.safetensors, Mistral's own format")
            .at(dir.path())
            .hint("ggraft convert reads it with --mistral-format")),
        (None, false) => Err(no_weights(dir, &names)),
    }
}

/// Finds the files of the checkpoint in `dir`, which is in Mistral's own format: that has no index.
pub fn consolidated(dir: &ModelDir) -> Result<Parts> {
    let names = dir.list("")?;
    listed_parts(&names, CONSOLIDATED, Format::Safetensors)
        .or_else(|| listed_parts(&names, TORCH, Format::Torch))
        .ok_or_else(|| no_weights(dir, &names))
}

/// What to say of a directory without weights: perhaps they are still on their way. `hf download` keeps unfinished files
/// beside the others, or below `.cache`.
fn no_weights(dir: &ModelDir, names: &[OsString]) -> Error {
    const UNFINISHED: &str = ".incomplete";
    let below = dir.list(".cache/huggingface/download").unwrap_or_default();
    match names.iter().chain(&below).find(|name| matches(name, ("", UNFINISHED))) {
        Some(name) => {
            let problem =
                format!("no weights here but an unfinished download, {}", quoted(&name.to_string_lossy()));
            Error::invalid(dir.path(), problem)
                .hint("finish it: the same `hf download` goes on where it stopped")
        }
        None => Error::NoWeights { dir: dir.path().to_owned() },
    }
}

fn matches(name: &OsStr, (prefix, suffix): (&str, &str)) -> bool {
    let bytes = name.as_encoded_bytes();
    bytes.starts_with(prefix.as_bytes()) && bytes.ends_with(suffix.as_bytes())
}

/// All files that start and end so, if there are any.
fn listed_parts(names: &[OsString], ends: (&str, &str), format: Format) -> Option<Parts> {
    let names: Vec<_> = names.iter().filter(|name| matches(name, ends)).collect();
    let incomplete = numbering::problem(names.iter().filter_map(|name| name.to_str()));
    let names: Vec<_> = names.into_iter().map(PathBuf::from).collect();
    (!names.is_empty()).then_some(Parts { format, names, index: None, incomplete })
}

/// The files that an index names. Those that are missing are all told at once.
fn indexed(dir: &ModelDir, name: &str, format: Format) -> Result<Parts> {
    let path = dir.join(name);
    let index = index::read(dir, name)?;
    let mut missing = Vec::new();
    for name in &index.files {
        if dir.is_absent(name) {
            missing.push(name.as_str());
        }
    }
    if !missing.is_empty() {
        let (count, all) = (missing.len(), index.files.len());
        let names = listed(missing);
        return Err(Error::invalid(&path, format!("{count} of {all} files it names are missing: {names}")));
    }
    let names = index.files.iter().map(PathBuf::from).collect();
    Ok(Parts { format, names, index: Some((path, index)), incomplete: None })
}
