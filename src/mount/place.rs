//! Where a conversion is shown: an empty directory, at which nobody else mounts anything meanwhile.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use ggraft_platform::unmount;

use crate::error::{Error, Result};

/// How long to wait for another process that is about to end: several times what it takes to notice.
const PATIENCE: Duration = Duration::from_secs(2);

/// An empty directory to mount at. While it lives, no other process of this program mounts there: the second mount would be
/// unmounted with the first.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    /// Carries the lock.
    _dir: File,
}

impl Place {
    /// The directory `path`, after taking away what a killed process has left mounted there.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is no directory, not empty or somebody else's place, [`Error::Io`].
    pub fn take(path: &Path) -> Result<Self> {
        if is_dead(path) && unmount(path).is_ok() {
            tracing::warn!(
                "{}: a process that was killed had left its mount; it is gone now",
                path.display()
            );
        }
        let shown = path.display();
        let wrong = |problem: &str| {
            let error = Error::usage(format!("{shown} {problem}")).about(path);
            Err(error.hint("name an empty directory to mount at"))
        };
        let cannot = |e| Error::io("cannot open", path, e);
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {}
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(cannot(e)),
            _ => return wrong("is not a directory"),
        }
        let dir = File::open(path).map_err(cannot)?;
        if !lock(&dir) {
            return wrong("is where another process mounts");
        }
        if fs::read_dir(path).map_err(cannot)?.next().is_some() {
            return wrong("is not empty: what is in it would be hidden");
        }
        Ok(Self { path: fs::canonicalize(path).map_err(cannot)?, _dir: dir })
    }

    /// Where it is, by a path that leads there from everywhere.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Takes the lock of `dir`, if that can be had. Who was unmounted from outside notices soon, and ends.
fn lock(dir: &File) -> bool {
    let end = Instant::now() + PATIENCE;
    // A file system that cannot lock directories is no reason not to mount on it.
    while matches!(dir.try_lock(), Err(TryLockError::WouldBlock)) {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Whether the process has gone that showed something at `path`.
fn is_dead(path: &Path) -> bool {
    let listed = fs::read_dir(path).and_then(|mut entries| entries.next().transpose());
    listed.is_err_and(|e| e.kind() == io::ErrorKind::NotConnected)
}
