//! A sink that measures how far what is computed is from what a file has.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::values::Distance;
use crate::error::Result;
use crate::evaluate::Sink;
use crate::source::File;

/// A tensor that both files have.
#[derive(Debug)]
pub struct Pair {
    /// Its index among all tensors.
    pub tensor: usize,
    /// Its first byte in the first file.
    pub at: u64,
    /// Its length in bytes.
    pub len: u64,
    /// ggml's number for its type.
    pub type_id: u32,
    /// Index of the other's file, and its first byte there.
    pub other: (usize, u64),
}

/// How far tensors are apart.
pub struct Distances<'a> {
    files: &'a [File],
    /// By file, in order.
    pairs: &'a [Vec<Pair>],
    /// By the index of the tensor; none of those that do not differ.
    found: Mutex<BTreeMap<usize, Distance>>,
}

impl<'a> Distances<'a> {
    /// Of what comes from what `files` have where `pairs` are.
    pub fn new(files: &'a [File], pairs: &'a [Vec<Pair>]) -> Self {
        Self { files, pairs, found: Mutex::default() }
    }

    /// Tensors that differ, by index, and how far.
    pub fn found(self) -> BTreeMap<usize, Distance> {
        self.found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Distances<'_> {
    fn put(&self, file: usize, at: u64, theirs: &[u8]) -> Result<()> {
        let mut ours = vec![0; theirs.len()];
        self.files[file].read_exact_at(&mut ours, at)?;
        if ours == theirs {
            return Ok(());
        }
        let (pairs, end) = (&self.pairs[file], at + theirs.len() as u64);
        let first = pairs.partition_point(|pair| pair.at + pair.len <= at);
        for pair in pairs[first..].iter().take_while(|pair| pair.at < end) {
            let (from, to) = (pair.at.max(at), (pair.at + pair.len).min(end));
            let range = (from - at) as usize..(to - at) as usize;
            let mut distance = Distance::default();
            distance.add(pair.type_id, from - pair.at, &ours[range.clone()], &theirs[range]);
            if distance.bytes > 0 {
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                found.entry(pair.tensor).or_default().merge(&distance);
            }
        }
        Ok(())
    }

    /// Of another file there are only bytes.
    fn zeros(&self, _: usize, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
}
