//! A lock that only one process holds at a time, and that ends with its process however that ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag};

use crate::Identity;

/// Held until dropped. The file that carries it says who holds it, and goes with it; one that a killed process
/// left behind is taken over.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// Why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it; who, as they said.
    #[error("held by {0}")]
    Held(String),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Longest note that is read, in bytes.
const NOTE_MAX: u64 = 200;

impl Lock {
    /// Takes the lock that the file at `path` carries, without waiting. A symbolic link is not followed: who put it there may
    /// mean to have another file overwritten.
    ///
    /// # Errors
    /// [`LockError::Held`] while another process has it.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW);
            let mut file = options.open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            // Whoever had it before may have removed the file between our two calls: then this lock is on a file that
            // nobody else will find.
            if !Identity::at(path).is_ok_and(|at| Identity::of(&file).is_ok_and(|own| own.is_same_file(&at)))
            {
                continue;
            }
            // From here on the file goes whatever fails.
            let mut lock = Self { file, path: path.to_owned() };
            lock.file.set_len(0)?;
            let host = nix::unistd::gethostname().unwrap_or_default();
            write!(lock.file, "process {} on {}", std::process::id(), host.display())?;
            return Ok(lock);
        }
    }
}

impl Lock {
    /// Has the process that `command` starts hold the lock, too: it is free when both have ended.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn share_with(&self, command: &mut Command) -> io::Result<()> {
        share(&self.file, command)
    }
}

fn share(file: &File, command: &mut Command) -> io::Result<()> {
    let file = file.try_clone()?;
    // SAFETY: between fork and exec the closure makes one system call on a descriptor that it owns, and allocates nothing.
    unsafe {
        // Only in that process, so that those started meanwhile by other threads do not get it.
        command.pre_exec(move || Ok(nix::fcntl::fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).map(drop)?));
    }
    Ok(())
}

/// What the holder wrote, fit to be shown.
fn holder(file: &mut File) -> String {
    let mut note = Vec::new();
    // Empty if the holder has not come to write it.
    _ = file.take(NOTE_MAX).read_to_end(&mut note);
    let note: String = String::from_utf8_lossy(&note).chars().filter(|c| !c.is_control()).collect();
    if note.is_empty() { "another process".into() } else { note }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked, so that nobody's file is removed but ours. What cannot be removed is taken over.
        _ = fs::remove_file(&self.path);
        _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = Lock::take(&path).unwrap();
        let Err(LockError::Held(by)) = Lock::take(&path) else { panic!("taken twice") };
        assert!(by.contains(&format!("process {}", std::process::id())), "{by}");
        drop(lock);
        assert!(!path.exists());
        fs::write(&path, "left behind").unwrap();
        Lock::take(&path).unwrap();
    }

    #[test]
    fn no_link_leads_to_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("lock"), dir.path().join("other"));
        fs::write(&other, "of somebody else").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(matches!(Lock::take(&path), Err(LockError::Io(_))));
        assert_eq!(fs::read_to_string(&other).unwrap(), "of somebody else");
    }

    #[test]
    fn held_as_long_as_a_process_it_is_shared_with_lives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let file = File::create(&path).unwrap();
        file.try_lock().unwrap();
        let start = |shared: bool| {
            let mut command = Command::new("cat");
            command.stdin(Stdio::piped());
            if shared {
                share(&file, &mut command).unwrap();
            }
            command.spawn().unwrap()
        };
        let (mut holding, mut other) = (start(true), start(false));
        // As if this process had been killed.
        drop(file);
        assert!(matches!(Lock::take(&path), Err(LockError::Held(_))));
        holding.kill().unwrap();
        holding.wait().unwrap();
        Lock::take(&path).unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
