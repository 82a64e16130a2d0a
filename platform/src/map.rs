//! Mapping the start of a file, for headers that are parsed once.

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::{Mmap, MmapOptions};

/// A read-only view of a file's first bytes.
struct Prefix(Mmap);

impl Deref for Prefix {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Maps the first `len` bytes of `file`.
///
/// The view is of a file that others may write to: between two reads of one byte its value can
/// change. Parse it once, and copy what is to be kept before checking it.
///
/// # Errors
/// `UnexpectedEof` when the file is shorter than `len`, else what the operating system says.
pub fn map_prefix(file: &File, len: u64) -> io::Result<impl Deref<Target = [u8]>> {
    if file.metadata()?.len() < len {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than its header"));
    }
    let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    // SAFETY: the mapping is read-only and lives as long as the value returned, and `len` was just
    // checked against the file. What no check can rule out is another process changing the file
    // now. Rewritten bytes are tolerable: callers get plain bytes, of which every value is valid,
    // with a length that stays what it is, and are told to copy before they check, so the worst is
    // an error or the new content. A file cut short raises SIGBUS on the first access, as it does in
    // every program that maps files; no output exists at that point. Nothing in this process
    // writes to files it maps.
    let map = unsafe { MmapOptions::new().len(len).map(file) }?;
    Ok(Prefix(map))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn sees_exactly_the_prefix() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"header and data").unwrap();
        assert_eq!(&*map_prefix(&file, 6).unwrap(), b"header");
        assert_eq!(&*map_prefix(&file, 0).unwrap(), b"");
    }

    #[test]
    fn refuses_to_reach_past_the_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"short").unwrap();
        let error = map_prefix(&file, 6).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(map_prefix(&file, u64::MAX).is_err());
    }
}
