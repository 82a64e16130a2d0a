//! Positional reads, writes and copies (no cursor, so that threads can share a file), and hints to
//! the page cache.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::sys;

/// Fills `buffer` from byte `offset` of `file`.
///
/// # Errors
/// `UnexpectedEof` if the file ends first.
pub fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

/// Writes all of `bytes` at byte `offset` of `file`.
///
/// # Errors
/// What the operating system says.
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Copies `len` bytes of `src` at `src_offset` to `dst` at `dst_offset`: within the kernel if it can,
/// else through `buffer`.
///
/// On a file system that shares blocks the kernel silently shares them wherever both offsets
/// are aligned. Where bytes must not be shared, use [`read_exact_at`] and [`write_all_at`].
///
/// # Errors
/// `UnexpectedEof` if `src` ends first, `InvalidInput` for an empty buffer or offsets that overflow.
pub fn copy_range(
    src: &File,
    src_offset: u64,
    len: u64,
    dst: &File,
    dst_offset: u64,
    buffer: &mut [u8],
) -> io::Result<()> {
    let overflows = src_offset.checked_add(len).is_none() || dst_offset.checked_add(len).is_none();
    if buffer.is_empty() || overflows {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut done = 0;
    while done < len {
        match sys::copy_file_range(src, src_offset + done, dst, dst_offset + done, len - done) {
            // The end of the file, or a file system that says so without meaning it.
            Ok(0) => break,
            Ok(copied) => done += copied,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // Many errors only mean that the kernel cannot do this; one that is real comes again below.
            Err(_) => break,
        }
    }
    while done < len {
        let count = buffer.len().min(usize::try_from(len - done).unwrap_or(usize::MAX));
        let chunk = &mut buffer[..count];
        src.read_exact_at(chunk, src_offset + done)?;
        dst.write_all_at(chunk, dst_offset + done)?;
        done += count as u64;
    }
    Ok(())
}

/// Reserves blocks for `len` bytes of `file` at `offset`, without changing its length or what it
/// reads as. Only for what will be written: blocks reserved where a clone follows are thrown away again.
/// Does nothing where the file system cannot reserve.
///
/// # Errors
/// `StorageFull`, or what else the operating system says.
pub fn preallocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    loop {
        match sys::preallocate(file, offset, len) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => return Ok(()),
            other => return other,
        }
    }
}

/// Tells the kernel that `file` will be read from start to end, so that it reads further ahead.
///
/// # Errors
/// What the operating system says; it can be ignored.
pub fn advise_sequential(file: &File) -> io::Result<()> {
    sys::advise_sequential(file)
}

/// Lets the kernel forget its cached copy of `len` bytes at `offset`. Dirty bytes stay: call
/// [`start_writeback`] some time before.
///
/// # Errors
/// What the operating system says; it can be ignored.
pub fn drop_cache(file: &File, offset: u64, len: u64) -> io::Result<()> {
    // To the kernel a length of 0 means "to the end of the file".
    if len == 0 { Ok(()) } else { sys::drop_cache(file, offset, len) }
}

/// Starts to write dirty bytes among the `len` at `offset` to the disk, without waiting for the end. Not a sync.
///
/// # Errors
/// What the operating system says; it can be ignored.
pub fn start_writeback(file: &File, offset: u64, len: u64) -> io::Result<()> {
    if len == 0 { Ok(()) } else { sys::start_writeback(file, offset, len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(len: usize) -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        (file, bytes)
    }

    #[test]
    fn copies_any_range() {
        let (src, bytes) = numbered(100_000);
        for (from, len, to) in
            [(0, 100_000, 0), (1, 4096, 4096), (4096, 70_001, 3), (99_999, 1, 0), (7, 0, 7)]
        {
            let dst = tempfile::tempfile().unwrap();
            copy_range(&src, from, len, &dst, to, &mut [0; 1000]).unwrap();
            let mut copied = vec![0; len as usize];
            read_exact_at(&dst, &mut copied, to).unwrap();
            assert_eq!(copied, bytes[from as usize..][..len as usize]);
            assert_eq!(dst.metadata().unwrap().len(), if len == 0 { 0 } else { to + len });
        }
    }

    #[test]
    fn copies_what_the_kernel_cannot() {
        // Overlapping ranges of one file are EINVAL for the kernel; forward, through a buffer, they are
        // well-defined where the destination comes first.
        let (file, bytes) = numbered(10_000);
        copy_range(&file, 100, 9_900, &file, 0, &mut [0; 1000]).unwrap();
        let mut moved = vec![0; 9_900];
        read_exact_at(&file, &mut moved, 0).unwrap();
        assert_eq!(moved, bytes[100..]);
    }

    #[test]
    fn a_copy_past_the_end_is_an_error() {
        let (src, _) = numbered(5000);
        let dst = tempfile::tempfile().unwrap();
        let copy = |from, len, to, buffer: usize| {
            copy_range(&src, from, len, &dst, to, &mut vec![0; buffer]).map_err(|e| e.kind())
        };
        assert_eq!(copy(4000, 1001, 0, 64), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(copy(9000, 1, 0, 64), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(copy(u64::MAX, 1, 0, 64), Err(io::ErrorKind::InvalidInput));
        assert_eq!(copy(0, 1, u64::MAX, 64), Err(io::ErrorKind::InvalidInput));
        assert_eq!(copy(0, 1, 0, 0), Err(io::ErrorKind::InvalidInput));
    }

    #[test]
    fn hints_change_nothing() {
        let (file, bytes) = numbered(20_000);
        advise_sequential(&file).unwrap();
        for (offset, len) in [(0, 20_000), (1, 5), (0, 0), (19_999, 1 << 30)] {
            start_writeback(&file, offset, len).unwrap();
            drop_cache(&file, offset, len).unwrap();
            preallocate(&file, offset, len.min(1 << 16)).unwrap();
        }
        let mut read = vec![0; 20_000];
        read_exact_at(&file, &mut read, 0).unwrap();
        assert_eq!((read, file.metadata().unwrap().len()), (bytes, 20_000));
    }
}
