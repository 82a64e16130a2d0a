//! What can be computed from the elements of a source tensor on their way to the output.
//!
//! Operations refer to elements by their place in the source tensor, not in the output, so they and
//! movement do not care about each other. `S` is how a source tensor is named: by its index in the
//! checkpoint for `arch`, by its place in a file once the planner has looked it up.

use std::sync::Arc;

use crate::dtype::{Dtype, Packing};

/// A step of a computation, carried out in F32; if the source is F16, results are rounded to F16 as torch
/// does.
#[derive(Clone, Debug, PartialEq)]
pub enum Arithmetic<S> {
    /// No rounding to F16 from here on.
    Widen,
    /// `x + constant`.
    Add(f32),
    /// `x * constant`.
    Multiply(f32),
    /// `exp(x)`.
    Exp,
    /// `-exp(x)`.
    NegExp,
    /// `1 / x`.
    Reciprocal,
    /// The value that a table has for the integer `x`.
    Table(Arc<[f32]>),
    /// The nearest number of this type, F16 or BF16.
    Round(Dtype),
    /// `x * constant`, rounded to -1, 0 or 1, and divided by the constant again.
    Ternary(f32),
    /// `x * scale of its block`, without rounding to F16.
    Scale(Arc<Scale<S>>),
    /// `x / scale of its block`.
    Divide(Arc<Scale<S>>),
    /// `x - zero point of its block`.
    Minus(Arc<Scale<S>>),
    /// `x + y`, where *y* is an element of another tensor, or of the same.
    Plus {
        /// Where *y* is, found as a scale is.
        other: Arc<Scale<S>>,
        /// The element of it that counts as the first.
        first: u64,
    },
    /// `x + scale · product`, where the product of two thin matrices has an element for each of the source's.
    Update(Arc<Update<S>>),
    /// From bytes of two neighbouring four-bit codes, the first in the low half, 16 bytes to a block, to
    /// blocks of MXFP4.
    Mxfp4 {
        /// One byte per block, in the blocks' order in the source: its power of two, plus 127.
        scales: S,
    },
    /// From bytes of two neighbouring four-bit codes, the first in the low half, 8 bytes to a group with a scale, to
    /// blocks of NVFP4, which are four groups.
    Nvfp4 {
        /// One F8_E4M3 number per group, in the groups' order in the source.
        scales: S,
    },
}

/// A product of two thin matrices, scaled: what low-rank adaptation adds to a matrix, whose element in row *i* and column
/// *j* becomes `x + scale · Σ left[i][k] · right[j][k]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Update<S> {
    /// A vector for each row of the matrix.
    pub left: Factor<S>,
    /// A vector for each of its columns.
    pub right: Factor<S>,
    /// Length of the vectors.
    pub rank: u64,
    /// Number of the matrix's columns.
    pub columns: u64,
    /// What the product is multiplied with.
    pub scale: f32,
}

/// One of the two matrices, as vectors. One of the steps is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor<S> {
    /// The tensor that holds it.
    pub source: S,
    /// Distance between the beginnings of two vectors, in elements.
    pub vector_step: u64,
    /// Distance between a vector's elements.
    pub step: u64,
}

impl<S> Factor<S> {
    /// The same with another name for the source.
    fn at<T>(&self, source: T) -> Factor<T> {
        Factor { source, vector_step: self.vector_step, step: self.step }
    }

    /// The last element that `count` vectors of length `rank` have; none if that is absurd.
    pub fn last(&self, count: u64, rank: u64) -> Option<u64> {
        let [vectors, elements] = [(count, self.vector_step), (rank, self.step)]
            .map(|(count, step)| count.checked_sub(1)?.checked_mul(step));
        vectors?.checked_add(elements?)
    }
}

/// Scales of a tensor, one for each block of it; or zero points, or what else is computed with.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale<S> {
    /// The tensor of scales.
    pub source: S,
    /// How they lie in it, if they are integers packed into words. They are counted in the order in which they lie there.
    pub packing: Option<Packing>,
    /// What is computed from each before it is used.
    pub steps: Vec<Arithmetic<S>>,
    /// The blocks along the innermost axis, if they are not of neighbours.
    pub list: Option<List<S>>,
    /// How an element's scale is found, one entry for each axis of the scaled tensor, outermost first.
    pub grid: Vec<GridAxis>,
}

/// A list of the blocks that the positions along an axis belong to.
#[derive(Clone, Debug, PartialEq)]
pub struct List<S> {
    /// The tensor of their numbers, one for each position.
    pub source: S,
    /// How many blocks there are.
    pub blocks: u64,
}

/// One axis of a scaled tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridAxis {
    /// The tensor's length along it, in elements.
    pub len: u64,
    /// Neighbours along it that share a scale.
    pub block: u64,
    /// Distance between the scales of neighbouring blocks, in elements of the tensor of scales; 0 if all
    /// have the same.
    pub stride: u64,
}

impl<S> Arithmetic<S> {
    /// How many elements in a row must stay together, if any must: those whose scale goes into the output with them.
    pub fn group(&self) -> Option<u64> {
        match self {
            Self::Mxfp4 { .. } => Some(16),
            Self::Nvfp4 { .. } => Some(8),
            _ => None,
        }
    }

    /// Tells `found` of every source tensor that it reads, besides the one it is applied to.
    pub fn sources(&self, found: &mut impl FnMut(&S)) {
        match self {
            Self::Scale(scale)
            | Self::Divide(scale)
            | Self::Minus(scale)
            | Self::Plus { other: scale, .. } => {
                scale.sources(found);
            }
            Self::Mxfp4 { scales } | Self::Nvfp4 { scales } => found(scales),
            Self::Update(update) => {
                [&update.left, &update.right].into_iter().for_each(|factor| found(&factor.source))
            }
            Self::Widen
            | Self::Add(_)
            | Self::Multiply(_)
            | Self::Exp
            | Self::NegExp
            | Self::Reciprocal
            | Self::Table(_)
            | Self::Round(_)
            | Self::Ternary(_) => {}
        }
    }

    /// The scales, zero points or the like that it computes with, and which element of them counts as the first.
    pub fn partners(&self) -> Option<(&Scale<S>, u64)> {
        match self {
            Self::Scale(scale) | Self::Divide(scale) | Self::Minus(scale) => Some((scale, 0)),
            Self::Plus { other, first } => Some((other, *first)),
            _ => None,
        }
    }

    /// The same with sources named by what `place` makes of their names.
    ///
    /// # Errors
    /// What `place` says.
    pub fn place<T, E>(&self, place: &mut impl FnMut(&S) -> Result<T, E>) -> Result<Arithmetic<T>, E> {
        Ok(match self {
            Self::Widen => Arithmetic::Widen,
            Self::Add(constant) => Arithmetic::Add(*constant),
            Self::Multiply(constant) => Arithmetic::Multiply(*constant),
            Self::Exp => Arithmetic::Exp,
            Self::NegExp => Arithmetic::NegExp,
            Self::Reciprocal => Arithmetic::Reciprocal,
            Self::Table(table) => Arithmetic::Table(table.clone()),
            Self::Round(dtype) => Arithmetic::Round(*dtype),
            Self::Scale(scale) => Arithmetic::Scale(scale.place(place)?),
            Self::Divide(scale) => Arithmetic::Divide(scale.place(place)?),
            Self::Minus(zeros) => Arithmetic::Minus(zeros.place(place)?),
            Self::Plus { other, first } => Arithmetic::Plus { other: other.place(place)?, first: *first },
            Self::Update(update) => Arithmetic::Update(Arc::new(Update {
                left: update.left.at(place(&update.left.source)?),
                right: update.right.at(place(&update.right.source)?),
                rank: update.rank,
                columns: update.columns,
                scale: update.scale,
            })),
            Self::Ternary(constant) => Arithmetic::Ternary(*constant),
            Self::Mxfp4 { scales } => Arithmetic::Mxfp4 { scales: place(scales)? },
            Self::Nvfp4 { scales } => Arithmetic::Nvfp4 { scales: place(scales)? },
        })
    }
}

impl<S> Scale<S> {
    /// The index of the scale of element `at` of the scaled tensor; where blocks are listed, of its line's first block.
    pub fn index(&self, mut at: u64) -> u64 {
        let (mut index, mut axes) = (0, self.grid.iter().rev());
        if self.list.is_some()
            && let Some(axis) = axes.next()
        {
            at /= axis.len;
        }
        for axis in axes {
            index += at % axis.len / axis.block * axis.stride;
            at /= axis.len;
        }
        index
    }

    /// The same scales after `step`.
    #[must_use]
    pub fn then(mut self, step: Arithmetic<S>) -> Self {
        self.steps.push(step);
        self
    }

    /// The scales that `source` has for the blocks of `grid`.
    pub fn of(source: S, grid: Vec<GridAxis>) -> Self {
        Self { source, packing: None, steps: Vec::new(), list: None, grid }
    }

    /// The same scales, which are packed.
    #[must_use]
    pub fn packed(mut self, packing: Packing) -> Self {
        self.packing = Some(packing);
        self
    }

    /// The same scales, by the blocks that `list` names along the innermost axis.
    #[must_use]
    pub fn listed(mut self, list: Option<List<S>>) -> Self {
        self.list = list;
        self
    }

    /// The same with sources named by what `place` makes of their names.
    ///
    /// # Errors
    /// What `place` says.
    fn place<T, E>(&self, place: &mut impl FnMut(&S) -> Result<T, E>) -> Result<Arc<Scale<T>>, E> {
        let list = match &self.list {
            Some(List { source, blocks }) => Some(List { source: place(source)?, blocks: *blocks }),
            None => None,
        };
        Ok(Arc::new(Scale {
            source: place(&self.source)?,
            packing: self.packing,
            steps: self.steps.iter().map(|step| step.place(place)).collect::<Result<_, _>>()?,
            list,
            grid: self.grid.clone(),
        }))
    }

    fn sources(&self, found: &mut impl FnMut(&S)) {
        found(&self.source);
        self.list.iter().for_each(|list| found(&list.source));
        self.steps.iter().for_each(|step| step.sources(found));
    }

    /// The scales of `count` elements from `at` on: their indices, and how many elements in a row have each.
    pub fn runs(&self, at: u64, count: u64) -> impl Iterator<Item = (u64, u64)> {
        let axis = self.grid.last().copied().unwrap_or(GridAxis { len: 1, block: 1, stride: 0 });
        let (mut at, end) = (at, at + count);
        let (mut index, mut left_of_line, mut left_of_block) = (0, 0, 0);
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            // Divisions are what this costs, so they are made once for a line of the innermost axis.
            if left_of_line == 0 {
                let within = at % axis.len;
                index = self.index(at);
                (left_of_line, left_of_block) = (axis.len - within, axis.block - within % axis.block);
            } else if left_of_block == 0 {
                index += axis.stride;
                left_of_block = axis.block;
            }
            let same = left_of_block.min(left_of_line).min(end - at);
            at += same;
            left_of_line -= same;
            left_of_block -= same;
            Some((index, same))
        })
    }

    /// The largest index there is; none if it is absurd.
    pub fn last(&self) -> Option<u64> {
        self.grid.iter().enumerate().try_fold(0u64, |last, (at, axis)| {
            let blocks = match &self.list {
                Some(list) if at + 1 == self.grid.len() => list.blocks.checked_sub(1)?,
                _ => axis.len.checked_sub(1)?.checked_div(axis.block)?,
            };
            last.checked_add(blocks.checked_mul(axis.stride)?)
        })
    }
}

impl Scale<usize> {
    /// The scales of a tensor of shape `weight` that lie in tensor `source` of shape `scales`, each for a
    /// block of `block` elements along the innermost axes. Without blocks, a scale is for all along each
    /// axis that `scales` has not, or has once; axes that are missing are the innermost. This is what
    /// the reference's `dequant_simple` does.
    ///
    /// # Errors
    /// If the shapes do not go together; the text says why.
    pub fn new(source: usize, weight: &[u64], scales: &[u64], block: Option<&[u64]>) -> Result<Self, String> {
        let mismatch = || match block {
            Some(block) => format!(
                "scales of shape {scales:?} in blocks of {block:?} do not fit weights of shape {weight:?}"
            ),
            None => format!("scales of shape {scales:?} do not fit weights of shape {weight:?}"),
        };
        if scales.len() > weight.len() {
            return Err(mismatch());
        }
        let unblocked = scales.len().checked_sub(block.map_or(0, <[u64]>::len)).ok_or_else(mismatch)?;
        let (mut grid, mut stride) = (Vec::with_capacity(weight.len()), 1u64);
        for (i, &len) in weight.iter().enumerate().rev() {
            let count = scales.get(i).copied().unwrap_or(1);
            let side = i.checked_sub(unblocked).and_then(|i| block?.get(i)).copied();
            let fits = match side {
                Some(side) => side > 0 && count.checked_mul(side).is_some_and(|covered| covered >= len),
                None => count == len,
            };
            grid.push(match fits {
                true => GridAxis { len, block: side.unwrap_or(1), stride },
                false if count == 1 && len > 0 => GridAxis { len, block: len, stride: 0 },
                false => return Err(mismatch()),
            });
            stride = stride.checked_mul(count).ok_or_else(mismatch)?;
        }
        grid.reverse();
        Ok(Self::of(source, grid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(weight: &[u64], scales: &[u64], block: Option<&[u64]>) -> Vec<u64> {
        let scale = Scale::new(0, weight, scales, block).unwrap();
        (0..weight.iter().product()).map(|at| scale.index(at)).collect()
    }

    #[test]
    fn scales_of_blocks_rows_and_everything() {
        let blocks = indices(&[3, 5], &[2, 3], Some(&[2, 2]));
        assert_eq!(blocks, [0, 0, 1, 1, 2, 0, 0, 1, 1, 2, 3, 3, 4, 4, 5]);
        let rows = [0, 0, 1, 1, 2, 2];
        assert_eq!(indices(&[3, 2], &[3, 1], None), rows);
        assert_eq!(indices(&[3, 2], &[3], None), rows);
        assert_eq!(indices(&[3, 2], &[], None), [0; 6]);
        assert_eq!(indices(&[3, 2], &[1], None), [0; 6]);
        let stacked = indices(&[2, 2, 2], &[2, 1, 2], Some(&[2, 1]));
        assert_eq!(stacked, [0, 1, 0, 1, 2, 3, 2, 3]);
    }

    #[test]
    fn runs_are_of_elements_with_the_same_scale() {
        let blocks = Scale::new(0, &[4, 10], &[2, 3], Some(&[2, 4])).unwrap();
        let rows = Scale::new(0, &[8, 5], &[8], None).unwrap();
        let one = Scale::new(0, &[40], &[], None).unwrap();
        for scale in [blocks, rows, one] {
            for (at, count) in [(0, 40), (3, 37), (9, 2), (13, 1), (7, 0), (20, 20)] {
                let runs: Vec<_> = scale.runs(at, count).collect();
                assert!(runs.iter().all(|(_, len)| *len > 0), "{runs:?}");
                let each = runs.iter().flat_map(|&(index, len)| (0..len).map(move |_| index));
                assert!(each.eq((at..at + count).map(|at| scale.index(at))), "{at} {count}: {runs:?}");
            }
        }
        assert_eq!(Scale::new(0, &[4, 10], &[2, 3], Some(&[2, 4])).unwrap().runs(0, 20).count(), 6);
    }

    #[test]
    fn scales_that_do_not_fit_are_refused() {
        for (weight, scales, block) in [
            (&[4u64, 4][..], &[1u64, 3][..], Some(&[2u64, 1][..])),
            (&[4, 4], &[2, 2], None),
            (&[4], &[4, 1], None),
            (&[4, 4], &[2], Some(&[2, 2])),
            (&[4, 4], &[2, 2], Some(&[0, 2])),
            (&[4, u64::MAX], &[4, u64::MAX], None),
        ] {
            assert!(Scale::new(0, weight, scales, block).is_err(), "{weight:?} {scales:?} {block:?}");
        }
    }
}
