//! Where the bytes of a published file go: to their own places, or to those in an aligned file.
//!
//! The published bytes can be read back from there in their order, which is how their hash is checked.

use std::fs::File;
use std::path::Path;

use ggraft_platform::{read_exact_at, write_all_at};

use crate::align::arrange;
use crate::checkpoint::{SourceTensor, read_file};
use crate::error::{Error, Result};
use crate::source;

/// A file as it is published, and as it will be here.
#[derive(Debug, Default)]
pub struct Layout {
    /// The published bytes before `start`, which are replaced.
    pub head: Vec<u8>,
    /// What the file begins with instead.
    pub header: Vec<u8>,
    /// First published byte that is kept.
    pub start: u64,
    /// Length of the published file in bytes.
    pub published: u64,
    /// Length of the file here in bytes.
    pub len: u64,
    /// What is kept, in published order, without gaps: first byte there, first byte here.
    moves: Vec<(u64, u64)>,
}

impl Layout {
    /// Nothing changes.
    pub fn plain(published: u64) -> Self {
        Self { published, len: published, moves: vec![(0, 0)], ..Self::default() }
    }

    /// The safetensors file `file` aligned to `block` bytes; plain if it is already.
    ///
    /// # Errors
    /// What is wrong with its header, or reading it.
    pub fn aligned(file: &source::File, block: u64) -> Result<Self> {
        let found = read_file(file)?;
        let (start, metadata) = (found.data_start, found.metadata);
        let tensors = found.tensors.into_iter().map(|t| SourceTensor {
            name: t.name,
            dtype: t.dtype,
            shape: t.shape,
            file: 0,
            offset: start + t.begin,
            len: t.end - t.begin,
        });
        let tensors: Vec<_> = tensors.collect();
        let members = (0..tensors.len()).collect();
        let arrangement = arrange(&tensors, members, metadata.as_ref(), start, block)
            .map_err(|problem| Error::unsupported(problem).at(file.path()))?;
        if arrangement.is_aligned {
            return Ok(Self::plain(file.len()));
        }
        let moved = arrangement.places.iter().map(|&(i, at)| (tensors[i].offset, at, tensors[i].len));
        let mut moves: Vec<_> = moved.filter(|(.., len)| *len > 0).map(|(from, to, _)| (from, to)).collect();
        moves.sort_unstable();
        let header = arrangement.header;
        let len = header.len() as u64 + (file.len() - start);
        Ok(Self { head: file.read_range(0, start)?, header, start, published: file.len(), len, moves })
    }

    /// Whether the file here is another one than the published one.
    pub fn is_aligned(&self) -> bool {
        !self.header.is_empty()
    }

    /// The places here of `len` published bytes from `at` on: first byte here, and how many are together.
    fn places(&self, at: u64, len: u64) -> impl Iterator<Item = (u64, u64)> {
        let first = self.moves.partition_point(|(from, _)| *from <= at).saturating_sub(1);
        let ends = self.moves[first..].iter().skip(1).map(|(from, _)| *from).chain([self.published]);
        self.moves[first..].iter().zip(ends).map_while(move |(&(from, to), end)| {
            let (begin, end) = (from.max(at), end.min(at + len));
            (begin < end).then(|| (to + (begin - from), end - begin))
        })
    }

    /// Writes published `bytes` from `at` on to their places in `file`, which is called `path`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, file: &File, path: &Path, at: u64, mut bytes: &[u8]) -> Result<()> {
        for (to, len) in self.places(at, bytes.len() as u64) {
            let (part, rest) = bytes.split_at(len as usize);
            write_all_at(file, part, to).map_err(|e| Error::io("cannot write", path, e))?;
            bytes = rest;
        }
        Ok(())
    }

    /// Reads published bytes from `at` on back from `file`, which is called `path`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read(&self, file: &File, path: &Path, at: u64, mut out: &mut [u8]) -> Result<()> {
        for (from, len) in self.places(at, out.len() as u64) {
            let (part, rest) = out.split_at_mut(len as usize);
            read_exact_at(file, part, from).map_err(|e| Error::io("cannot read", path, e))?;
            out = rest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_bytes_are_read_back_from_wherever_they_went() {
        let layout = Layout {
            head: vec![9; 10],
            header: vec![1; 64],
            start: 10,
            published: 60,
            len: 114,
            moves: vec![(10, 94), (30, 64), (35, 69)],
        };
        let scratch = tempfile::NamedTempFile::new().unwrap();
        let (file, path) = (scratch.as_file(), scratch.path());
        let bytes: Vec<u8> = (10..60).collect();
        for (at, end) in [(10, 13), (13, 31), (31, 60)] {
            layout.write(file, path, at as u64, &bytes[at - 10..end - 10]).unwrap();
        }
        for at in 10..60u64 {
            for end in at..=60 {
                let mut out = vec![0; (end - at) as usize];
                layout.read(file, path, at, &mut out).unwrap();
                assert_eq!(out, bytes[at as usize - 10..end as usize - 10], "{at}..{end}");
            }
        }
        let mut moved = vec![0; 50];
        ggraft_platform::read_exact_at(file, &mut moved, 64).unwrap();
        let expected: Vec<u8> = (30..60).chain(10..30).collect();
        assert_eq!(moved, expected);
    }
}
