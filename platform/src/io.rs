//! Positional reads and writes: no cursor, so that threads can share a file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

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
