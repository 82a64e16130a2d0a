//! Positional reads, writes and copies (no cursor, so that threads can share a file), and hints to
//! the page cache.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use crate::sys;

/// Fills `buffer` from byte `offset` of `file`.
///
/// # Errors
/// `UnexpectedEof` if the file ends first.
pub fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

/// Appends `len` bytes from `offset` on to `bytes`, without writing zeros there before.
///
/// # Errors
/// `UnexpectedEof` if the file ends first, or has no such offset. Then `bytes` is as it was.
pub fn append_exact_at(file: &File, bytes: &mut Vec<u8>, offset: u64, len: usize) -> io::Result<()> {
    let beyond = || io::Error::from(io::ErrorKind::UnexpectedEof);
    bytes.try_reserve_exact(len)?;
    let room = bytes.spare_capacity_mut().get_mut(..len).ok_or_else(beyond)?;
    let mut done = 0;
    while done < len {
        let at = offset.checked_add(done as u64).and_then(|at| libc::off_t::try_from(at).ok());
        let (at, rest) = (at.ok_or_else(beyond)?, room.get_mut(done..).ok_or_else(beyond)?);
        // SAFETY: the descriptor is an open file, and `rest` is memory of this length that nobody else uses.
        let read = unsafe { libc::pread(file.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len(), at) };
        match usize::try_from(read) {
            Ok(0) => return Err(beyond()),
            Ok(read) => done += read,
            Err(_) => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => {}
                e => return Err(e),
            },
        }
    }
    let filled = bytes.len() + len;
    // SAFETY: there is room for them, and the kernel filled all of it.
    unsafe { bytes.set_len(filled) };
    Ok(())
}

/// Writes all of `bytes` at byte `offset` of `file`.
///
/// # Errors
/// What the operating system says.
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Copies up to `len` bytes of `src` at `src_offset` to `dst` at `dst_offset` within the kernel, and answers
/// how many. Fewer means that the kernel or the file system cannot do this, that `src` ends, or an error; copy
/// the rest with [`read_exact_at`] and [`write_all_at`], which will tell.
///
/// On a file system that shares blocks the kernel silently shares them wherever both offsets
/// are aligned. Where bytes must not be shared, do not use this on such offsets.
pub fn copy_in_kernel(src: &File, src_offset: u64, dst: &File, dst_offset: u64, len: u64) -> u64 {
    let mut done = 0;
    while done < len {
        let (Some(from), Some(to)) = (src_offset.checked_add(done), dst_offset.checked_add(done)) else {
            break;
        };
        match sys::copy_file_range(src, from, dst, to, len - done) {
            // The end of the file, or a file system that says so without meaning it.
            Ok(0) => break,
            Ok(copied) => done += copied,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    done
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

/// The first stretch of data in `file` from byte `from` on; none if there is none, only a hole up to the end.
/// Where the file system knows no holes, all is data. Moves the file's cursor, which positional reads do not
/// look at.
///
/// # Errors
/// What the operating system says.
pub fn next_data(file: &File, from: u64) -> io::Result<Option<Range<u64>>> {
    sys::next_data(file, from)
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

    #[test]
    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    fn data_is_found_behind_holes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(12 << 20).unwrap();
        assert_eq!(next_data(&file, 0).unwrap(), None);
        write_all_at(&file, &[1; 8192], 4 << 20).unwrap();
        let data = next_data(&file, 0).unwrap().unwrap();
        assert!(data.start <= 4 << 20 && data.start > 0 && data.end >= (4 << 20) + 8192, "{data:?}");
        assert!(next_data(&file, data.end).unwrap().is_none_or(|more| more.start > data.end));
    }

    fn numbered(len: usize) -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        (file, bytes)
    }

    #[test]
    fn what_the_kernel_copied_is_right() {
        let (src, bytes) = numbered(100_000);
        for (from, len, to) in [
            (0, 100_000, 0),
            (1, 4096, 4096),
            (4096, 70_001, 3),
            (99_999, 1, 0),
            (7, 0, 7),
            (99_000, 5000, 8),
        ] {
            let dst = tempfile::tempfile().unwrap();
            let copied = copy_in_kernel(&src, from, &dst, to, len);
            assert!(copied <= len.min(100_000 - from));
            let mut found = vec![0; copied as usize];
            read_exact_at(&dst, &mut found, to).unwrap();
            assert_eq!(found, bytes[from as usize..][..copied as usize]);
            assert_eq!(dst.metadata().unwrap().len(), if copied == 0 { 0 } else { to + copied });
        }
    }

    #[test]
    fn what_the_kernel_cannot_copy_it_leaves() {
        let (file, bytes) = numbered(10_000);
        // Overlapping, past the end, past the end of all numbers.
        for (from, to, len) in [(100, 0, 9_900), (10_000, 0, 1), (u64::MAX, 0, 2), (0, u64::MAX, 2)] {
            assert_eq!(copy_in_kernel(&file, from, &file, to, len), 0);
        }
        let mut found = vec![0; 10_000];
        read_exact_at(&file, &mut found, 0).unwrap();
        assert_eq!(found, bytes);
    }

    #[test]
    fn bytes_are_appended_or_nothing_is() {
        let (file, bytes) = numbered(10_000);
        let mut found = vec![7; 3];
        append_exact_at(&file, &mut found, 9_000, 1_000).unwrap();
        append_exact_at(&file, &mut found, 10_000, 0).unwrap();
        for (offset, len) in [(9_001, 1_000), (10_000, 1), (u64::MAX, 1), (1 << 63, 1)] {
            assert!(append_exact_at(&file, &mut found, offset, len).is_err());
        }
        assert_eq!((&found[..3], &found[3..]), (&[7; 3][..], &bytes[9_000..]));
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
