//! [`Strided`]: a tensor as strided walks, in normal form, and what moves its elements: reshape, transpose, slice.
//!
//! However a tensor was cut up and put together, it is a list of strided walks over source
//! tensors, in output order. That makes the planner's question trivial: a piece whose dims
//! have merged into one with stride 1, and of which nothing is computed, is one run of bytes
//! that can be cloned.

use smallvec::{SmallVec, smallvec};

use super::piece::{Dim, Leaf, Piece, merged, split_by_axis};
use crate::error::{Error, Result};
use crate::shape::Shape;

/// A tensor as movement over, and arithmetic on, source tensors and generated constants.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Strided {
    /// Dimensions, outermost first (Hugging Face order; GGUF writes them reversed).
    pub(super) shape: Shape,
    /// What to read, in output order. Their elements add up to the product of `shape`.
    pub(super) pieces: Pieces,
}

/// Most tensors are of one piece.
pub(super) type Pieces = SmallVec<[Piece; 1]>;

impl Strided {
    /// The whole source tensor `index`, as it lies in its file. Its element count must not
    /// overflow, which `Checkpoint` has checked.
    pub fn source(index: usize, shape: &[u64]) -> Self {
        let elements = shape.iter().product();
        Self {
            shape: Shape::from_slice(shape),
            pieces: smallvec![Piece {
                leaf: Leaf::Source(index),
                arithmetic: Vec::new(),
                offset: 0,
                dims: merged([Dim { len: elements, stride: 1 }]),
            }],
        }
    }

    /// A generated one-dimensional F32 tensor.
    pub fn values(values: Vec<f32>) -> Self {
        let shape = smallvec![values.len() as u64];
        Self::generated(shape, Leaf::Values(values.into()))
    }

    /// A generated one-dimensional I64 tensor.
    pub fn integers(values: Vec<i64>) -> Self {
        let shape = smallvec![values.len() as u64];
        Self::generated(shape, Leaf::Integers(values.into()))
    }

    /// Zeros, of whatever type the output has. Their number must not overflow.
    pub fn zeros(shape: &[u64]) -> Self {
        Self::generated(Shape::from_slice(shape), Leaf::Zeros)
    }

    fn generated(shape: Shape, leaf: Leaf) -> Self {
        let dims = merged([Dim { len: shape.iter().product(), stride: 1 }]);
        Self { shape, pieces: smallvec![Piece { leaf, arithmetic: Vec::new(), offset: 0, dims }] }
    }

    /// Dimensions, outermost first.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Strided walks in output order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// The same elements in the same order under another shape.
    ///
    /// # Errors
    /// If the element counts differ.
    pub fn reshape(mut self, shape: &[u64]) -> Result<Self> {
        let elements = shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d));
        if elements != Some(self.elements()) {
            return Err(shape_error(format!("cannot reshape {:?} to {shape:?}", self.shape)));
        }
        self.shape = Shape::from_slice(shape);
        Ok(self)
    }

    /// The same without axes of length 1.
    pub fn squeeze(mut self) -> Self {
        self.shape.retain(|len| *len != 1);
        self
    }

    /// Exchanges axes `a` and `b`.
    ///
    /// # Errors
    /// If an axis does not exist, or the tensor was put together from several parts in a way
    /// that does not fall on axis boundaries.
    pub fn swap_axes(mut self, a: usize, b: usize) -> Result<Self> {
        let rank = self.shape.len();
        if a >= rank || b >= rank {
            return Err(shape_error(format!("no axes {a} and {b} in {:?}", self.shape)));
        }
        let joined = self.pieces.len() > 1;
        if joined && (a == 0 || b == 0) && a != b {
            return Err(shape_error(format!("cannot transpose {:?} after joining tensors", self.shape)));
        }
        let row: u64 = self.shape.iter().skip(1).product();
        for piece in &mut self.pieces {
            let mut shape = self.shape.clone();
            if joined {
                // Parts of whole rows: all axes but the outermost are those of the whole.
                shape[0] = piece.elements().checked_div(row).unwrap_or(0);
            }
            let mut axes = split_by_axis(&piece.dims, &shape)
                .ok_or_else(|| shape_error(format!("axes of {:?} do not match its strides", self.shape)))?;
            axes.swap(a, b);
            piece.dims = merged(axes.into_iter().flatten());
        }
        self.shape.swap(a, b);
        Ok(self)
    }

    /// Takes `axis` for `outer` groups of `inner` parts, and puts the first parts first, then the second.
    pub fn regroup(self, axis: usize, outer: u64, inner: u64) -> Result<Self> {
        let (shape, mut split) = (self.shape.clone(), self.shape.clone());
        let parts = outer.checked_mul(inner).filter(|parts| *parts > 0);
        let size = self.shape.get(axis).zip(parts).filter(|(len, parts)| *len % *parts == 0);
        let Some((len, parts)) = size else {
            return Err(shape_error(format!("no {outer} groups of {inner} along axis {axis} of {shape:?}")));
        };
        split[axis] = len / parts;
        split.insert_many(axis, [outer, inner]);
        self.reshape(&split)?.swap_axes(axis, axis + 1)?.reshape(&shape)
    }

    /// Every `step`-th of `start..end` along `axis`.
    ///
    /// # Errors
    /// As [`Strided::swap_axes`]; also if the range does not fit, or `step` does not divide it.
    pub fn slice(self, axis: usize, start: u64, end: u64, step: u64) -> Result<Self> {
        let Some(&len) = self.shape.get(axis).filter(|len| start <= end && end <= **len) else {
            return Err(shape_error(format!("no {start}..{end} along axis {axis} of {:?}", self.shape)));
        };
        if step == 0 || !(end - start).is_multiple_of(step) {
            return Err(shape_error(format!("no steps of {step} in {start}..{end}")));
        }
        let mut shape = self.shape.clone();
        shape[axis] = (end - start) / step;
        let row: u64 = self.shape.iter().skip(1).product();
        if axis == 0 && self.pieces.len() > 1 {
            return if step == 1 {
                self.rows(start, end)
            } else {
                Err(shape_error("steps over joined tensors".into()))
            };
        }
        let mut pieces = self.pieces;
        for piece in &mut pieces {
            let mut whole = self.shape.clone();
            if axis > 0 {
                whole[0] = piece.elements().checked_div(row).unwrap_or(0);
            }
            let mut axes = split_by_axis(&piece.dims, &whole)
                .filter(|axes| axes[axis].len() <= 1 || (start, end, step) == (0, len, 1))
                .ok_or_else(|| shape_error(format!("axes of {:?} do not match its strides", self.shape)))?;
            if let [dim] = axes[axis].as_mut_slice() {
                piece.offset += start * dim.stride;
                *dim = Dim { len: (end - start) / step, stride: dim.stride * step };
            }
            piece.dims = merged(axes.into_iter().flatten());
        }
        Ok(Self { shape, pieces })
    }

    /// Rows `start..end` of the outermost axis.
    ///
    /// # Errors
    /// If the range does not fit, or joined parts are cut in the middle.
    pub fn rows(self, start: u64, end: u64) -> Result<Self> {
        if self.pieces.len() == 1 {
            return self.slice(0, start, end, 1);
        }
        let Some((_, inner)) = self.shape.split_first().filter(|(n, _)| start <= end && end <= **n) else {
            return Err(shape_error(format!("no rows {start}..{end} in {:?}", self.shape)));
        };
        let row: u64 = inner.iter().product();
        let mut shape = self.shape.clone();
        shape[0] = end - start;
        let (mut at, mut pieces) = (0, Pieces::new());
        for piece in self.pieces {
            let next = at + piece.elements();
            if at >= start * row && next <= end * row {
                pieces.push(piece);
            } else if next > start * row && at < end * row {
                return Err(shape_error(format!(
                    "rows {start}..{end} of {:?} cut a joined part",
                    self.shape
                )));
            }
            at = next;
        }
        Ok(Self { shape, pieces })
    }
}

pub(super) fn shape_error(problem: String) -> Error {
    Error::shape(problem)
}
