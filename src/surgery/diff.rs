//! `ggraft diff`: what two GGUF files have in common, key by key and tensor by tensor.
//!
//! What extent maps show to be the same blocks is not read. Knows files and bytes; of numbers only how far apart two are.

mod report;
mod values;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ggraft_platform::interrupt;

use super::input::{Input, without_ones};
use crate::compare;
use crate::error::{Error, Result};
use crate::gguf::Value;
use crate::plan::Stored;
use crate::source::File;
use values::Distance;

pub use report::{Difference, Key, State, Tensor};

/// Bytes that are read of each file at a time; a multiple of the blocks of every type whose values are compared.
const CHUNK: u64 = 1 << 20;

/// Most bytes that one thread compares before it looks for more.
const PIECE: u64 = 16 * CHUNK;

/// More threads than this do not make reading faster.
const MOST_THREADS: usize = 8;

/// Compares the files (or sets) at `a` and `b`, and tells `progress` of bytes as they are compared.
///
/// # Errors
/// If one cannot be read, or [`Error::Interrupted`]. A difference is none.
pub fn diff(a: &Path, b: &Path, read_all: bool, progress: &mut dyn FnMut(u64)) -> Result<Difference> {
    let (a, b) = (Input::set(a)?, Input::set(b)?);
    let mut found = Difference { keys: keys(&a, &b), ..Difference::default() };
    let mut theirs: HashMap<&str, &Stored> =
        b.tensors.iter().map(|tensor| (tensor.info.name.as_str(), tensor)).collect();
    let mut pairs = Vec::new();
    for tensor in &a.tensors {
        let other = theirs.remove(tensor.info.name.as_str());
        if let Some(other) = other.filter(|other| same_layout(tensor, other)) {
            pairs.push((found.tensors.len(), tensor, other));
        }
        found.tensors.push(Tensor::new(Some(tensor), other));
    }
    let only_b = b.tensors.iter().filter(|tensor| theirs.contains_key(tensor.info.name.as_str()));
    found.tensors.extend(only_b.map(|tensor| Tensor::new(None, Some(tensor))));
    found.is_reordered = found.has_same_tensors()
        && !a.tensors.iter().map(|t| &t.info.name).eq(b.tensors.iter().map(|t| &t.info.name));

    let mut pieces = Vec::new();
    for (index, tensor, other) in pairs {
        for (start, len) in unproven(tensor, other, [&a, &b], read_all)? {
            cut(&mut pieces, index, [tensor, other], start, len);
            found.tensors[index].shared -= len;
            found.compared += len;
        }
        found.shared += found.tensors[index].shared;
        progress(found.tensors[index].shared);
    }
    compare(&pieces, &a.sources, &b.sources, &mut found, progress)?;
    a.model.check_unchanged()?;
    b.model.check_unchanged()?;
    Ok(found)
}

/// Whether bytes can be held against each other. Outermost dimensions of one element say nothing.
fn same_layout(a: &Stored, b: &Stored) -> bool {
    let (a, b) = (&a.info, &b.info);
    without_ones(&a.shape) == without_ones(&b.shape) && a.type_id == b.type_id && a.bytes == b.bytes
}

/// Ranges of a tensor, by first byte and length, that extent maps do not show to be the same blocks.
fn unproven(a: &Stored, b: &Stored, inputs: [&Input; 2], read_all: bool) -> Result<Vec<(u64, u64)>> {
    let len = a.info.bytes;
    if read_all || len == 0 {
        return Ok(if len > 0 { vec![(0, len)] } else { Vec::new() });
    }
    let files = [&inputs[0].sources[a.file], &inputs[1].sources[b.file]];
    compare::unproven(files[0], a.offset, files[1], b.offset, len)
}

/// A stretch of two tensors to be compared.
struct Piece {
    /// Index into the tensors of the result.
    tensor: usize,
    files: (usize, usize),
    /// First byte in either file.
    at: (u64, u64),
    /// First byte in the tensor.
    within: u64,
    len: u64,
    type_id: u32,
}

/// Adds `len` bytes from byte `start` of `tensor`, which both files have.
fn cut(pieces: &mut Vec<Piece>, tensor: usize, [a, b]: [&Stored; 2], start: u64, len: u64) {
    let (files, type_id) = ((a.file, b.file), a.info.type_id);
    let mut done = 0;
    while done < len {
        let within = start + done;
        let part = (len - done).min(PIECE);
        let at = (a.offset + within, b.offset + within);
        pieces.push(Piece { tensor, files, at, within, len: part, type_id });
        done += part;
    }
}

/// Compares `pieces` in parallel and adds what is found to the tensors of `found`.
fn compare(
    pieces: &[Piece],
    a: &[File],
    b: &[File],
    found: &mut Difference,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let threads = thread::available_parallelism().map_or(1, |n| n.get()).min(MOST_THREADS);
    let (next, done, results) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        let mut buffers = [Vec::new(), Vec::new()];
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            let distance = piece.compare(&a[piece.files.0], &b[piece.files.1], &mut buffers);
            let failed = distance.is_err();
            done.fetch_add(piece.len as usize, Ordering::Relaxed);
            let mut results = results.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            results.push((piece.tensor, distance));
            if failed {
                next.store(pieces.len(), Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        (1..threads.min(pieces.len())).for_each(|_| _ = scope.spawn(work));
        work();
    });
    progress(done.into_inner() as u64);
    for (tensor, distance) in results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        found.tensors[tensor].add(&distance?);
    }
    Ok(())
}

impl Piece {
    fn compare(&self, a: &File, b: &File, buffers: &mut [Vec<u8>; 2]) -> Result<Distance> {
        let mut distance = Distance::default();
        let mut done = 0;
        while done < self.len {
            if interrupt::interrupted() {
                return Err(Error::Interrupted);
            }
            let part = (self.len - done).min(CHUNK) as usize;
            buffers.iter_mut().for_each(|buffer| buffer.resize(part, 0));
            a.read_exact_at(&mut buffers[0], self.at.0 + done)?;
            b.read_exact_at(&mut buffers[1], self.at.1 + done)?;
            if buffers[0] != buffers[1] {
                distance.add(self.type_id, self.within + done, &buffers[0], &buffers[1]);
            }
            done += part as u64;
        }
        Ok(distance)
    }
}

/// Key-values that differ, in the order of the first file, then of the second.
fn keys(a: &Input, b: &Input) -> Vec<Key> {
    let key = |name: &str, a: Option<&Value>, b: Option<&Value>| Key {
        name: name.to_owned(),
        a: a.cloned(),
        b: b.cloned(),
    };
    let differs = a
        .metadata
        .iter()
        .filter(|(name, value)| !b.metadata.get(name).is_some_and(|other| value.has_bits_of(other)));
    let mut keys: Vec<Key> =
        differs.map(|(name, value)| key(name, Some(value), b.metadata.get(name))).collect();
    let only_b = b.metadata.iter().filter(|(name, _)| a.metadata.get(name).is_none());
    keys.extend(only_b.map(|(name, value)| key(name, None, Some(value))));
    keys
}
