//! [`TensorExpr`]: movement (reshape, transpose, slice, concat, stack) in normal form.
//!
//! However a tensor was cut up and put together, it is a list of strided walks over source
//! tensors, in output order. That makes the planner's question trivial: a piece whose dims
//! have merged into one with stride 1, and of which nothing is computed, is one run of bytes
//! that can be cloned.

use std::sync::Arc;

use super::arithmetic::{Arithmetic, GridAxis, Scale};
use crate::error::{Error, Result};

/// A tensor as movement over, and arithmetic on, source tensors and generated constants.
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
    /// What is computed from each element, in this order.
    pub arithmetic: Vec<Arithmetic<usize>>,
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
    /// Zeros of the output's type.
    Zeros,
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
                arithmetic: Vec::new(),
                offset: 0,
                dims: merged([Dim { len: elements, stride: 1 }]),
            }],
        }
    }

    /// A generated one-dimensional F32 tensor.
    pub fn values(values: Vec<f32>) -> Self {
        let shape = vec![values.len() as u64];
        Self::generated(shape, Leaf::Values(values.into()))
    }

    /// Zeros, of whatever type the output has. Their number must not overflow.
    pub fn zeros(shape: &[u64]) -> Self {
        Self::generated(shape.to_vec(), Leaf::Zeros)
    }

    fn generated(shape: Vec<u64>, leaf: Leaf) -> Self {
        let dims = merged([Dim { len: shape.iter().product(), stride: 1 }]);
        Self { shape, pieces: vec![Piece { leaf, arithmetic: Vec::new(), offset: 0, dims }] }
    }

    /// Adds `constant` to every element.
    pub fn plus(self, constant: f32) -> Self {
        self.compute(&Arithmetic::Add(constant))
    }

    /// Multiplies every element by `constant`.
    pub fn times(self, constant: f32) -> Self {
        self.compute(&Arithmetic::Multiply(constant))
    }

    /// e to the power of every element.
    pub fn exp(self) -> Self {
        self.compute(&Arithmetic::Exp)
    }

    /// Minus e to the power of every element.
    pub fn neg_exp(self) -> Self {
        self.compute(&Arithmetic::NegExp)
    }

    /// The nearest of -1, 0 and 1 to every element times `inverse`, divided by `inverse`.
    pub fn ternary(self, inverse: f32) -> Self {
        self.compute(&Arithmetic::Ternary(inverse))
    }

    /// Makes what follows happen in F32 even if the source is F16.
    pub fn widen(self) -> Self {
        self.compute(&Arithmetic::Widen)
    }

    /// Multiplies every element by the scale of its block.
    pub fn scaled(self, scale: Scale<usize>) -> Self {
        self.compute(&Arithmetic::Scale(Arc::new(scale)))
    }

    /// The sum of the two parts that the tensor, a whole source tensor of shape `[n, 2 × size]`, has in each row.
    ///
    /// # Errors
    /// If it is none of that shape.
    pub fn sum_of_halves(self, size: u64) -> Result<Self> {
        let wrong = || shape_error("only whole tensors of rows with two parts can be summed up".into());
        let (rows, source) = match (self.shape.as_slice(), self.pieces.as_slice()) {
            ([rows, columns], [Piece { leaf: Leaf::Source(source), arithmetic, offset: 0, .. }])
                if Some(*columns) == size.checked_mul(2) && arithmetic.is_empty() =>
            {
                (*rows, *source)
            }
            _ => return Err(wrong()),
        };
        let axes = [(rows, 1, 2 * size), (2, 2, 0), (size, 1, 1)];
        let grid = axes.map(|(len, block, stride)| GridAxis { len, block, stride }).to_vec();
        let first = self.slice(1, 0, size, 1)?;
        Ok(first.compute(&Arithmetic::Plus { other: Arc::new(Scale { source, grid }), first: size }))
    }

    /// Packs four-bit codes, 16 bytes to a block (shape `[…, blocks, 16]`, U8), and their scales, which are
    /// source tensor `scales` (shape `[…, blocks]`, U8), into blocks of MXFP4. The shape becomes that of the
    /// values, `[…, blocks × 32]`.
    ///
    /// # Errors
    /// If the shape is not that of codes.
    pub fn mxfp4(mut self, scales: usize) -> Result<Self> {
        let (Some(16), Some(blocks)) = (self.shape.pop(), self.shape.last_mut()) else {
            return Err(shape_error("codes of MXFP4 must be 16 bytes to a block".into()));
        };
        *blocks *= 32;
        Ok(self.compute(&Arithmetic::Mxfp4 { scales }))
    }

    fn compute(mut self, arithmetic: &Arithmetic<usize>) -> Self {
        for piece in &mut self.pieces {
            piece.arithmetic.push(arithmetic.clone());
        }
        self
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

    /// Every `step`-th of `start..end` along `axis`.
    ///
    /// # Errors
    /// As [`TensorExpr::swap_axes`]; also if the range does not fit, or `step` does not divide it.
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

    /// The two halves along `axis`.
    ///
    /// # Errors
    /// As [`TensorExpr::slice`], or if there is no middle.
    pub fn halves(self, axis: usize) -> Result<(Self, Self)> {
        let len = self.shape.get(axis).copied().unwrap_or(0);
        if len == 0 || len % 2 != 0 {
            return Err(shape_error(format!("axis {axis} of {:?} has no middle", self.shape)));
        }
        Ok((self.clone().slice(axis, 0, len / 2, 1)?, self.slice(axis, len / 2, len, 1)?))
    }

    /// Puts the axes into the order `order` gives, as torch's `permute` does.
    ///
    /// # Errors
    /// As [`TensorExpr::swap_axes`], or if `order` does not name every axis once.
    pub fn permute(mut self, order: &[usize]) -> Result<Self> {
        let mut now: Vec<usize> = (0..self.shape.len()).collect();
        if order.len() != now.len() {
            return Err(shape_error(format!("{order:?} does not name the axes of {:?}", self.shape)));
        }
        for (to, axis) in order.iter().enumerate() {
            let from = now.iter().position(|a| a == axis).filter(|from| *from >= to);
            let from = from.ok_or_else(|| shape_error(format!("{order:?} is no order of axes")))?;
            now.swap(to, from);
            self = self.swap_axes(to, from)?;
        }
        Ok(self)
    }

    /// Joins tensors along `axis`; all other dimensions must agree.
    ///
    /// # Errors
    /// As [`TensorExpr::concat`]; also if an inner axis would take more than `MOST_JOINED` parts.
    pub fn concat_along(axis: usize, parts: Vec<Self>) -> Result<Self> {
        if axis == 0 {
            return Self::concat(parts);
        }
        let Some(first) = parts.first().map(|p| p.shape.clone()).filter(|shape| axis < shape.len()) else {
            return Err(shape_error(format!("nothing to join along axis {axis}")));
        };
        let outer: u64 = first[..axis].iter().product();
        if outer.saturating_mul(parts.len() as u64) > MOST_JOINED {
            return Err(shape_error(format!("{outer} rows are too many to join along axis {axis}")));
        }
        let (mut shape, mut flat) = (first.clone(), Vec::with_capacity(parts.len()));
        shape[axis] = 0;
        for part in parts {
            let same = part.shape.len() == first.len()
                && part.shape.iter().zip(&first).enumerate().all(|(i, (a, b))| i == axis || a == b);
            let len = part.shape.get(axis).and_then(|len| shape[axis].checked_add(*len)).filter(|_| same);
            shape[axis] =
                len.ok_or_else(|| shape_error(format!("cannot join {first:?} and {:?}", part.shape)))?;
            let row = part.elements().checked_div(outer).unwrap_or(0);
            flat.push(part.reshape(&[outer, row])?.each_row()?.into_iter());
        }
        let mut rows = Vec::new();
        for _ in 0..outer {
            rows.extend(flat.iter_mut().filter_map(Iterator::next));
        }
        Self::concat(rows)?.reshape(&shape)
    }

    /// The rows of a matrix, each a vector.
    ///
    /// # Errors
    /// As [`TensorExpr::rows`].
    fn each_row(self) -> Result<Vec<Self>> {
        let &[count, len] = self.shape.as_slice() else {
            return Err(shape_error(format!("{:?} is no matrix", self.shape)));
        };
        if let [_] = self.pieces.as_slice() {
            return (0..count).map(|row| self.clone().rows(row, row + 1)?.reshape(&[len])).collect();
        }
        // Joined parts are handed out one after the other: to look for each row among all of them would take their
        // number squared.
        let (mut rows, mut row, mut filled) = (Vec::new(), Vec::new(), 0);
        for piece in self.pieces {
            filled += piece.elements();
            row.push(piece);
            if filled > len {
                return Err(shape_error(format!("rows of {:?} cut a joined part", self.shape)));
            }
            if filled == len {
                rows.push(Self { shape: vec![len], pieces: std::mem::take(&mut row) });
                filled = 0;
            }
        }
        Ok(rows)
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

/// More parts than a tensor of experts has; each is a run of its own in the plan.
const MOST_JOINED: u64 = 1 << 16;

fn shape_error(problem: String) -> Error {
    Error::shape(problem)
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
    // Nearly always there is one, and a vector that grows has room for four. There may be 200,000 of them.
    out.shrink_to_fit();
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

    /// The indices that torch's `arange(…).reshape(shape)` has, after `f` picked from their positions.
    fn picked(shape: &[u64], positions: impl IntoIterator<Item = Vec<u64>>) -> Vec<u64> {
        positions.into_iter().map(|at| at.iter().zip(shape).fold(0, |n, (i, len)| n * len + i)).collect()
    }

    #[test]
    fn slices_step_along_any_axis() {
        let t = || TensorExpr::source(0, &[2, 6, 3]);
        let odd = t().slice(1, 1, 5, 2).unwrap();
        assert_eq!(odd.shape(), [2, 2, 3]);
        let expected =
            (0..2).flat_map(|a| [1, 3].into_iter().flat_map(move |b| (0..3).map(move |c| vec![a, b, c])));
        assert_eq!(walk(&odd), picked(&[2, 6, 3], expected));
        let (low, high) = t().halves(1).unwrap();
        assert_eq!(TensorExpr::concat_along(1, vec![low, high]).map(|e| walk(&e)).unwrap(), walk(&t()));
        assert!(t().halves(2).is_err());
        assert!(t().slice(1, 0, 5, 2).is_err());
        assert!(t().slice(1, 4, 8, 2).is_err());
        assert!(t().slice(3, 0, 0, 1).is_err());
    }

    #[test]
    fn permuting_is_what_torch_does() {
        let t = TensorExpr::source(0, &[2, 3, 4]).permute(&[2, 0, 1]).unwrap();
        assert_eq!(t.shape(), [4, 2, 3]);
        let expected = (0..4).flat_map(|c| (0..2).flat_map(move |a| (0..3).map(move |b| vec![a, b, c])));
        assert_eq!(walk(&t), picked(&[2, 3, 4], expected));
        assert!(TensorExpr::source(0, &[2, 3]).permute(&[0, 0]).is_err());
        assert!(TensorExpr::source(0, &[2, 3]).permute(&[1]).is_err());
    }

    #[test]
    fn parts_of_a_stack_are_transposed_and_cut_alike() {
        let stack = TensorExpr::stack((0..2).map(|i| TensorExpr::source(i, &[2, 3])).collect()).unwrap();
        let turned = stack.clone().swap_axes(1, 2).unwrap();
        assert_eq!(turned.shape(), [2, 3, 2]);
        assert_eq!(walk(&turned), [0, 3, 1, 4, 2, 5].repeat(2));
        assert_eq!(walk(&stack.clone().slice(2, 1, 3, 1).unwrap()), [1, 2, 4, 5].repeat(2));
        assert!(stack.swap_axes(0, 1).is_err());
    }

    #[test]
    fn joining_along_an_inner_axis_takes_turns() {
        let parts = vec![TensorExpr::source(0, &[2, 1, 2]), TensorExpr::source(1, &[2, 2, 2])];
        let joined = TensorExpr::concat_along(1, parts).unwrap();
        assert_eq!(joined.shape(), [2, 3, 2]);
        assert_eq!(walk(&joined), [0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 6, 7]);
        let stack =
            |first| TensorExpr::stack((first..first + 3).map(|i| TensorExpr::source(i, &[2, 2])).collect());
        let stacks = TensorExpr::concat_along(1, vec![stack(0).unwrap(), stack(3).unwrap()]).unwrap();
        assert_eq!(stacks.shape(), [3, 4, 2]);
        let order: Vec<_> = stacks.pieces().iter().map(|p| p.leaf.clone()).collect();
        assert_eq!(order, [0, 3, 1, 4, 2, 5].map(Leaf::Source));
        let differ = vec![TensorExpr::source(0, &[2, 2]), TensorExpr::source(1, &[3, 2])];
        assert!(TensorExpr::concat_along(1, differ).is_err());
        let many = vec![TensorExpr::source(0, &[1 << 40, 2]), TensorExpr::source(1, &[1 << 40, 2])];
        assert!(TensorExpr::concat_along(1, many).is_err());
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
