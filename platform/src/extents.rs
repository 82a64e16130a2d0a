//! The extent map of a file: the only truth about what is shared.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;

/// Bytes of a file by what the extent map says of them. Holes count as neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtentUsage {
    /// In extents that other files refer to as well.
    pub shared: u64,
    /// In extents of this file alone.
    pub unique: u64,
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
    extents: [Extent; BATCH],
}

/// `struct fiemap_extent` of linux/fiemap.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Extent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

const FIEMAP_FLAG_SYNC: u32 = 1;
const FIEMAP_EXTENT_LAST: u32 = 1;
const FIEMAP_EXTENT_SHARED: u32 = 0x2000;

/// `FS_IOC_FIEMAP`, declared by the size of the header alone.
const FS_IOC_FIEMAP: libc::Ioctl = nix::request_code_readwrite!(b'f', 11, 32);

/// Writes back what is dirty, then counts shared and unique bytes of `file` up to its length; none where
/// the file system has no extent map (tmpfs).
///
/// # Errors
/// What the operating system says.
pub fn shared_bytes(file: &File) -> io::Result<Option<ExtentUsage>> {
    let len = file.metadata()?.len();
    let mut usage = ExtentUsage::default();
    let mut at = 0;
    while at < len {
        let mut map = Box::new(Fiemap {
            start: at,
            length: len - at,
            flags: FIEMAP_FLAG_SYNC,
            mapped_extents: 0,
            extent_count: BATCH as u32,
            reserved: 0,
            extents: [Extent::default(); BATCH],
        });
        // SAFETY: the kernel fills at most `extent_count` entries of `extents`, all of which are there,
        // and every bit pattern is a valid `Extent`.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP, &raw mut *map) };
        match Errno::result(result) {
            Ok(_) => {}
            Err(Errno::EOPNOTSUPP | Errno::ENOTTY | Errno::ENOSYS) => return Ok(None),
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        let extents = &map.extents[..(map.mapped_extents as usize).min(BATCH)];
        let Some(last) = extents.last() else { break };
        for extent in extents {
            let start = extent.logical.max(at);
            let end = extent.logical.saturating_add(extent.length).min(len);
            let bytes = end.saturating_sub(start);
            match extent.flags & FIEMAP_EXTENT_SHARED {
                0 => usage.unique += bytes,
                _ => usage.shared += bytes,
            }
        }
        let next = last.logical.saturating_add(last.length);
        if last.flags & FIEMAP_EXTENT_LAST != 0 || next <= at {
            break;
        }
        at = next;
    }
    Ok(Some(usage))
}
