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

/// Writes back what is dirty of `len` bytes from byte `start` on, then answers with the first extents of them, in order,
/// cut to the range; not all if there are many. Empty where only a hole is left. None where the file system has no extent
/// map (tmpfs).
///
/// # Errors
/// What the operating system says.
pub fn extents_at(file: &File, start: u64, len: u64) -> io::Result<Option<Vec<Extent>>> {
    let Some(batch) = batch(file, start, len, true)? else { return Ok(None) };
    let end = start.saturating_add(len);
    Ok(Some(batch.into_iter().map(|e| e.within(start, end)).filter(|e| e.len > 0).collect()))
}

fn batch(file: &File, start: u64, len: u64, write_back: bool) -> io::Result<Option<Vec<Extent>>> {
    loop {
        match sys::extents(file, start, len, write_back) {
            Ok(batch) => return Ok(Some(batch)),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => match e.raw_os_error() {
                Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::ENOSYS) => return Ok(None),
                _ => return Err(e),
            },
        }
    }
}

fn walk(file: &File, write_back: bool, mut each: impl FnMut(Extent)) -> io::Result<bool> {
    let len = file.metadata()?.len();
    let mut at = 0;
    while at < len {
        let Some(batch) = batch(file, at, len - at, write_back)? else { return Ok(false) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_an_extent_is_cut_off_on_the_disk() {
        let extent = Extent { logical: 100, physical: 7000, len: 50, flags: 3 };
        let within = |from, to| {
            let Extent { logical, physical, len, flags } = extent.within(from, to);
            assert_eq!(flags, 3);
            (logical, physical, len)
        };
        assert_eq!(within(0, 1000), (100, 7000, 50));
        assert_eq!(within(110, 1000), (110, 7010, 40));
        assert_eq!(within(0, 120), (100, 7000, 20));
        assert_eq!(within(110, 120), (110, 7010, 10));
        assert_eq!(within(150, 200).2, 0);
        assert_eq!(within(0, 100).2, 0);
    }
}
