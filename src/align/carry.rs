//! The files of a model directory that are not weights, and which of them go along to an aligned copy. So does its name.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::plan::Rewrite;
use crate::source::{Below, ModelDir, NAME_FILE};

/// Lists the files below `dir`, except `shards` (relative paths).
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if a directory cannot be read.
pub fn others(dir: &ModelDir, shards: &[PathBuf]) -> Result<Below> {
    let shards: HashSet<&Path> = shards.iter().map(PathBuf::as_path).collect();
    let mut below = dir.below()?;
    below.files.retain(|(path, _)| !shards.contains(path.as_path()));
    below.left_out.retain(|(path, _)| !shards.contains(path.as_path()));
    Ok(below)
}

/// The file that keeps the name of the model in `dir`, if its copy in `to` would get another one.
///
/// # Errors
/// As [`ModelDir::name`].
pub fn name(dir: &ModelDir, to: &Path) -> Result<Option<Rewrite>> {
    let name = dir.name()?;
    let keeps = name.is_empty() || to.file_name().is_some_and(|own| own == name.as_str());
    let file = Rewrite {
        path: to.join(NAME_FILE),
        header: (name + "\n").into_bytes(),
        ranges: Vec::new(),
        tensors: Vec::new(),
        like: 0,
    };
    Ok((!keeps && dir.is_absent(NAME_FILE)).then_some(file))
}
