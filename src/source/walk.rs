//! Everything below a model directory: what belongs to the model and may be taken along, and what must stay.

use std::fs::{self, FileType};
use std::path::{Path, PathBuf};

use super::local;
use crate::error::{Error, Result};

/// What lies below a model directory. All paths are relative to it, in order.
#[derive(Clone, Debug, Default)]
pub struct Below {
    /// Files, with their lengths in bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// What must not be followed.
    pub left_out: Vec<LeftOut>,
}

/// A path and why it is left out: "is a symlink …".
pub type LeftOut = (PathBuf, &'static str);

/// Directories at the top that tell of the original files.
const ABOUT_ORIGINALS: [&str; 2] = [".git", ".cache"];

/// Lists all files below `root` that are in one of `homes`.
pub fn below(root: &Path, homes: &[PathBuf]) -> Result<Below> {
    let mut below = Below::default();
    let mut pending = vec![PathBuf::new()];
    while let Some(dir) = pending.pop() {
        let here = root.join(&dir);
        let unreadable = |e| Error::io("cannot list", &here, e);
        for entry in fs::read_dir(&here).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = dir.join(entry.file_name());
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                match ABOUT_ORIGINALS.iter().any(|name| path == Path::new(name)) {
                    true => below.left_out.push((path, "is about the original files")),
                    false => pending.push(path),
                }
                continue;
            }
            match regular(&root.join(&path), kind, homes)? {
                Ok(len) => below.files.push((path, len)),
                Err(why) => below.left_out.push((path, why)),
            }
        }
    }
    below.files.sort_unstable();
    below.left_out.sort_unstable();
    Ok(below)
}

/// The length of the file that `path` is or leads to, or why it must not be followed.
fn regular(path: &Path, kind: FileType, homes: &[PathBuf]) -> Result<Result<u64, &'static str>> {
    if kind.is_symlink() {
        let target = match local::resolve(path) {
            Ok(target) => target,
            Err(Error::Invalid(_)) => return Ok(Err("is a symlink that leads nowhere")),
            Err(error) => return Err(error),
        };
        if !homes.iter().any(|home| target.starts_with(home)) {
            return Ok(Err("is a symlink that leads out of the model directory"));
        }
    }
    // What cannot be looked at is not left out without a word.
    let target = fs::metadata(path).map_err(|e| Error::io("cannot look at", path, e))?;
    Ok(if target.is_file() {
        Ok(target.len())
    } else if target.is_dir() {
        Err("is a symlink to a directory")
    } else {
        Err("is not a regular file")
    })
}
