//! Sharing blocks between files: `FICLONERANGE`.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::errno::Errno;

use crate::FileSystem;
use crate::atomic::unnamed_file;

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
        }
    }
}

nix::ioctl_write_ptr!(
    /// Wraps `FICLONERANGE` of linux/fs.h.
    ficlonerange,
    0x94,
    13,
    libc::file_clone_range
);

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
    let range = libc::file_clone_range {
        src_fd: i64::from(src.as_raw_fd()),
        src_offset,
        src_length: len,
        dest_offset: dst_offset,
    };
    loop {
        // SAFETY: both descriptors are open files, and `range` outlives the call, which only reads it.
        let refusal = match unsafe { ficlonerange(dst.as_raw_fd(), &raw const range) } {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => continue,
            Err(Errno::EOPNOTSUPP | Errno::ENOTTY | Errno::ENOSYS) => {
                let name = FileSystem::of_file(dst).map_or_else(|_| "this file system".into(), |fs| fs.name);
                Refusal::NotSupported(name)
            }
            Err(Errno::EXDEV) => Refusal::CrossDevice,
            Err(Errno::EINVAL) => Refusal::Mismatch,
            Err(Errno::ETXTBSY) => Refusal::Busy,
            Err(Errno::EPERM) => Refusal::NotPermitted,
            Err(errno) => return Err(CloneError::Io(errno.into())),
        };
        return Err(CloneError::CopyInstead(refusal));
    }
}

/// Finds out whether blocks of `src` can be shared with files in directory `dir`, by sharing its
/// first block with an unnamed file there.
///
/// # Errors
/// Why not. A failure to even try counts as a refusal: copying will show what is wrong.
pub fn can_clone(src: &File, dir: &Path) -> Result<(), Refusal> {
    let unknown = |_| Refusal::NotPermitted;
    let fs = FileSystem::of(dir).map_err(unknown)?;
    if FileSystem::of_file(src).map_err(unknown)?.device != fs.device {
        // Btrfs subvolumes have devices of their own, yet share blocks: only the attempt tells.
        let same_kind = FileSystem::of_file(src).is_ok_and(|s| s.name == fs.name && fs.name == "btrfs");
        if !same_kind {
            return Err(Refusal::CrossDevice);
        }
    }
    if src.metadata().map_err(unknown)?.len() < fs.block_size {
        return Err(Refusal::TooSmall);
    }
    let probe = unnamed_file(dir).map_err(unknown)?;
    match clone_range(src, 0, fs.block_size, &probe, 0) {
        Ok(()) => Ok(()),
        Err(CloneError::CopyInstead(refusal)) => Err(refusal),
        Err(CloneError::Io(_)) => Err(Refusal::NotPermitted),
    }
}
