//! What llama.cpp's loader demands of a file beyond what the reader of files does, so that "llama.cpp will refuse this" is known
//! before: keys and their types, the vocabulary, and for the architectures in `demands.txt` every tensor and its shape.

mod keys;
mod tensors;
mod vocabulary;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::gguf::{Gguf, TypeInfo, Value};
use crate::input::quoted;

/// What every file must have to be compared with anything.
///
/// # Errors
/// [`Error::Invalid`] naming file and tensor.
pub fn check(files: &[(PathBuf, Gguf)]) -> Result<()> {
    let mut names = HashSet::new();
    for (path, gguf) in files {
        for tensor in &gguf.tensors {
            let (name, id) = (quoted(&tensor.name), tensor.type_id);
            let problem = if TypeInfo::of(id).is_none() {
                format!("tensor {name} is of unknown type {id}")
            } else if !names.insert(tensor.name.as_str()) {
                format!("tensor {name} is in another file of the set, too")
            } else {
                continue;
            };
            return Err(Error::invalid(path, problem).tensor(&tensor.name));
        }
    }
    let Some((path, first)) = files.first() else { return Ok(()) };
    architecture(path, first).map(drop)
}

/// What llama.cpp's loader demands of a whole model.
///
/// # Errors
/// [`Error::Invalid`] naming file, and key or tensor.
pub fn check_model(files: &[(PathBuf, Gguf)]) -> Result<()> {
    let Some((path, first)) = files.first() else { return Ok(()) };
    let arch = architecture(path, first)?;
    // Projectors and adapters have other loaders; a vocabulary alone is loaded by itself.
    let adapter = first.metadata.get("general.type") == Some(&Value::String(b"adapter".to_vec()));
    if arch == "clip" || adapter || files.iter().all(|(_, gguf)| gguf.tensors.is_empty()) {
        return Ok(());
    }
    let refused = |problem: String| Error::invalid(path, format!("llama.cpp does not load this: {problem}"));
    let keys = keys::Keys { metadata: &first.metadata, arch };
    keys.check().map_err(refused)?;
    let tokens = vocabulary::check(&keys).map_err(refused)?;
    tensors::check(&keys, tokens, files).map_err(|(name, problem)| match name {
        Some(name) => refused(problem).tensor(name),
        None => refused(problem),
    })
}

fn architecture<'a>(path: &Path, first: &'a Gguf) -> Result<&'a str> {
    let refused = |problem| {
        Error::invalid(path, format!("general.architecture {problem}, so llama.cpp does not load it"))
    };
    match first.metadata.get("general.architecture") {
        Some(Value::String(arch)) => std::str::from_utf8(arch).map_err(|_| refused("is not UTF-8")),
        Some(_) => Err(refused("is not a string")),
        None => Err(refused("is missing")),
    }
}
