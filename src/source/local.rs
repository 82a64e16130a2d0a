//! What may be followed in a directory of this machine.

use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

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

/// What the directory `dir` calls the model in it. That is its own name as it was spelled; where that says nothing (`.`, `..`)
/// the one it really has; and for a snapshot of a Hugging Face cache (`models--ORG--NAME/snapshots/COMMIT`) its repository's.
/// Empty for the root directory.
pub fn name(dir: &Path) -> OsString {
    let spelled = match dir.components().next_back() {
        Some(Component::Normal(name)) => Some(name.to_owned()),
        _ => None,
    };
    let Ok(real) = dir.canonicalize() else { return spelled.unwrap_or_default() };
    let own = real.file_name().map(OsStr::to_owned).unwrap_or_default();
    match spelled {
        // A link to a snapshot has a name that somebody chose.
        Some(name) if name != own => name,
        _ => repository(&real).unwrap_or(own),
    }
}

/// The name of the repository that the real path `dir` is a snapshot of.
fn repository(dir: &Path) -> Option<OsString> {
    let snapshots = dir.parent().filter(|path| path.file_name().is_some_and(|name| name == "snapshots"))?;
    let id = snapshots.parent()?.file_name()?.to_str()?.strip_prefix("models--")?;
    let name = id.split_once("--").map_or(id, |(_, name)| name);
    (!name.is_empty()).then(|| name.into())
}

/// A link to `blob` in another snapshot of the Hugging Face cache that `dir` is a snapshot of. Snapshots have few directories, each
/// with few files.
pub fn other_link(dir: &Path, blob: &Path) -> io::Result<Option<PathBuf>> {
    let dir = dir.canonicalize()?;
    let Some(snapshots) = dir.parent() else { return Ok(None) };
    let mut left = vec![snapshots.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() && path != dir {
                left.push(path);
            } else if kind.is_symlink() && path.canonicalize().is_ok_and(|real| real == blob) {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
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

/// Where `path` leads through symlinks. That one leads nowhere is the model's fault; that it cannot be read is not.
pub fn resolve(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| match fs::read_link(path) {
        Ok(target) if platform::leads_nowhere(&error) => Error::invalid(
            path,
            format!("expected a file, found a symlink to {target:?} that cannot be followed: {error}"),
        ),
        _ => Error::io("cannot open", path, error),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_somebody_chose() {
        let top = tempfile::tempdir().unwrap();
        let commit = "4e20de362430cd3b72f300e6b0f18e50e7166e08";
        let snapshots = top.path().join("models--meta-llama--Llama-3.2-1B/snapshots");
        fs::create_dir_all(snapshots.join(commit).join("sub")).unwrap();
        fs::create_dir_all(top.path().join("models--gpt2/snapshots/main")).unwrap();
        fs::create_dir_all(top.path().join("plain").join(commit)).unwrap();
        std::os::unix::fs::symlink(snapshots.join(commit), top.path().join("mine")).unwrap();
        for (path, expected) in [
            (snapshots.join(commit), "Llama-3.2-1B"),
            (snapshots.join(commit).join("."), "Llama-3.2-1B"),
            (snapshots.join(commit).join("sub/.."), "Llama-3.2-1B"),
            (snapshots.join(commit).join("sub"), "sub"),
            (top.path().join("models--gpt2/snapshots/main"), "gpt2"),
            (top.path().join("plain"), "plain"),
            (top.path().join("plain/../plain/.."), &*top.path().file_name().unwrap().to_string_lossy()),
            (top.path().join("mine"), "mine"),
            ("/".into(), ""),
            (".".into(), &*std::env::current_dir().unwrap().file_name().unwrap().to_string_lossy()),
        ] {
            assert_eq!(name(&path), expected, "{}", path.display());
        }
    }
}
