//! A directory to mount at that nobody else needs to know, and that does not outlive those who made it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ggraft_platform::{Lock, LockError, owner, unmount};

use crate::error::{Error, Result};

/// How names of such directories begin.
const PREFIX: &str = "ggraft-mount-";

/// Carries the lock that tells that whoever made a directory lives; beside it.
const LOCK: &str = ".lock";

/// An empty directory of this process's, which is removed when dropped.
#[derive(Debug)]
pub struct PrivateDir {
    path: PathBuf,
    lock: Option<Lock>,
}

impl PrivateDir {
    /// Makes one in the directory for temporary files, after removing those of processes that were killed.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no directory for temporary files, [`Error::Io`].
    pub fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        if !parent.is_dir() {
            let missing = format!("there is no directory {} for temporary files", parent.display());
            return Err(Error::usage(missing).about(&parent).hint("make it, or set TMPDIR to another"));
        }
        // Whoever is told where it is may be somewhere else.
        let parent = std::path::absolute(&parent).map_err(|e| Error::io("cannot find", &parent, e))?;
        sweep(&parent);
        for n in 0.. {
            let path = parent.join(format!("{PREFIX}{}-{n}", std::process::id()));
            let lock = match Lock::take(&beside(&path)) {
                Ok(lock) => lock,
                Err(LockError::Held(_)) => continue,
                Err(LockError::Io(e)) => return Err(Error::io("cannot lock", &path, e)),
            };
            match create(&path) {
                Ok(()) => return Ok(Self { path, lock: Some(lock) }),
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
        if fs::remove_dir(&self.path).is_err() {
            // It is still mounted. Its lock's file stays, too, by which the next who comes finds it.
            std::mem::forget(self.lock.take());
        }
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

/// Unmounts and removes what processes of this user left that were killed. That there is a lock's file tells them from other
/// directories, whatever these are called: it is there before its directory, and goes after it.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for name in entries.flatten().map(|entry| entry.file_name()) {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let Some(path) = name.strip_suffix(LOCK).map(|name| parent.join(name)) else { continue };
        if is_own(&beside(&path))
            && let Ok(_lock) = Lock::take(&beside(&path))
        {
            _ = unmount(&path);
            _ = fs::remove_dir(&path);
        }
    }
}

/// Whether this user made the file, and under this name only: others may put links to any file where all may write.
fn is_own(path: &Path) -> bool {
    let metadata = fs::symlink_metadata(path);
    metadata.is_ok_and(|it| it.is_file() && it.uid() == owner().0 && it.nlink() == 1)
}
