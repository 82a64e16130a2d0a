//! A strided walk over a source file, and the runs of bytes it consists of.

use std::sync::Arc;

use crate::dtype::{Dtype, Packing};
use crate::tensor::{Arithmetic, Dim, Dims};

/// A strided walk over elements of one source file.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk {
    /// Index into [`Plan::sources`](super::Plan::sources).
    pub file: usize,
    /// Byte offset of the first element in the file.
    pub offset: u64,
    /// Element type in the file.
    pub dtype: Dtype,
    /// Nested loops, outermost first, strides in elements; merged (see [`crate::tensor::Piece`]).
    pub dims: Dims,
    /// Index of the first element in its source tensor, which is how `arithmetic` finds scales.
    pub first: u64,
    /// What is computed from each element.
    pub arithmetic: Vec<Arithmetic<Place>>,
    /// Set if the elements are integers packed into words. Then `offset` is where the tensor starts, whatever `first` is,
    /// `dtype` is what they are when unpacked, U8, and elements are what is counted everywhere else.
    pub codes: Option<Arc<CodeOrder>>,
}

/// How a [`Walk`] over packed integers goes through them.
#[derive(Clone, Debug, PartialEq)]
pub struct CodeOrder {
    /// How they lie in words.
    pub packing: Packing,
    /// Position of the walk's first element in the order in which `arithmetic` counts them.
    pub first: u64,
    /// The walk's loops over positions in that order.
    pub dims: Dims,
}

/// Where a source tensor lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into [`Plan::sources`](super::Plan::sources).
    pub file: usize,
    /// Byte offset in the file.
    pub offset: u64,
    /// Element type.
    pub dtype: Dtype,
    /// Number of elements.
    pub elements: u64,
}

/// A run of neighbouring elements of a [`Walk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First element, counted from the walk's `offset`.
    pub at: u64,
    /// Number of elements.
    pub len: u64,
}

impl Walk {
    /// Number of elements the walk yields.
    pub fn elements(&self) -> u64 {
        self.dims.iter().map(|d| d.len).product()
    }

    /// Whether an element holds two elements of the output.
    pub fn is_packed(&self) -> bool {
        self.arithmetic.iter().any(|step| step.group().is_some())
    }

    /// Whether it is one run of bytes.
    pub fn is_contiguous(&self) -> bool {
        matches!(self.dims.as_slice(), [] | [Dim { stride: 1, .. }])
    }

    /// Whether elements that follow each other in the output do so in the source, too, a run at a time.
    pub fn keeps_neighbours(&self) -> bool {
        matches!(self.dims.last(), None | Some(Dim { stride: 1, .. }))
    }

    /// Whether it goes through the source from front to back, though it may leave parts of it out.
    pub fn keeps_order(&self) -> bool {
        self.dims.windows(2).all(|pair| pair[0].stride >= (pair[1].len - 1) * pair[1].stride)
    }

    /// Length in bytes of the runs it consists of; all have the same.
    pub fn run_bytes(&self) -> u64 {
        split_dims(&self.dims).1 * self.dtype.size()
    }

    /// The runs that make up `count` elements from element `first` of the walk on, in order.
    pub fn runs(&self, first: u64, count: u64) -> impl Iterator<Item = Run> + '_ {
        runs(&self.dims, first, count)
    }

    /// The positions by which `arithmetic` finds what belongs to `count` elements from element `first` of the walk on, as runs
    /// from the start of the source tensor.
    pub fn positions(&self, first: u64, count: u64) -> impl Iterator<Item = Run> + '_ {
        let (start, dims) = match &self.codes {
            Some(codes) => (codes.first, &codes.dims),
            None => (self.first, &self.dims),
        };
        runs(dims, first, count).map(move |run| Run { at: run.at + start, ..run })
    }
}

/// Runs of nested loops: those of `count` steps from step `first` on.
fn runs(dims: &[Dim], first: u64, count: u64) -> impl Iterator<Item = Run> + '_ {
    let (outer, run) = split_dims(dims);
    let (mut next, end) = (first, first + count);
    std::iter::from_fn(move || {
        if next >= end {
            return None;
        }
        let (mut index, within) = (next / run, next % run);
        let mut at = within;
        for dim in outer.iter().rev() {
            at += index % dim.len * dim.stride;
            index /= dim.len;
        }
        let len = (run - within).min(end - next);
        next += len;
        Some(Run { at, len })
    })
}

/// The outer loops and the length in elements of the innermost runs.
pub(super) fn split_dims(dims: &[Dim]) -> (&[Dim], u64) {
    match dims.split_last() {
        Some((Dim { len, stride: 1 }, outer)) => (outer, *len),
        _ => (dims, 1),
    }
}
