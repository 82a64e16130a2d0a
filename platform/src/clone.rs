//! Sharing blocks between files: `FICLONERANGE`.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::atomic::unnamed_file;
use crate::{FileSystem, sys};

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
    /// Offsets are not block-aligned, or only one of the files is marked NOCOW.
    Mismatch,
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
            Self::Mismatch => {
                write!(
                    f,
                    "the file system refuses (a NOCOW or other attribute differs between source and destination)"
                )
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
            Some(libc::EINVAL) => Refusal::Mismatch,
            Some(libc::ETXTBSY) => Refusal::Busy,
            Some(libc::EPERM) => Refusal::NotPermitted,
            _ => return Err(CloneError::Io(error)),
        };
        return Err(CloneError::CopyInstead(refusal));
    }
}

/// Finds out whether blocks of `src` can be shared with files in directory `dir`, by sharing its
/// first block with an unnamed file there: device numbers do not tell (those of Btrfs subvolumes differ).
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
    clone_range(src, 0, block_size, &probe, 0).map_err(|error| match error {
        CloneError::CopyInstead(refusal) => refusal,
        CloneError::Io(e) => failed(e),
    })
}
