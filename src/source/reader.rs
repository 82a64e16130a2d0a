//! A file read from start to end, for parsers that want [`Read`] and [`Seek`].

use std::io::{self, Read, Seek, SeekFrom};

use super::File;

/// A position in a [`File`].
#[derive(Debug)]
pub struct Reader {
    file: File,
    at: u64,
}

impl Reader {
    /// From the start of `file` on.
    pub fn new(file: File) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.file.len().saturating_sub(self.at)).unwrap_or(usize::MAX);
        let len = out.len().min(rest);
        self.file.read_exact_at(&mut out[..len], self.at).map_err(io::Error::other)?;
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.file.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
