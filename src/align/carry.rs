//! The files of a model directory that are not weights, and which of them belong to the model.
//!
//! A model directory comes from strangers: a symlink in it may point at anything on this machine, and
//! what is carried along may be published next. So only what lies in the directory is carried, and what
//! the Hugging Face cache keeps beside it.

use std::collections::HashSet;
use std::fs::{self, FileType};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Directories at the top that tell of the original files, which aligned ones are not.
const ABOUT_ORIGINALS: [&str; 2] = [".git", ".cache"];

/// What a model directory holds besides its weights.
#[derive(Clone, Debug, Default)]
pub struct Others {
    /// Files to carry along with their lengths in bytes; paths are relative to the directory.
    pub files: Vec<(PathBuf, u64)>,
    /// What is left out, and why.
    pub left_out: Vec<(PathBuf, &'static str)>,
}

/// Lists the files below `dir`, except `shards` (relative paths).
///
/// # Errors
/// [`Error::Io`] if a directory cannot be read.
pub fn others(dir: &Path, shards: &[PathBuf]) -> Result<Others> {
    let shards: HashSet<&PathBuf> = shards.iter().collect();
    let homes = homes(dir).map_err(|e| Error::io("cannot resolve", dir, e))?;
    let mut others = Others::default();
    let mut pending = vec![PathBuf::new()];
    while let Some(below) = pending.pop() {
        let here = dir.join(&below);
        let unreadable = |e| Error::io("cannot list", &here, e);
        for entry in fs::read_dir(&here).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = below.join(entry.file_name());
            let kind = entry.file_type().map_err(unreadable)?;
            if shards.contains(&path) {
                continue;
            }
            if kind.is_dir() {
                match ABOUT_ORIGINALS.iter().any(|name| path == Path::new(name)) {
                    true => others.left_out.push((path, "is about the original files")),
                    false => pending.push(path),
                }
                continue;
            }
            match regular(&dir.join(&path), kind, &homes) {
                Ok(len) => others.files.push((path, len)),
                Err(why) => others.left_out.push((path, why)),
            }
        }
    }
    others.files.sort_unstable();
    others.left_out.sort_unstable();
    Ok(others)
}

/// Where files of the model may really be: the directory, and the blobs of a Hugging Face cache if the
/// directory is one of its snapshots.
fn homes(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let dir = dir.canonicalize()?;
    let snapshots = dir.parent().filter(|p| p.file_name().is_some_and(|name| name == "snapshots"));
    let blobs = snapshots.and_then(Path::parent).map(|cache| cache.join("blobs"));
    Ok([Some(dir.clone()), blobs].into_iter().flatten().collect())
}

/// The length of the file that `path` is or leads to, if it may be carried along.
fn regular(path: &Path, kind: FileType, homes: &[PathBuf]) -> Result<u64, &'static str> {
    const LOST: &str = "is a symlink that leads nowhere";
    if kind.is_symlink() {
        let target = path.canonicalize().map_err(|_| LOST)?;
        if !homes.iter().any(|home| target.starts_with(home)) {
            return Err("is a symlink that leads out of the model directory");
        }
    }
    let target = fs::metadata(path).map_err(|_| LOST)?;
    if target.is_file() {
        Ok(target.len())
    } else if target.is_dir() {
        Err("is a symlink to a directory")
    } else {
        Err("is not a regular file")
    }
}
