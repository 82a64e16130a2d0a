//! The extent map of a file: the only truth about what is shared.

use std::fs::File;
use std::io;

use crate::sys;

/// Bytes of a file by what the extent map says of them. Holes count as neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtentUsage {
    /// In extents that other files refer to as well.
    pub shared: u64,
    /// In extents of this file alone.
    pub unique: u64,
}

/// A run of bytes of a file that lie together on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where in the file, in bytes.
    pub logical: u64,
    /// Where on the disk, in bytes; means nothing but equality to most file systems.
    pub physical: u64,
    /// Bytes.
    pub len: u64,
    /// `FIEMAP_EXTENT_*` of linux/fiemap.h.
    pub flags: u32,
}

const FIEMAP_EXTENT_LAST: u32 = 1;
const FIEMAP_EXTENT_SHARED: u32 = 0x2000;

impl Extent {
    /// Whether another file, or another place in this one, refers to these blocks as well.
    pub fn is_shared(&self) -> bool {
        self.flags & FIEMAP_EXTENT_SHARED != 0
    }

    fn end(&self) -> u64 {
        self.logical.saturating_add(self.len)
    }

    /// The part of the extent within the file's bytes `from..to`.
    fn within(self, from: u64, to: u64) -> Self {
        let logical = self.logical.max(from);
        let len = self.end().min(to).saturating_sub(logical);
        Self { logical, len, physical: self.physical.saturating_add(logical - self.logical), ..self }
    }
}

/// Writes back what is dirty, then shows every extent of `file` up to its length to `each`, in
/// order. Answers whether the file system has an extent map at all (tmpfs has none).
///
/// # Errors
/// What the operating system says.
pub fn for_each_extent(file: &File, each: impl FnMut(Extent)) -> io::Result<bool> {
    walk(file, true, each)
}

fn walk(file: &File, write_back: bool, mut each: impl FnMut(Extent)) -> io::Result<bool> {
    let len = file.metadata()?.len();
    let mut at = 0;
    while at < len {
        let batch = match sys::extents(file, at, len - at, write_back) {
            Ok(batch) => batch,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => match e.raw_os_error() {
                Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::ENOSYS) => return Ok(false),
                _ => return Err(e),
            },
        };
        let Some(last) = batch.last().copied() else { break };
        batch.into_iter().map(|e| e.within(at, len)).filter(|e| e.len > 0).for_each(&mut each);
        if last.flags & FIEMAP_EXTENT_LAST != 0 || last.end() <= at {
            break;
        }
        at = last.end();
    }
    Ok(true)
}

/// Counts shared and unique bytes of `file` up to its length; none where the file system has no extent map
/// (tmpfs). With `write_back`, what is dirty is written back first; otherwise it may count as what was there
/// before it was overwritten.
///
/// # Errors
/// What the operating system says.
pub fn shared_bytes(file: &File, write_back: bool) -> io::Result<Option<ExtentUsage>> {
    let mut usage = ExtentUsage::default();
    let known = walk(file, write_back, |extent| match extent.is_shared() {
        true => usage.shared += extent.len,
        false => usage.unique += extent.len,
    })?;
    Ok(known.then_some(usage))
}
