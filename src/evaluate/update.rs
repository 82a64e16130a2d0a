//! Adds to elements of a matrix those of a product of two thin ones, a panel at a time.
//!
//! The product is never there as a whole, nor need a factor be: of each, as much is in memory as a panel of the matrix
//! takes, however large rank and matrix are.

use super::sources::Sources;
use crate::error::Result;
use crate::kernels;
use crate::plan::{Place, Run};
use crate::tensor::{Factor, Update};

/// Rows and columns of a panel, and how much of the rank is multiplied at a time: 256 KiB of the larger factor.
const ROWS: u64 = 256;
const COLUMNS: u64 = 1024;
const RANK: u64 = 64;

/// Segments that are worked on together: a chunk of the matrix, unless its elements change places.
const SEGMENTS: usize = 4096;

/// Neighbouring elements of one row of the matrix, inside of a panel, and where they are in the chunk.
#[derive(Clone, Copy, Debug)]
struct Segment {
    at: usize,
    row: u64,
    column: u64,
    len: usize,
}

impl Segment {
    fn panel(&self) -> (u64, u64) {
        (self.row / ROWS, self.column / COLUMNS)
    }
}

/// Adds what `update` says to `values`, the elements of the matrix that `runs` are.
///
/// # Errors
/// If a factor cannot be read.
#[allow(clippy::cast_possible_truncation, reason = "segments are shorter than a panel's rows")]
pub fn apply(
    sources: &Sources,
    update: &Update<Place>,
    runs: impl Iterator<Item = Run>,
    values: &mut [f32],
) -> Result<()> {
    let mut panels = Panels { sources, update, bytes: Vec::new() };
    let (mut at, mut segments) = (0, Vec::new());
    for Run { at: first, len } in runs {
        let (mut from, end) = (first, first + len);
        while from < end {
            let (row, column) = (from / update.columns, from % update.columns);
            let len = (update.columns - column).min(COLUMNS - column % COLUMNS).min(end - from);
            if segments.len() == SEGMENTS {
                panels.add(&mut segments, values)?;
            }
            segments.push(Segment { at, row, column, len: len as usize });
            (at, from) = (at + len as usize, from + len);
        }
    }
    panels.add(&mut segments, values)
}

struct Panels<'a> {
    sources: &'a Sources<'a>,
    update: &'a Update<Place>,
    bytes: Vec<u8>,
}

impl Panels<'_> {
    /// Adds the product to all `segments`, which are no more afterwards.
    fn add(&mut self, segments: &mut Vec<Segment>, values: &mut [f32]) -> Result<()> {
        segments.sort_by_key(Segment::panel);
        let panels = segments.chunk_by(|a, b| a.panel() == b.panel());
        panels.into_iter().try_for_each(|segments| self.add_panel(segments, values))?;
        segments.clear();
        Ok(())
    }

    /// The same for segments of one panel.
    #[allow(clippy::cast_possible_truncation, reason = "a panel's sides are small")]
    fn add_panel(&mut self, segments: &[Segment], values: &mut [f32]) -> Result<()> {
        let span = |from: fn(&Segment) -> u64, to: fn(&Segment) -> u64| {
            let first = segments.iter().map(from).min().unwrap_or_default();
            (first, segments.iter().map(to).max().unwrap_or_default() - first)
        };
        let (top, rows) = span(|s| s.row, |s| s.row + 1);
        let (start, width) = span(|s| s.column, |s| s.column + s.len as u64);
        let mut sums = vec![0.0; segments.iter().map(|s| s.len).sum()];
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for first in (0..self.update.rank).step_by(RANK as usize) {
            let depth = RANK.min(self.update.rank - first);
            self.read(&self.update.left, (top, rows), (first, depth), true, &mut left)?;
            self.read(&self.update.right, (start, width), (first, depth), false, &mut right)?;
            let mut rest = sums.as_mut_slice();
            for segment in segments {
                let (sums, tail) = rest.split_at_mut(segment.len);
                let factors = &left[((segment.row - top) * depth) as usize..][..depth as usize];
                let columns = &right[(segment.column - start) as usize..];
                kernels::add_products(sums, factors, columns, width as usize);
                rest = tail;
            }
        }
        let mut rest = sums.as_slice();
        for segment in segments {
            let (sums, tail) = rest.split_at(segment.len);
            let values = &mut values[segment.at..][..segment.len];
            values.iter_mut().zip(sums).for_each(|(value, sum)| *value += sum * self.update.scale);
            rest = tail;
        }
        Ok(())
    }

    /// Reads part of a factor: `count` of its vectors from `first` on, of each `depth` elements from `start` on; one
    /// vector after the other if `by_vector`, else all first elements, all second and so on.
    #[allow(clippy::cast_possible_truncation, reason = "a panel's sides are small")]
    fn read(
        &mut self,
        factor: &Factor<Place>,
        (first, count): (u64, u64),
        (start, depth): (u64, u64),
        by_vector: bool,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        // What lies together in the file is read together.
        let lies_by_vector = factor.step == 1;
        let (outer, inner) = if lies_by_vector { (count, depth) } else { (depth, count) };
        let (outer_step, inner_step) = match lies_by_vector {
            true => (factor.vector_step, factor.step),
            false => (factor.step, factor.vector_step),
        };
        debug_assert_eq!(inner_step, 1, "one of two axes has neighbours");
        let origin = first * factor.vector_step + start * factor.step;
        let mut read = vec![0.0; (outer * inner) as usize];
        if outer_step == inner {
            self.elements(factor.source, origin, &mut read)?;
        } else {
            for (n, line) in read.chunks_exact_mut(inner as usize).enumerate() {
                self.elements(factor.source, origin + n as u64 * outer_step, line)?;
            }
        }
        if lies_by_vector == by_vector {
            *out = read;
            return Ok(());
        }
        out.clear();
        let columns = 0..inner as usize;
        out.extend(columns.flat_map(|column| read.iter().skip(column).step_by(inner as usize)));
        Ok(())
    }

    fn elements(&mut self, place: Place, first: u64, out: &mut [f32]) -> Result<()> {
        let size = place.dtype.size();
        self.bytes.resize(out.len() * size as usize, 0);
        self.sources.read(place.file, &mut self.bytes, place.offset + first * size)?;
        kernels::decode(place.dtype, &self.bytes, out);
        Ok(())
    }
}
