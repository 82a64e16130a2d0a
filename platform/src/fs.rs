//! Facts about a file system.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::fstatvfs;

use crate::sys;

/// Taken for the block size where the file system names none that can be one: a clone that is
/// aligned wrongly is refused and becomes a copy.
const USUAL_BLOCK: u64 = 4096;

/// No block is larger than this many bytes.
const LARGEST_BLOCK: u64 = 1 << 30;

/// What ggraft needs to know about the file system that a file or directory is on.
///
/// There is no device number on purpose: subvolumes of one Btrfs differ in it and do share blocks,
/// files of one overlay can differ too. Ask [`can_clone`](crate::can_clone).
#[derive(Clone, Debug)]
pub struct FileSystem {
    /// Its kind, as the subject of a sentence: "xfs", "btrfs", … or "this file system" with the magic
    /// number of one that has no name here.
    pub name: String,
    /// Unit in bytes that clones must be aligned to; a power of two.
    pub block_size: u64,
    /// Bytes this user may still write.
    pub free_bytes: u64,
}

/// What is at `path`, symbolic links followed; none if there is nothing. What cannot be looked at is not taken for
/// absent.
///
/// # Errors
/// What the operating system says.
pub fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether `error` says that a path leads nowhere, and not that something kept it from being followed.
pub fn leads_nowhere(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), InvalidFilename | NotADirectory | NotFound)
        || error.raw_os_error() == Some(Errno::ELOOP as i32)
}

impl FileSystem {
    /// Looks at the file system of `path`, which need not be readable.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn of(path: &Path) -> io::Result<Self> {
        Self::of_file(&sys::open_to_look(path)?)
    }

    /// Looks at the file system of an open file or directory.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn of_file(file: &File) -> io::Result<Self> {
        let (name, block_size) = sys::name_and_block_size(file)?;
        let space = fstatvfs(file.as_fd())?;
        // Both numbers are 32 bits wide on some systems.
        #[allow(clippy::useless_conversion)]
        let (blocks, unit) = (u64::from(space.blocks_available()), u64::from(space.fragment_size()));
        Ok(Self {
            name,
            // A FUSE file system says whatever its author liked.
            block_size: Some(block_size)
                .filter(|size| size.is_power_of_two() && *size <= LARGEST_BLOCK)
                .unwrap_or(USUAL_BLOCK),
            free_bytes: blocks.saturating_mul(unit),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_not_there_is_told_from_what_cannot_be_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "12345").unwrap();
        symlink("nothing", path("dangling")).unwrap();
        symlink("loop", path("loop")).unwrap();
        assert_eq!(look(&path("file")).unwrap().map(|found| found.len()), Some(5));
        for absent in ["nothing", "file/below", "dangling"] {
            assert!(look(&path(absent)).unwrap().is_none(), "{absent}");
            assert!(leads_nowhere(&fs::metadata(path(absent)).unwrap_err()), "{absent}");
        }
        assert!(look(&path("loop")).is_err());
        for nowhere in ["loop", &"n".repeat(5000)] {
            assert!(leads_nowhere(&fs::metadata(path(nowhere)).unwrap_err()), "{nowhere}");
        }
        for other in [Errno::EACCES, Errno::EIO, Errno::EINTR] {
            assert!(!leads_nowhere(&other.into()), "{other}");
        }
    }
}
