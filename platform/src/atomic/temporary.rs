//! Hidden names of files that are not complete yet, and the ones that killed processes left behind.
//!
//! Whoever gives a file such a name holds a lock on it that dies with the process. A name whose lock can be taken
//! belongs to nobody: process numbers, which come again and differ between containers, decide nothing.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use super::identity;
use crate::FileSystem;

/// Most bytes of the final name that a temporary one repeats.
const BASE_MAX: usize = 80;

/// File systems of one kernel, where a lock that can be taken is nobody else's. Others may be mounted by
/// several, not all of which tell each other of locks.
const LOCAL: [&str; 10] =
    ["xfs", "btrfs", "bcachefs", "zfs", "ext4", "f2fs", "tmpfs", "overlayfs", "vfat", "exfat"];

/// On other file systems only what nobody has written to for this long is taken for left behind.
const UNTOUCHED: Duration = Duration::from_secs(24 * 60 * 60);

/// A hidden name beside `path` that this process has not used yet.
fn name(path: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = OsString::from(".");
    let base = path.file_name().unwrap_or_default().to_string_lossy();
    let end = (0..=base.len().min(BASE_MAX)).rev().find(|&end| base.is_char_boundary(end));
    name.push(&base[..end.unwrap_or(0)]);
    name.push(format!(".ggraft-{}-{n}.tmp", std::process::id()));
    path.with_file_name(name)
}

/// Whether a name is one of those above.
fn is_temporary(name: &OsStr) -> bool {
    let number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let numbers = || {
        let rest = name.as_bytes().strip_prefix(b".")?.strip_suffix(b".tmp")?;
        let text = rest.rsplit(|&b| b == b'.').next()?.strip_prefix(b"ggraft-")?;
        let dash = text.iter().position(|&b| b == b'-')?;
        Some(number(&text[..dash]) && number(&text[dash + 1..]))
    };
    numbers() == Some(true)
}

/// Looks for a temporary name beside `path`, only to hear whether it could exist.
///
/// # Errors
/// What the operating system says, unless that is that there is no such file.
pub fn check_length(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(name(path)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Creates a file with a temporary name beside `path`, locked.
///
/// # Errors
/// What the operating system says.
pub fn create(path: &Path) -> io::Result<(File, PathBuf)> {
    loop {
        let (file, name) = with_name(path, |name| {
            OpenOptions::new().read(true).write(true).mode(0o666).create_new(true).open(name)
        })?;
        // Whoever looks for leftovers may have been faster with the lock, and may have removed the name.
        if lock(&file) && fs::symlink_metadata(&name).is_ok() {
            return Ok((file, name));
        }
        _ = fs::remove_file(name);
    }
}

/// Has `place` put something that is [locked](lock) already at a temporary name beside `path`; tries names until
/// it succeeds with one that was free.
///
/// # Errors
/// Those of `place`.
pub fn with_name<T>(path: &Path, place: impl Fn(&Path) -> io::Result<T>) -> io::Result<(T, PathBuf)> {
    loop {
        let name = name(path);
        match place(&name) {
            Ok(value) => return Ok((value, name)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

/// Marks a file as somebody's, for as long as `file` is open. False if somebody else has marked it.
pub fn lock(file: &File) -> bool {
    // A file system without locks refuses them to those who look for leftovers, too.
    !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Removes what killed processes left in `dir`. What cannot be looked at, or belongs to another user, stays.
pub fn remove_leftovers(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| is_temporary(&entry.file_name())) {
        // A leftover does no harm but take space.
        _ = remove_if_abandoned(&entry.path());
    }
}

fn remove_if_abandoned(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_file() || found.uid() != nix::unistd::geteuid().as_raw() {
        return Ok(());
    }
    let open = |write| {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        OpenOptions::new().read(true).write(write).custom_flags(flags).open(path)
    };
    // NFS takes exclusive locks of files that are open for writing only; the file may forbid that.
    let file = open(true).or_else(|_| open(false))?;
    if file.try_lock().is_err() || !is_at(&file, path) {
        return Ok(());
    }
    let age = || SystemTime::now().duration_since(file.metadata()?.modified()?).map_err(io::Error::other);
    let local = FileSystem::of_file(&file).is_ok_and(|fs| LOCAL.contains(&fs.name.as_str()));
    if local || age()? > UNTOUCHED { fs::remove_file(path) } else { Ok(()) }
}

/// Whether `path` is the name of `file`.
pub fn is_at(file: &File, path: &Path) -> bool {
    let open = file.metadata().map(|m| identity(&m)).ok();
    open.is_some() && open == fs::symlink_metadata(path).map(|m| identity(&m)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_names_are_told_from_others() {
        for path in ["out.gguf", "x", &"é".repeat(127), ".ggraft-1-2.tmp"] {
            let name = name(Path::new(path));
            assert!(is_temporary(name.as_os_str()), "{name:?}");
            assert!(name.as_os_str().len() < 140, "{name:?}");
        }
        for other in [
            "out.gguf",
            ".ggraft-1-2.tmp2",
            ".a.ggraft-1.tmp",
            ".a.ggraft--2.tmp",
            ".a.ggraft-1-.tmp",
            "a.ggraft-1-2.tmp",
            ".a.ggraft-1-2-3.tmp",
            ".a.ggraft-1-x.tmp",
            ".a.tmp",
        ] {
            assert!(!is_temporary(OsStr::new(other)), "{other}");
        }
    }
}
