//! Facts about a file system.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::statfs::{self, fstatfs};
use nix::sys::statvfs::fstatvfs;

/// What ggraft needs to know about the file system that a file or directory is on.
#[derive(Clone, Debug)]
pub struct FileSystem {
    /// Its kind: "xfs", "btrfs", … or the hexadecimal magic number of one without a name here.
    pub name: String,
    /// Device number, as in `stat`.
    pub device: u64,
    /// Unit in bytes that clones must be aligned to. `statfs`'s `f_bsize` is the block size on XFS (which can be
    /// 1 KiB or 64 KiB) and the sector size on Btrfs; `stat`'s `st_blksize` is only a hint for I/O.
    pub block_size: u64,
    /// Bytes this user may still write.
    pub free_bytes: u64,
}

impl FileSystem {
    /// Looks at the file system of `path`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn of(path: &Path) -> io::Result<Self> {
        Self::of_file(&File::open(path)?)
    }

    /// Looks at the file system of an open file or directory.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn of_file(file: &File) -> io::Result<Self> {
        let stat = fstatfs(file.as_fd())?;
        let space = fstatvfs(file.as_fd())?;
        Ok(Self {
            name: name(stat.filesystem_type()),
            device: file.metadata()?.dev(),
            block_size: u64::try_from(stat.block_size()).unwrap_or(0).max(512),
            free_bytes: space.blocks_available().saturating_mul(space.fragment_size()),
        })
    }
}

/// The name of a file system's magic number (`man 2 statfs`).
fn name(magic: statfs::FsType) -> String {
    let known = match magic {
        statfs::XFS_SUPER_MAGIC => "xfs",
        statfs::BTRFS_SUPER_MAGIC => "btrfs",
        statfs::EXT4_SUPER_MAGIC => "ext4",
        statfs::TMPFS_MAGIC => "tmpfs",
        statfs::OVERLAYFS_SUPER_MAGIC => "overlayfs",
        statfs::NFS_SUPER_MAGIC => "nfs",
        statfs::FUSE_SUPER_MAGIC => "fuse",
        statfs::F2FS_SUPER_MAGIC => "f2fs",
        _ => return format!("this file system ({:#x})", magic.0),
    };
    known.into()
}
