//! What only Linux offers. Thin: each function is one system call made safe, and judges nothing.
//!
//! `portable.rs` has the same functions for everything else.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::fcntl::{self, AT_FDCWD, AtFlags, FallocateFlags, PosixFadviseAdvice};
use nix::sys::mman::{MmapAdvise, madvise};
use nix::sys::statfs::fstatfs;
use nix::unistd::{Whence, linkat, lseek};

use crate::extents::Extent;

nix::ioctl_write_ptr!(
    /// Wraps `FICLONERANGE` of linux/fs.h.
    ficlonerange,
    0x94,
    13,
    libc::file_clone_range
);

/// `FICLONERANGE`.
pub fn clone_range(src: &File, src_offset: u64, len: u64, dst: &File, dst_offset: u64) -> io::Result<()> {
    let range = libc::file_clone_range {
        src_fd: i64::from(src.as_raw_fd()),
        src_offset,
        src_length: len,
        dest_offset: dst_offset,
    };
    // SAFETY: both descriptors are open files, and `range` outlives the call, which only reads it.
    unsafe { ficlonerange(dst.as_raw_fd(), &raw const range) }?;
    Ok(())
}

/// `lseek` to data and to the hole behind it. Moves the file's cursor.
pub fn next_data(file: &File, from: u64) -> io::Result<Option<Range<u64>>> {
    let seek = |at: u64, whence| {
        let at = i64::try_from(at).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        match lseek(file, at, whence) {
            Ok(at) => Ok(u64::try_from(at).ok()),
            Err(Errno::ENXIO) => Ok(None),
            Err(e) => Err(io::Error::from(e)),
        }
    };
    let Some(start) = seek(from, Whence::SeekData)? else { return Ok(None) };
    let end = seek(start, Whence::SeekHole)?;
    Ok(end.map(|end| start..end))
}

/// Extents fetched per call.
const BATCH: usize = 256;

/// `struct fiemap` of linux/fiemap.h, with room for a batch of extents.
#[repr(C)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
    extents: [FiemapExtent; BATCH],
}

/// `struct fiemap_extent` of linux/fiemap.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct FiemapExtent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

const FIEMAP_FLAG_SYNC: u32 = 1;

/// `FS_IOC_FIEMAP`, declared by the size of the header alone.
const FS_IOC_FIEMAP: libc::Ioctl = nix::request_code_readwrite!(b'f', 11, 32);

/// The first extents of `file` that reach into `len` bytes at `start`, after writing back what is
/// dirty if `write_back`. Empty when only a hole is left.
pub fn extents(file: &File, start: u64, len: u64, write_back: bool) -> io::Result<Vec<Extent>> {
    let mut map = Box::new(Fiemap {
        start,
        length: len,
        flags: if write_back { FIEMAP_FLAG_SYNC } else { 0 },
        mapped_extents: 0,
        extent_count: BATCH as u32,
        reserved: 0,
        extents: [FiemapExtent::default(); BATCH],
    });
    // SAFETY: the kernel fills at most `extent_count` entries of `extents`, all of which are there,
    // and every bit pattern is a valid `FiemapExtent`.
    Errno::result(unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP, &raw mut *map) })?;
    let filled = map.extents.iter().take(map.mapped_extents as usize);
    Ok(filled
        .map(|e| Extent { logical: e.logical, physical: e.physical, len: e.length, flags: e.flags })
        .collect())
}

/// A file in `dir` that has no name; none where the file system cannot do that, or where
/// [`link_unnamed`] could not name it later.
pub fn open_unnamed(dir: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o666).custom_flags(libc::O_TMPFILE);
    match options.open(dir) {
        // Without /proc, as in a bare chroot.
        Ok(file) if fs::symlink_metadata(proc_path(&file)).is_err() => Ok(None),
        Ok(file) => Ok(Some(file)),
        Err(e) => match e.raw_os_error() {
            // Kernels before 3.11 take the flag for an attempt to open the directory for writing.
            Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EISDIR | libc::ENOENT | libc::EINVAL) => Ok(None),
            _ => Err(e),
        },
    }
}

/// Gives a file from [`open_unnamed`] the name `path`, which must be free.
pub fn link_unnamed(file: &File, path: &Path) -> io::Result<()> {
    let from = proc_path(file);
    Ok(linkat(AT_FDCWD, from.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)?)
}

fn proc_path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Opens whatever is at `path` only to look at it: needs no permission to read, and a named pipe
/// does not block.
pub fn open_to_look(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)
}

/// The name of the file system that `file` is on, and its block size as it says.
///
/// `statfs`'s `f_bsize` is the block size on XFS (1 KiB to 64 KiB), the sector size on Btrfs and the
/// record size on ZFS: what clones are aligned to. `stat`'s `st_blksize` is only a hint for I/O.
pub fn name_and_block_size(file: &File) -> io::Result<(String, u64)> {
    let stat = fstatfs(file.as_fd())?;
    // The type of the number differs between C libraries; all magic numbers have 32 bits.
    let name = match stat.filesystem_type().0 as u32 {
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0xca45_1a4e => "bcachefs",
        0x2fc1_2fc1 => "zfs",
        // Shared by ext2, ext3 and ext4; the ext4 driver mounts all of them.
        0xef53 => "ext4",
        0xf2f5_2010 => "f2fs",
        0x7461_636f => "ocfs2",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlayfs",
        0x6969 => "nfs",
        0xff53_4d42 | 0xfe53_4d42 => "cifs",
        0x00c3_6400 => "ceph",
        0x0102_1997 => "9p",
        0x6573_5546 => "fuse",
        0x4d44 => "vfat",
        0x2011_bab0 => "exfat",
        0x7366_746e => "ntfs3",
        magic => return Ok((format!("this file system ({magic:#x})"), block_size(&stat))),
    };
    Ok((name.into(), block_size(&stat)))
}

fn block_size(stat: &nix::sys::statfs::Statfs) -> u64 {
    u64::try_from(stat.block_size()).unwrap_or(0)
}

/// What this process can allocate without swapping, in bytes: what the machine has left, or what the limits of its
/// control groups leave, if that is less.
pub fn available_memory() -> Option<u64> {
    [machine_memory(), crate::cgroup::available_memory()].into_iter().flatten().min()
}

/// What programs can allocate without swapping, by the kernel's estimate, in bytes.
fn machine_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// `mallopt(M_MMAP_THRESHOLD)`: once it is set, it does not rise by itself any more.
pub fn give_back_large_buffers() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number that only the allocator knows of.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
    }
}

/// `madvise(MADV_HUGEPAGE)` for what of `buffer` is whole pages of 2 MiB.
pub fn advise_huge_pages(buffer: &mut [MaybeUninit<u8>]) -> io::Result<()> {
    const HUGE: usize = 2 << 20;
    let before = buffer.as_ptr().align_offset(HUGE).min(buffer.len());
    let whole = &mut buffer[before..];
    let len = whole.len() / HUGE * HUGE;
    if len == 0 {
        return Ok(());
    }
    // SAFETY: the range is within a buffer that nobody else uses meanwhile, and this advice changes nothing that
    // is in it.
    unsafe { madvise(NonNull::from(whole).cast(), len, MmapAdvise::MADV_HUGEPAGE)? };
    Ok(())
}

/// `copy_file_range`; the number of bytes copied can be less than `len`.
pub fn copy_file_range(
    src: &File,
    src_offset: u64,
    dst: &File,
    dst_offset: u64,
    len: u64,
) -> io::Result<u64> {
    let (mut from, mut to) = (signed(src_offset)?, signed(dst_offset)?);
    let len = len.min(1 << 30) as usize;
    Ok(fcntl::copy_file_range(src, Some(&mut from), dst, Some(&mut to), len)? as u64)
}

/// `fallocate` that leaves the length of the file alone.
pub fn preallocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    Ok(fcntl::fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, signed(offset)?, signed(len)?)?)
}

/// `posix_fadvise(POSIX_FADV_SEQUENTIAL)` for the whole file.
pub fn advise_sequential(file: &File) -> io::Result<()> {
    Ok(fcntl::posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_SEQUENTIAL)?)
}

/// `posix_fadvise(POSIX_FADV_DONTNEED)`.
pub fn drop_cache(file: &File, offset: u64, len: u64) -> io::Result<()> {
    Ok(fcntl::posix_fadvise(file, signed(offset)?, signed(len)?, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?)
}

/// `sync_file_range(SYNC_FILE_RANGE_WRITE)`.
pub fn start_writeback(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let (offset, len) = (signed(offset)?, signed(len)?);
    // SAFETY: takes no pointers.
    let result = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE) };
    Ok(Errno::result(result).map(drop)?)
}

/// `umount2(MNT_DETACH)`.
pub fn detach(path: &Path) -> io::Result<()> {
    use nix::mount::MntFlags;
    Ok(nix::mount::umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?)
}

/// What the kernel reads ahead of a file system without a disk, by the number of its device.
pub fn set_read_ahead(device: u64, bytes: u64) -> io::Result<()> {
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    std::fs::write(format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb"), (bytes >> 10).to_string())
}

/// `ioprio_set(IOPRIO_WHO_PROCESS)` of a class and a level (`include/uapi/linux/ioprio.h`).
pub fn set_io_priority((class, level): (libc::c_int, u8)) -> io::Result<()> {
    const WHO_PROCESS: libc::c_int = 1;
    const CLASS_SHIFT: u32 = 13;
    // SAFETY: takes no pointers.
    let result = unsafe {
        libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, class << CLASS_SHIFT | libc::c_int::from(level))
    };
    Ok(Errno::result(result).map(drop)?)
}

fn signed(offset: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_codes_are_the_kernels() {
        // As a C program prints them that includes linux/fs.h.
        assert_eq!(FS_IOC_FIEMAP, 0xc020_660b);
        assert_eq!(nix::request_code_write!(0x94, 13, size_of::<libc::file_clone_range>()), 0x4020_940d);
        assert_eq!(size_of::<FiemapExtent>(), 56);
        assert_eq!(std::mem::offset_of!(Fiemap, extents), 32);
    }
}
