//! What may be followed in a directory of this machine.

use std::ffi::OsString;
use std::fs::{self, FileType, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use ggraft_platform as platform;

use crate::error::{Error, Result};

/// Where files of the model in `dir` may really be: in it, and among the blobs of a Hugging Face cache if it is (or lies
/// in) one of its snapshots.
pub fn homes(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let dir = dir.canonicalize()?;
    let snapshots =
        dir.ancestors().skip(1).find(|path| path.file_name().is_some_and(|name| name == "snapshots"));
    let blobs = snapshots.and_then(Path::parent).map(|cache| cache.join("blobs"));
    let blobs = blobs.and_then(|blobs| blobs.canonicalize().ok());
    Ok([Some(dir.clone()), blobs].into_iter().flatten().collect())
}

/// What is at `path`, symbolic links followed; none if there is nothing.
///
/// # Errors
/// [`Error::Io`] if it cannot be looked at, which is not to be taken for absence.
pub fn look(path: &Path) -> Result<Option<Metadata>> {
    platform::look(path).map_err(|e| Error::io("cannot look at", path, e))
}

/// Whether there is a directory at `path`.
///
/// # Errors
/// As [`look`].
pub fn is_dir(path: &Path) -> Result<bool> {
    Ok(look(path)?.is_some_and(|found| found.is_dir()))
}

/// Whether there is nothing at `path`, or can be nothing.
pub fn is_absent(path: &Path) -> bool {
    use ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    let absent = |e: io::Error| matches!(e.kind(), NotFound | NotADirectory | InvalidFilename);
    fs::symlink_metadata(path).is_err_and(absent)
}

/// The regular file that `path` really is, if it lies in one of `homes`. Looks at it before anything is opened: opening
/// a FIFO would block until somebody writes to it.
pub fn follow(path: &Path, homes: &[PathBuf]) -> Result<PathBuf> {
    let real = resolve(path)?;
    check_regular(path)?;
    if !homes.iter().any(|home| real.starts_with(home)) {
        let problem = format!(
            "expected a file of the model, found a link out of its directory to {real:?}; copy that file here if it belongs \
             to the model"
        );
        return Err(Error::invalid(path, problem));
    }
    Ok(real)
}

/// Where `path` leads through symlinks.
pub fn resolve(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| match fs::read_link(path) {
        Ok(target) => Error::invalid(
            path,
            format!("expected a file, found a symlink to {target:?} that cannot be followed: {error}"),
        ),
        Err(_) => Error::io("cannot open", path, error),
    })
}

/// Refuses what is not a regular file.
pub fn check_regular(path: &Path) -> Result<()> {
    let kind = fs::metadata(path).map_err(|error| Error::io("cannot open", path, error))?;
    if !kind.is_file() {
        let found = describe(kind.file_type());
        return Err(Error::invalid(path, format!("expected a regular file, found {found}")));
    }
    Ok(())
}

/// Names in `below` of `root`, in bytewise order; none if that is absent.
pub fn list(root: &Path, below: &str, homes: &[PathBuf]) -> Result<Vec<OsString>> {
    let dir = root.join(below);
    if !below.is_empty() {
        if is_absent(&dir) {
            return Ok(Vec::new());
        }
        let real = resolve(&dir)?;
        if !homes.iter().any(|home| real.starts_with(home)) {
            return Err(Error::invalid(
                &dir,
                "expected a directory of the model, found a link out of its directory",
            ));
        }
        if !is_dir(&real)? {
            return Ok(Vec::new());
        }
    }
    let cannot = |e| Error::io("cannot list", &dir, e);
    let entries = fs::read_dir(&dir).map_err(cannot)?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>();
    let mut names = names.map_err(cannot)?;
    names.sort_unstable_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    Ok(names)
}

fn describe(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "something else"
    }
}
