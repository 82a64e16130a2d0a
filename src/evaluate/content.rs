//! What a range of an output holds, and computing it.

use super::arithmetic::Evaluation;
use super::buffers::{Buffers, part_of};
use super::overflow;
use super::sources::Sources;
use crate::dtype::{Dtype, GgmlType};
use crate::error::Result;
use crate::kernels;
use crate::plan::{Action, Spot, Walk};

/// Where the bytes of a range come from.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A range of source `file`, as it is.
    Raw { file: usize, offset: u64 },
    /// Elements of a walk from `first` on, converted to `to`, if it is given.
    Walk { walk: &'a Walk, first: u64, to: Option<GgmlType> },
    /// These.
    Bytes(&'a [u8]),
    /// Zeros.
    Zeros,
}

/// How many elements of a walk give how many bytes of output, at least.
pub fn unit(walk: &Walk, to: Option<GgmlType>) -> (u64, u64) {
    match to {
        None => (1, walk.dtype.size()),
        Some(to) if walk.is_packed() => (to.block_size() / 2, to.type_size()),
        Some(to) => (to.block_size(), to.type_size()),
    }
}

impl<'a> Content<'a> {
    /// What a step holds at one of its places. A clone is read like a copy.
    pub fn at(spot: Spot<'a>) -> Self {
        match &spot.step.action {
            Action::Clone { file, offset } | Action::Copy { file, offset } => {
                Self::Raw { file: *file, offset: offset + spot.source_shift }
            }
            Action::Gather { walk, first, quiet } => {
                // What makes NaNs quiet is the conversion of the type to itself.
                let to = quiet.then_some(GgmlType::BF16);
                Self::Walk { walk, first: first + spot.shift / walk.dtype.size(), to }
            }
            Action::Encode { walk, first, to } => Self::Walk { walk, first: *first, to: Some(*to) },
            Action::Bytes(bytes) => Self::Bytes(bytes),
            // A spot's step is no pattern.
            Action::Zero | Action::Repeat(_) => Self::Zeros,
        }
    }

    /// Fills `out`, a whole number of [units](unit), from the first on. Answers how many numbers became infinite.
    ///
    /// # Errors
    /// If a source cannot be read, or is shorter than it was.
    pub fn fill(self, sources: &Sources, out: &mut [u8], buffers: &mut Buffers) -> Result<u64> {
        match self {
            Self::Raw { file, offset } => sources.read(file, out, offset)?,
            Self::Walk { walk, first, to: None } => sources.gather(walk, first, out, &mut buffers.scratch)?,
            Self::Walk { walk, first, to: Some(GgmlType::BF16) }
                if walk.dtype == Dtype::BF16 && walk.arithmetic.is_empty() =>
            {
                sources.gather(walk, first, out, &mut buffers.scratch)?;
                kernels::quiet_bf16(out);
            }
            Self::Walk { walk, first, to: Some(to) } => {
                let (elements, bytes) = unit(walk, Some(to));
                let count = out.len() as u64 / bytes * elements;
                let raw = part_of(&mut buffers.raw, count * walk.dtype.size());
                sources.gather(walk, first, raw, &mut buffers.scratch)?;
                if walk.arithmetic.is_empty() {
                    return Ok(overflow::convert(walk.dtype, to, raw, out));
                }
                let mut evaluation = Evaluation::new(sources, walk);
                if !walk.is_packed() {
                    return evaluation.encode(first, raw, to, out);
                }
                evaluation.repack(first, raw, out)?;
            }
            Self::Bytes(bytes) => out.copy_from_slice(bytes),
            Self::Zeros => out.fill(0),
        }
        Ok(0)
    }
}
