//! Sharing blocks between files: `FICLONERANGE`.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::atomic::unnamed_file;
use crate::{FileSystem, sys, write_all_at};

/// Why a range was not cloned.
#[derive(Debug, thiserror::Error)]
pub enum CloneError {
    /// The blocks cannot be shared; the bytes can still be copied.
    #[error("{0}")]
    CopyInstead(Refusal),
    /// Something is really wrong.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why blocks cannot be shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The file system has no such operation; its name where it is known.
    NotSupported(String),
    /// Source and destination are on different file systems.
    CrossDevice,
    /// `EINVAL`: offsets that are not block-aligned, or something about the files that the system does not name.
    Unexplained,
    /// The source was written a moment ago and is not committed yet. [`Patience`](crate::Patience) helps.
    Uncommitted,
    /// The source is a program that is running, or swap space.
    Busy,
    /// The file or the file system forbids it.
    NotPermitted,
    /// The source is shorter than one block.
    TooSmall,
    /// Trying it failed; what the operating system said.
    Failed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSupported(name) => write!(f, "{name} cannot share blocks between files"),
            Self::CrossDevice => write!(f, "source and destination are on different file systems"),
            Self::Unexplained => write!(f, "the file system refuses, without saying why (EINVAL)"),
            Self::Uncommitted => {
                write!(f, "the file system has not yet committed what was written to the source")
            }
            Self::Busy => write!(f, "the source is in use as a program or swap file"),
            Self::NotPermitted => write!(f, "sharing blocks of the source is not permitted"),
            Self::TooSmall => write!(f, "the file is shorter than one block"),
            Self::Failed(error) => write!(f, "trying to share a block failed: {error}"),
        }
    }
}

/// Makes `len` bytes of `dst` at `dst_offset` share the blocks of `src` at `src_offset`. All three must
/// be multiples of the file system's block size, and `len` not 0.
///
/// # Errors
/// [`CloneError::CopyInstead`] where the file system refuses this particular clone.
pub fn clone_range(
    src: &File,
    src_offset: u64,
    len: u64,
    dst: &File,
    dst_offset: u64,
) -> Result<(), CloneError> {
    // To the kernel a length of 0 means "to the end of the file".
    if len == 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
    }
    loop {
        let Err(error) = sys::clone_range(src, src_offset, len, dst, dst_offset) else { return Ok(()) };
        let refusal = match error.raw_os_error() {
            Some(libc::EINTR) => continue,
            Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::ENOSYS) => {
                let name = FileSystem::of_file(dst).map_or_else(|_| "this file system".into(), |fs| fs.name);
                Refusal::NotSupported(name)
            }
            Some(libc::EXDEV) => Refusal::CrossDevice,
            Some(libc::EINVAL) => Refusal::Unexplained,
            Some(libc::EAGAIN) => Refusal::Uncommitted,
            Some(libc::ETXTBSY) => Refusal::Busy,
            Some(libc::EPERM) => Refusal::NotPermitted,
            _ => return Err(CloneError::Io(error)),
        };
        return Err(CloneError::CopyInstead(refusal));
    }
}

/// Finds out whether blocks of `src` can be shared with files in directory `dir`, by sharing its
/// first block with an unnamed file there: device numbers do not tell (those of Btrfs subvolumes differ).
/// A source that is not committed yet can: nothing else is wrong with it, and it will be by the time it counts.
///
/// # Errors
/// Why not. A failure to even try counts as a refusal: copying will show what is wrong.
pub fn can_clone(src: &File, dir: &Path) -> Result<(), Refusal> {
    let failed = |e: io::Error| Refusal::Failed(e.to_string());
    let block_size = FileSystem::of(dir).map_err(failed)?.block_size;
    if src.metadata().map_err(failed)?.len() < block_size {
        return Err(Refusal::TooSmall);
    }
    let probe = unnamed_file(dir).map_err(failed)?;
    match clone_range(src, 0, block_size, &probe, 0) {
        Ok(()) | Err(CloneError::CopyInstead(Refusal::Uncommitted)) => Ok(()),
        Err(CloneError::CopyInstead(refusal)) => Err(refusal),
        Err(CloneError::Io(e)) => Err(failed(e)),
    }
}

/// Finds out whether files in directory `dir` can share blocks with each other, by trying it with two unnamed ones.
///
/// # Errors
/// Why not. A failure to even try counts as a refusal.
pub fn can_clone_within(dir: &Path) -> Result<(), Refusal> {
    let failed = |e: io::Error| Refusal::Failed(e.to_string());
    let block_size = FileSystem::of(dir).map_err(failed)?.block_size;
    let source = unnamed_file(dir).map_err(failed)?;
    // Some file systems keep a little beside their metadata, where it cannot be shared.
    let bytes = vec![1; block_size.clamp(64 << 10, 16 << 20) as usize];
    write_all_at(&source, &bytes, 0).map_err(failed)?;
    can_clone(&source, dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_at_all_cannot_be_cloned() {
        let file = tempfile::tempfile().unwrap();
        let error = clone_range(&file, 0, 0, &file, 0).unwrap_err();
        assert!(matches!(error, CloneError::Io(e) if e.kind() == io::ErrorKind::InvalidInput));
    }

    /// People read these in reports, after "not shared:".
    #[test]
    fn every_refusal_says_something_else() {
        let refusals = [
            Refusal::NotSupported("ext4".into()),
            Refusal::CrossDevice,
            Refusal::Unexplained,
            Refusal::Uncommitted,
            Refusal::Busy,
            Refusal::NotPermitted,
            Refusal::TooSmall,
            Refusal::Failed("disk on fire".into()),
        ];
        let said: std::collections::BTreeSet<String> = refusals.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), refusals.len());
        assert!(said.iter().all(|text| text.len() > 20), "{said:?}");
        assert!(said.contains("ext4 cannot share blocks between files"), "{said:?}");
        assert!(said.iter().any(|text| text.contains("disk on fire")), "{said:?}");
    }
}
