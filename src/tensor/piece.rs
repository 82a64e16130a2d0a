//! Strided walks: where the elements of a tensor come from, in output order, as nested loops over source tensors.
//!
//! Loops are merged as far as possible, so that a piece whose elements lie one after another is a single loop of
//! stride 1. Knows nothing of shapes.

use std::sync::Arc;

use smallvec::SmallVec;

use super::arithmetic::Arithmetic;
use crate::dtype::Packing;

/// A strided walk over one leaf, yielding elements in output order.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// What is walked.
    pub leaf: Leaf,
    /// What is computed from each element, in this order.
    pub arithmetic: Vec<Arithmetic<usize>>,
    /// First element, counted from the leaf's start.
    pub offset: u64,
    /// Nested loops, outermost first, merged as far as possible. No entry has length 1;
    /// an empty list is a single element.
    pub dims: Dims,
}

/// Loops, outermost first. Nearly always there is one, which then takes no memory of its own.
pub type Dims = SmallVec<[Dim; 1]>;

/// One loop of a [`Piece`]: `len` steps of `stride` elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dim {
    /// Number of steps.
    pub len: u64,
    /// Distance between steps, in elements of the leaf.
    pub stride: u64,
}

/// Where elements come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Leaf {
    /// Tensor with this index in `Checkpoint::tensors`.
    Source(usize),
    /// Integers packed into a source tensor.
    Codes(Arc<Codes>),
    /// Generated values; always F32 in the output.
    Values(Arc<[f32]>),
    /// Generated integers; always I64 in the output.
    Integers(Arc<[i64]>),
    /// Zeros of the output's type.
    Zeros,
}

/// Packed integers as the elements of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Index of the tensor that holds them, as for [`Leaf::Source`].
    pub source: usize,
    /// How they lie in it.
    pub packing: Packing,
    /// Their order as elements: loops over integers, outermost first, from the first one on.
    pub view: Dims,
}

impl Piece {
    /// Number of elements the walk yields.
    pub fn elements(&self) -> u64 {
        self.dims.iter().map(|d| d.len).product()
    }

    /// Whether it goes through groups of `group` neighbours in the leaf, the first of which begins there.
    pub fn is_in_groups(&self, group: u64) -> bool {
        let whole = |dim: &Dim| if dim.stride == 1 { dim.len } else { dim.stride }.is_multiple_of(group);
        let together = self.dims.last().is_some_and(|dim| dim.stride == 1);
        together && self.offset.is_multiple_of(group) && self.dims.iter().all(whole)
    }

    /// Whether the elements lie one after another in the leaf.
    pub fn is_contiguous(&self) -> bool {
        matches!(self.dims.as_slice(), [] | [Dim { stride: 1, .. }])
    }
}

/// Drops loops of one step and joins loops that continue each other.
pub(super) fn merged(dims: impl IntoIterator<Item = Dim>) -> Dims {
    let mut out = Dims::new();
    for dim in dims.into_iter().filter(|d| d.len != 1) {
        match out.last_mut() {
            Some(outer) if dim.len.checked_mul(dim.stride) == Some(outer.stride) => {
                *outer = Dim { len: outer.len * dim.len, stride: dim.stride };
            }
            _ => out.push(dim),
        }
    }
    out
}

/// Regroups loops so that group *i* yields axis *i* of `shape`; none if a loop straddles axes in
/// a way no stride can express.
pub(super) fn split_by_axis(dims: &[Dim], shape: &[u64]) -> Option<Vec<Dims>> {
    if dims.iter().any(|d| d.len == 0) {
        return None;
    }
    let mut rest = Dims::from(dims);
    let mut axes = Vec::with_capacity(shape.len());
    for &axis_len in shape.iter().rev() {
        let (mut want, mut axis) = (axis_len, Dims::new());
        while want > 1 {
            let dim = rest.pop()?;
            if want % dim.len == 0 {
                want /= dim.len;
                axis.insert(0, dim);
            } else if dim.len % want == 0 {
                axis.insert(0, Dim { len: want, stride: dim.stride });
                rest.push(Dim { len: dim.len / want, stride: dim.stride * want });
                want = 1;
            } else {
                return None;
            }
        }
        axes.insert(0, axis);
    }
    rest.is_empty().then_some(axes)
}
