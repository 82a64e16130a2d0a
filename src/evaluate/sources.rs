//! The files that are read, and reading the elements of a walk from them.

use std::iter::Peekable;
use std::sync::atomic::{AtomicU64, Ordering};

use super::buffers::part_of;
use super::tile::{Tile, rearrange_elements};
use crate::dtype::Packing;
use crate::error::Result;
use crate::kernels;
use crate::plan::{Run, Walk};
use crate::source::File;

/// Runs with gaps of at most this many bytes between them are read together.
const GAP: u64 = 4096;

/// What is read together to be picked apart is at most this many bytes.
const WINDOW: u64 = 256 << 10;

/// The source files of a plan.
pub struct Sources<'a> {
    files: &'a [File],
    /// Whether what was read is of no use to anybody after it was written.
    forget: bool,
    /// Bytes that were read.
    read: AtomicU64,
}

impl<'a> Sources<'a> {
    /// With `forget`, cached pages are given back as soon as they were read.
    pub fn new(files: &'a [File], forget: bool) -> Self {
        Self { files, forget, read: AtomicU64::new(0) }
    }

    /// All of them.
    pub fn files(&self) -> &'a [File] {
        self.files
    }

    /// Source `file`.
    pub fn file(&self, file: usize) -> &File {
        &self.files[file]
    }

    /// Bytes that were read so far, without what the kernel copies.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Fills `out` from byte `offset` of source `file`.
    ///
    /// # Errors
    /// As [`File::read_exact_at`].
    pub fn read(&self, file: usize, out: &mut [u8], offset: u64) -> Result<()> {
        self.files[file].read_nearby(out, offset)?;
        self.read.fetch_add(out.len() as u64, Ordering::Relaxed);
        self.forget(file, offset, out.len() as u64);
        Ok(())
    }

    /// Tells that a range of source `file` is not needed again.
    pub fn forget(&self, file: usize, offset: u64, len: u64) {
        if self.forget {
            self.files[file].forget(offset, len);
        }
    }

    /// Reads the elements of `walk` from element `first` on into `out`, in the walk's order. `scratch` is a buffer
    /// to reuse between calls.
    ///
    /// # Errors
    /// As [`Sources::read`].
    pub fn gather(&self, walk: &Walk, first: u64, out: &mut [u8], scratch: &mut Vec<u8>) -> Result<()> {
        if is_shuffled(walk) && !out.is_empty() {
            return self.gather_box(walk, first, out, scratch);
        }
        if let Some(order) = &walk.codes {
            return self.gather_codes(walk, order.packing, first, out, scratch);
        }
        let size = walk.dtype.size();
        let mut runs = walk.runs(first, out.len() as u64 / size).peekable();
        let mut rest = out;
        let mut together: Vec<Run> = Vec::new();
        while let Some(end) = next_together(&mut runs, &mut together, GAP / size, WINDOW / size) {
            let run = together[0];
            let at = walk.offset + run.at * size;
            if let [run] = together.as_slice() {
                let (part, tail) = rest.split_at_mut((run.len * size) as usize);
                self.read(walk.file, part, at)?;
                rest = tail;
                continue;
            }
            scratch.resize(((end - run.at) * size) as usize, 0);
            self.read(walk.file, scratch, at)?;
            for Run { at, len } in &together {
                let (part, tail) = rest.split_at_mut((len * size) as usize);
                let from = ((at - run.at) * size) as usize;
                part.copy_from_slice(&scratch[from..from + part.len()]);
                rest = tail;
            }
        }
        Ok(())
    }

    /// [`Sources::gather`] of elements that lie in another order than they are wanted in: read in their own, and rearranged.
    fn gather_box(&self, walk: &Walk, first: u64, out: &mut [u8], scratch: &mut Vec<u8>) -> Result<()> {
        let size = walk.dtype.size();
        let count = out.len() as u64 / size;
        let (tile, before, step) = Tile::around(walk, first, count);
        if tile.elements() > 2 * count {
            // The end of one row and the beginning of the next.
            let head = step - before;
            let (out, rest) = out.split_at_mut((head * size) as usize);
            self.gather_box(walk, first, out, scratch)?;
            return self.gather_box(walk, first + head, rest, scratch);
        }
        let (source, steps) = (tile.in_source_order(walk), tile.steps(walk));
        // Rarely does that have gaps, and need memory for them.
        let mut buffer = std::mem::take(scratch);
        let raw = part_of(&mut buffer, tile.elements() * size);
        self.gather(&source, 0, raw, scratch)?;
        if raw.len() == out.len() {
            rearrange_elements(walk.dtype, raw, out, &steps);
        } else {
            let mut ordered = vec![0; raw.len()];
            rearrange_elements(walk.dtype, raw, &mut ordered, &steps);
            out.copy_from_slice(&ordered[(before * size) as usize..][..out.len()]);
        }
        *scratch = buffer;
        Ok(())
    }

    /// [`Sources::gather`] of packed integers, which become a byte each.
    fn gather_codes(
        &self,
        walk: &Walk,
        packing: Packing,
        first: u64,
        out: &mut [u8],
        scratch: &mut Vec<u8>,
    ) -> Result<()> {
        let (word, per_word) = (u64::from(packing.word), packing.per_word());
        let (gap, most) = (GAP / word * per_word, WINDOW / word * per_word);
        let pieces = walk.runs(first, out.len() as u64).flat_map(|run| {
            let cuts = (0..run.len).step_by(most as usize);
            cuts.map(move |at| Run { at: run.at + at, len: most.min(run.len - at) })
        });
        let mut runs = pieces.peekable();
        let (mut rest, mut together) = (out, Vec::new());
        while let Some(end) = next_together(&mut runs, &mut together, gap, most) {
            // Whole words, counted from the start of the tensor.
            let start = (walk.first + together[0].at) / per_word;
            let words = (walk.first + end).div_ceil(per_word) - start;
            scratch.resize((words * word) as usize, 0);
            self.read(walk.file, scratch, walk.offset + start * word)?;
            for Run { at, len } in &together {
                let (part, tail) = rest.split_at_mut(*len as usize);
                kernels::unpack(packing, scratch, (walk.first + at - start * per_word) as usize, part);
                rest = tail;
            }
        }
        Ok(())
    }
}

/// Whether `walk` comes by short runs in another order than they lie in.
fn is_shuffled(walk: &Walk) -> bool {
    let strides = || walk.dims.iter().map(|dim| dim.stride);
    walk.run_bytes() < GAP && !strides().is_sorted_by(|a, b| a >= b) && strides().all(|stride| stride > 0)
}

/// Takes the next of `runs` that are read together: gaps between them are at most `gap` elements, and all is at most `most`
/// elements long, unless it is a single run. Answers where they end.
fn next_together(
    runs: &mut Peekable<impl Iterator<Item = Run>>,
    together: &mut Vec<Run>,
    gap: u64,
    most: u64,
) -> Option<u64> {
    let run = runs.next()?;
    together.clear();
    together.push(run);
    let mut end = run.at + run.len;
    while let Some(next) =
        runs.next_if(|next| next.at >= end && next.at - end <= gap && next.at + next.len - run.at <= most)
    {
        end = next.at + next.len;
        together.push(next);
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::dtype::Dtype;
    use crate::tensor::Dim;

    fn walk(dims: &[(u64, u64)]) -> Walk {
        let dims = dims.iter().map(|&(len, stride)| Dim { len, stride }).collect();
        Walk { file: 0, offset: 3, dtype: Dtype::BF16, dims, first: 0, arithmetic: Vec::new(), codes: None }
    }

    /// Every part of the walk gives the elements that following its loops gives.
    #[test]
    fn gathers_any_part_of_any_walk() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..40_000u16).flat_map(u16::to_le_bytes).collect();
        file.write_all(b"odd").unwrap();
        file.write_all(&bytes).unwrap();
        let files = [File::open(file.path()).unwrap()];
        let sources = Sources::new(&files, true);
        let walks: [&[(u64, u64)]; 9] = [
            &[(400, 1)],
            &[(2, 48), (3, 8), (2, 24), (8, 1)],
            &[(20, 1), (20, 20)],
            &[(3, 500), (7, 1), (5, 2), (11, 40)],
            &[(2, 1), (2, 8), (2, 2), (2, 4)],
            &[(3, 130), (10, 13), (5, 1)],
            &[(4, 10_000), (3, 2100), (7, 1)],
            &[(400, 99)],
            &[],
        ];
        for walk in walks.map(walk) {
            let mut expected = vec![0u64];
            for dim in &walk.dims {
                expected =
                    expected.iter().flat_map(|o| (0..dim.len).map(move |i| o + i * dim.stride)).collect();
            }
            let expected: Vec<u8> = expected.iter().flat_map(|e| (*e as u16).to_le_bytes()).collect();
            for step in [1, 7, 48, 400] {
                let mut got = Vec::new();
                for first in (0..walk.elements()).step_by(step) {
                    let mut out = vec![0; 2 * step.min((walk.elements() - first) as usize)];
                    sources.gather(&walk, first, &mut out, &mut Vec::new()).unwrap();
                    got.extend(out);
                }
                assert_eq!(got, expected, "{:?} in steps of {step}", walk.dims);
            }
        }
    }

    #[test]
    fn a_shorter_file_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let files = [File::open(file.path()).unwrap()];
        let sources = Sources::new(&files, false);
        let error = sources.gather(&walk(&[(4, 1)]), 0, &mut [0; 8], &mut Vec::new()).unwrap_err();
        assert!(matches!(error, crate::error::Error::Invalid { .. }), "{error}");
    }
}
