//! [`TensorExpr`]: movement (reshape, transpose, slice, concat, stack) in normal form.
//!
//! However a tensor was cut up and put together, it is a list of strided walks over source
//! tensors, in output order. That makes the planner's question trivial: a piece whose dims
//! have merged into one with stride 1 is one run of bytes that can be cloned.

use std::sync::Arc;

use crate::error::{Error, Result};

/// A tensor as movement over source tensors and generated constants.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorExpr {
    /// Dimensions, outermost first (Hugging Face order; GGUF writes them reversed).
    shape: Vec<u64>,
    /// What to read, in output order. Their elements add up to the product of `shape`.
    pieces: Vec<Piece>,
}

/// A strided walk over one leaf, yielding elements in output order.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// What is walked.
    pub leaf: Leaf,
    /// First element, counted from the leaf's start.
    pub offset: u64,
    /// Nested loops, outermost first, merged as far as possible. No entry has length 1;
    /// an empty list is a single element.
    pub dims: Vec<Dim>,
}

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
    /// Generated values; always F32 in the output.
    Values(Arc<[f32]>),
}

impl Piece {
    /// Number of elements the walk yields.
    pub fn elements(&self) -> u64 {
        self.dims.iter().map(|d| d.len).product()
    }

    /// Whether the elements lie one after another in the leaf.
    pub fn is_contiguous(&self) -> bool {
        matches!(self.dims.as_slice(), [] | [Dim { stride: 1, .. }])
    }
}

impl TensorExpr {
    /// The whole source tensor `index`, as it lies in its file. Its element count must not
    /// overflow, which `Checkpoint` has checked.
    pub fn source(index: usize, shape: &[u64]) -> Self {
        let elements = shape.iter().product();
        Self {
            shape: shape.to_vec(),
            pieces: vec![Piece {
                leaf: Leaf::Source(index),
                offset: 0,
                dims: merged([Dim { len: elements, stride: 1 }]),
            }],
        }
    }

    /// A generated one-dimensional F32 tensor.
    pub fn values(values: Vec<f32>) -> Self {
        let len = values.len() as u64;
        let leaf = Leaf::Values(values.into());
        Self {
            shape: vec![len],
            pieces: vec![Piece { leaf, offset: 0, dims: merged([Dim { len, stride: 1 }]) }],
        }
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
        self.shape = shape.to_vec();
        Ok(self)
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
        let [piece] = self.pieces.as_mut_slice() else {
            return Err(shape_error(format!("cannot transpose {:?} after joining tensors", self.shape)));
        };
        let mut axes = split_by_axis(&piece.dims, &self.shape)
            .ok_or_else(|| shape_error(format!("axes of {:?} do not match its strides", self.shape)))?;
        axes.swap(a, b);
        piece.dims = merged(axes.into_iter().flatten());
        self.shape.swap(a, b);
        Ok(self)
    }

    /// Rows `start..end` of the outermost axis.
    ///
    /// # Errors
    /// If the range does not fit, or joined parts are cut in the middle.
    pub fn rows(self, start: u64, end: u64) -> Result<Self> {
        let Some((&len, inner)) = self.shape.split_first().filter(|(n, _)| start <= end && end <= **n) else {
            return Err(shape_error(format!("no rows {start}..{end} in {:?}", self.shape)));
        };
        let row: u64 = inner.iter().product();
        let mut shape = self.shape.clone();
        shape[0] = end - start;
        if let [piece] = self.pieces.as_slice() {
            let axes = split_by_axis(&piece.dims, &[len, row])
                .filter(|axes| axes[0].len() <= 1)
                .ok_or_else(|| shape_error(format!("rows of {:?} do not match its strides", self.shape)))?;
            let stride = axes[0].first().map_or(0, |d| d.stride);
            let rows = Dim { len: end - start, stride };
            let piece = Piece {
                leaf: piece.leaf.clone(),
                offset: piece.offset + start * stride,
                dims: merged([rows].into_iter().chain(axes.into_iter().skip(1).flatten())),
            };
            return Ok(Self { shape, pieces: vec![piece] });
        }
        let (mut at, mut pieces) = (0, Vec::new());
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

    /// Joins tensors along the outermost axis; all other dimensions must agree.
    ///
    /// # Errors
    /// If there are none, or shapes differ.
    pub fn concat(parts: Vec<Self>) -> Result<Self> {
        let Some(mut shape) = parts.first().map(|p| p.shape.clone()) else {
            return Err(shape_error("nothing to join".into()));
        };
        for part in &parts {
            if part.shape.is_empty() || part.shape[1..] != shape[1..] {
                return Err(shape_error(format!("cannot join {shape:?} and {:?}", part.shape)));
            }
        }
        shape[0] = parts
            .iter()
            .try_fold(0u64, |n, p| n.checked_add(p.shape[0]))
            .ok_or_else(|| shape_error("joined tensor is too large".into()))?;
        Ok(Self { shape, pieces: parts.into_iter().flat_map(|p| p.pieces).collect() })
    }

    /// Puts tensors of one shape under a new outermost axis.
    ///
    /// # Errors
    /// If there are none, or shapes differ.
    pub fn stack(parts: Vec<Self>) -> Result<Self> {
        let parts = parts.into_iter().map(|mut p| {
            p.shape.insert(0, 1);
            p
        });
        Self::concat(parts.collect())
    }
}

fn shape_error(problem: String) -> Error {
    Error::Unsupported(format!("unexpected tensor shape: {problem}"))
}

/// Drops loops of one step and joins loops that continue each other.
fn merged(dims: impl IntoIterator<Item = Dim>) -> Vec<Dim> {
    let mut out: Vec<Dim> = Vec::new();
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
fn split_by_axis(dims: &[Dim], shape: &[u64]) -> Option<Vec<Vec<Dim>>> {
    if dims.iter().any(|d| d.len == 0) {
        return None;
    }
    let mut rest = dims.to_vec();
    let mut axes = Vec::with_capacity(shape.len());
    for &axis_len in shape.iter().rev() {
        let (mut want, mut axis) = (axis_len, Vec::new());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Source indices in output order, by walking the loops.
    fn walk(expr: &TensorExpr) -> Vec<u64> {
        let mut out = Vec::new();
        for piece in expr.pieces() {
            let mut at = vec![piece.offset];
            for dim in &piece.dims {
                at = at.iter().flat_map(|o| (0..dim.len).map(move |i| o + i * dim.stride)).collect();
            }
            out.extend(at);
        }
        out
    }

    #[test]
    fn rotary_permutation_interleaves_the_halves_of_each_head() {
        let (heads, half, cols) = (2, 3, 2);
        let expr = TensorExpr::source(0, &[heads * 2 * half, cols])
            .reshape(&[heads, 2, half, cols])
            .and_then(|e| e.swap_axes(1, 2))
            .and_then(|e| e.reshape(&[heads * 2 * half, cols]))
            .unwrap();
        let mut expected = Vec::new();
        for h in 0..heads {
            for i in 0..half {
                for part in 0..2 {
                    expected.extend((0..cols).map(|c| ((h * 2 + part) * half + i) * cols + c));
                }
            }
        }
        assert_eq!(walk(&expr), expected);
    }

    #[test]
    fn swapping_twice_is_contiguous_again() {
        let expr = TensorExpr::source(0, &[4, 6, 5]).swap_axes(0, 1).unwrap();
        assert!(!expr.pieces()[0].is_contiguous());
        let back = expr.swap_axes(0, 1).unwrap();
        assert!(back.pieces()[0].is_contiguous());
        assert_eq!(back, TensorExpr::source(0, &[4, 6, 5]));
    }

    #[test]
    fn rows_of_a_transposed_tensor() {
        let expr = TensorExpr::source(0, &[3, 4]).swap_axes(0, 1).unwrap().rows(1, 3).unwrap();
        assert_eq!(expr.shape(), [2, 3]);
        assert_eq!(walk(&expr), [1, 5, 9, 2, 6, 10]);
    }

    #[test]
    fn stacking_keeps_order_and_rows_selects_whole_parts() {
        let stacked = TensorExpr::stack((0..3).map(|i| TensorExpr::source(i, &[2, 2])).collect()).unwrap();
        assert_eq!(stacked.shape(), [3, 2, 2]);
        let tail = stacked.clone().rows(1, 3).unwrap();
        assert_eq!(
            tail.pieces().iter().map(|p| p.leaf.clone()).collect::<Vec<_>>(),
            [Leaf::Source(1), Leaf::Source(2)]
        );
        assert!(stacked.reshape(&[6, 2]).unwrap().rows(1, 4).is_err());
    }

    #[test]
    fn impossible_requests_are_errors() {
        let t = || TensorExpr::source(0, &[6, 4]);
        assert!(t().reshape(&[5, 5]).is_err());
        assert!(t().reshape(&[u64::MAX, 2]).is_err());
        assert!(t().swap_axes(0, 2).is_err());
        assert!(t().rows(3, 7).is_err());
        assert!(TensorExpr::stack(vec![t(), TensorExpr::source(1, &[4, 6])]).is_err());
        assert!(TensorExpr::concat(vec![]).is_err());
        assert!(TensorExpr::source(0, &[0, 4]).swap_axes(0, 1).is_err());
    }
}
