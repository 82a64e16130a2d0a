//! Which files of a model directory hold its tensors.
//!
//! The choice is the reference's (`get_model_part_names` and `index_tensors` in conversion/base.py):
//! what `model.safetensors.index.json` names, else every `model*.safetensors`.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::index::{self, Index};
use crate::error::{Error, Result};
use crate::input::listed;

const INDEX: &str = "model.safetensors.index.json";

/// The files of a checkpoint in the order they are indexed, and the index if there is one.
pub struct Parts {
    pub paths: Vec<PathBuf>,
    pub index: Option<(PathBuf, Index)>,
}

/// Finds the files of the checkpoint in `dir`.
pub fn parts(dir: &Path) -> Result<Parts> {
    let mut models = Vec::new();
    let (mut has_index, mut has_mistral, mut has_pytorch) = (false, false, false);
    for entry in fs::read_dir(dir).map_err(|e| Error::io("cannot open the model directory", dir, e))? {
        let name = entry.map_err(|e| Error::io("cannot list the model directory", dir, e))?.file_name();
        let matches = |prefix: &str, suffix: &str| {
            let bytes = name.as_encoded_bytes();
            bytes.starts_with(prefix.as_bytes()) && bytes.ends_with(suffix.as_bytes())
        };
        has_index |= name == INDEX;
        has_mistral |= matches("consolidated", ".safetensors");
        has_pytorch |= matches("pytorch_model", ".bin");
        if matches("model", ".safetensors") {
            models.push(name);
        }
    }
    if has_index {
        return indexed(dir);
    }
    if !models.is_empty() {
        models.sort_unstable_by(|a: &OsString, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
        return Ok(Parts { paths: models.iter().map(|name| dir.join(name)).collect(), index: None });
    }
    let dir_name = dir.display();
    if has_mistral {
        return Err(Error::Unsupported(format!(
            "{dir_name}: holds consolidated*.safetensors, Mistral's own format, which is not supported yet; \
             use the Hugging Face version of the model (model*.safetensors)"
        )));
    }
    if has_pytorch {
        return Err(Error::Unsupported(format!(
            "{dir_name}: holds pytorch_model*.bin (PyTorch pickles), which is not supported; \
             convert the weights to safetensors first"
        )));
    }
    Err(Error::NoWeights { dir: dir.to_owned() })
}

/// The files that the index names. Those that are missing are all told at once.
fn indexed(dir: &Path) -> Result<Parts> {
    let path = dir.join(INDEX);
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
    Ok(Parts { paths, index: Some((path, index)) })
}
