//! The files of a model directory that are not weights, and which of them go along to an aligned copy.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::source::{Below, ModelDir};

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
