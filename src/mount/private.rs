//! A directory to mount at that nobody else needs to know, and that does not outlive those who made it.

use std::fs;
use std::path::{Path, PathBuf};

use ggraft_platform::{Lock, LockError, unmount};

use crate::error::{Error, Result};

/// How names of such directories begin.
const PREFIX: &str = "ggraft-mount-";

/// Carries the lock that tells that whoever made a directory lives; beside it.
const LOCK: &str = ".lock";

/// An empty directory of this process's, which is removed when dropped.
#[derive(Debug)]
pub struct PrivateDir {
    path: PathBuf,
    _lock: Lock,
}

impl PrivateDir {
    /// Makes one in the directory for temporary files, after removing those of processes that were killed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        for n in 0.. {
            let path = parent.join(format!("{PREFIX}{}-{n}", std::process::id()));
            let lock = match Lock::take(&beside(&path)) {
                Ok(lock) => lock,
                Err(LockError::Held(_)) => continue,
                Err(LockError::Io(e)) => return Err(Error::io("cannot lock", &path, e)),
            };
            match create(&path) {
                Ok(()) => return Ok(Self { path, _lock: lock }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io("cannot create", &path, e)),
            }
        }
        Err(Error::Internal("no name is left".into()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // Only an empty directory goes; one that is still mounted is swept by the next who comes.
        _ = fs::remove_dir(&self.path);
    }
}

fn create(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(LOCK);
    name.into()
}

/// Unmounts and removes what processes left that were killed. Others' directories refuse, and stay.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for name in entries.flatten().map(|entry| entry.file_name()) {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let path = parent.join(name.strip_suffix(LOCK).unwrap_or(name));
        if let Ok(_lock) = Lock::take(&beside(&path)) {
            _ = unmount(&path);
            _ = fs::remove_dir(&path);
        }
    }
}
