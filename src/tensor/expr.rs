//! [`TensorExpr`]: what an output tensor is made of, as `arch` puts it together.
//!
//! Nearly always elements of source tensors ([`Strided`]). An adapter's is the product of two of those ([`LowRank`]),
//! which families move about as they move any other tensor, and which falls apart into its factors in the end.

use super::arithmetic::{Arithmetic, Scale};
use super::low_rank::LowRank;
use super::strided::{Strided, shape_error};
use super::update::Update;
use crate::dtype::Packing;
use crate::error::Result;
use crate::shape::Shape;

/// A tensor as movement over, and arithmetic on, source tensors and generated constants.
#[derive(Clone, Debug)]
pub struct TensorExpr(pub(super) Repr);

#[derive(Clone, Debug)]
pub(super) enum Repr {
    /// A source tensor as it lies in its file. A model may have 200,000 of them, so they take little room.
    Source {
        index: usize,
        shape: Shape,
    },
    Plain(Box<Strided>),
    Product(Box<LowRank>),
}

impl Repr {
    /// It as walks, or as the product that it is.
    fn open(self) -> Result<Strided, Box<LowRank>> {
        match self {
            Self::Source { index, shape } => Ok(Strided::source(index, &shape)),
            Self::Plain(plain) => Ok(*plain),
            Self::Product(product) => Err(product),
        }
    }
}

impl PartialEq for TensorExpr {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Product(product), Repr::Product(other)) => product == other,
            (Repr::Product(_), _) | (_, Repr::Product(_)) => false,
            _ => self.shape() == other.shape() && self.pieces() == other.pieces(),
        }
    }
}

impl From<Strided> for TensorExpr {
    fn from(plain: Strided) -> Self {
        Self(Repr::Plain(Box::new(plain)))
    }
}

impl From<LowRank> for TensorExpr {
    fn from(product: LowRank) -> Self {
        Self(Repr::Product(Box::new(product)))
    }
}

impl TensorExpr {
    /// The whole source tensor `index`, as it lies in its file. Its element count must not
    /// overflow, which `Checkpoint` has checked.
    pub fn source(index: usize, shape: &[u64]) -> Self {
        Self(Repr::Source { index, shape: Shape::from_slice(shape) })
    }

    /// A generated one-dimensional F32 tensor.
    pub fn values(values: Vec<f32>) -> Self {
        Strided::values(values).into()
    }

    /// A generated one-dimensional I64 tensor.
    pub fn integers(values: Vec<i64>) -> Self {
        Strided::integers(values).into()
    }

    /// Zeros, of whatever type the output has. Their number must not overflow.
    pub fn zeros(shape: &[u64]) -> Self {
        Strided::zeros(shape).into()
    }

    /// The product `b · a` of shapes `[…, rows, rank]` and `[…, rank, columns]`.
    ///
    /// # Errors
    /// If they have others, or no rank, or are products themselves.
    pub fn product(a: Self, b: Self) -> Result<Self> {
        match (a.0.open(), b.0.open()) {
            (Ok(a), Ok(b)) => LowRank::new(a, b).map(Self::from),
            _ => Err(shape_error("a product of products".into())),
        }
    }

    /// The factors `a` and `b` of a product; none of any other tensor.
    ///
    /// # Errors
    /// If something was asked of the product that no pair of factors can express.
    pub fn factors(&self) -> Result<Option<(Self, Self)>> {
        match &self.0 {
            Repr::Source { .. } | Repr::Plain(_) => Ok(None),
            Repr::Product(product) => product.clone().factors().map(|(a, b)| Some((a.into(), b.into()))),
        }
    }

    /// Adds `constant` to every element.
    pub fn plus(self, constant: f32) -> Self {
        self.compute(|plain| plain.plus(constant), "adding to its elements")
    }

    /// Multiplies every element by `constant`.
    pub fn times(self, constant: f32) -> Self {
        match self.0.open() {
            Ok(plain) => plain.times(constant).into(),
            Err(product) => product.times(constant).into(),
        }
    }

    /// e to the power of every element.
    pub fn exp(self) -> Self {
        self.compute(Strided::exp, "powers of its elements")
    }

    /// Minus e to the power of every element.
    pub fn neg_exp(self) -> Self {
        self.compute(Strided::neg_exp, "powers of its elements")
    }

    /// The nearest of -1, 0 and 1 to every element times `inverse`, divided by `inverse`.
    pub fn ternary(self, inverse: f32) -> Self {
        self.compute(|plain| plain.ternary(inverse), "rounding its elements")
    }

    /// Makes what follows happen in F32 even if the source is F16.
    pub fn widen(self) -> Self {
        self.compute(Strided::widen, "computing in another type")
    }

    /// Multiplies every element by the scale of its block.
    pub fn scaled(self, scale: Scale<usize>) -> Self {
        self.compute(|plain| plain.scaled(scale), "scales of blocks")
    }

    /// Adds a product of two thin matrices to it, a whole matrix of a source.
    ///
    /// # Errors
    /// If it is none, or has another number of columns.
    pub fn updated(self, update: Update<usize>) -> Result<Self> {
        self.change(|plain| plain.updated(update), |product| Ok(product.refuse("a sum")))
    }

    /// The sum of the two parts that the tensor, a whole source tensor of shape `[n, 2 × size]`, has in each row.
    ///
    /// # Errors
    /// If it is none of that shape.
    pub fn sum_of_halves(self, size: u64) -> Result<Self> {
        self.change(|plain| plain.sum_of_halves(size), |product| Ok(product.refuse("sums of its elements")))
    }

    /// Packs four-bit codes, 16 bytes to a block (shape `[…, blocks, 16]`, U8), and their scales, which are
    /// source tensor `scales` (shape `[…, blocks]`, U8), into blocks of MXFP4. The shape becomes that of the
    /// values, `[…, blocks × 32]`.
    ///
    /// # Errors
    /// If the shape is not that of codes.
    pub fn mxfp4(self, scales: usize) -> Result<Self> {
        self.change(|plain| plain.mxfp4(scales), |product| Ok(product.refuse("four-bit codes")))
    }

    /// Packs bytes of two four-bit codes (shape `[rows, columns / 2]`, U8), 8 to a group, and the groups' scales, which are
    /// source tensor `scales` (shape `[rows, columns / 16]`, F8_E4M3), into blocks of NVFP4. The shape becomes that of
    /// the values.
    ///
    /// # Errors
    /// If rows are no whole number of blocks.
    pub fn nvfp4(self, scales: usize) -> Result<Self> {
        self.change(|plain| plain.nvfp4(scales), |product| Ok(product.refuse("four-bit codes")))
    }

    /// The same elements, which are integers packed into a source tensor by `packing`. Positions were counted in them in
    /// the order of the source; from here on, they are counted in the present order, which scales and the like refer to.
    ///
    /// # Errors
    /// If anything was joined or computed, or the first one is not the source's.
    pub fn codes(self, packing: Packing) -> Result<Self> {
        self.change(|plain| plain.codes(packing), |product| Ok(product.refuse("packed integers")))
    }

    /// What `step` makes of every element.
    pub fn computed(self, step: &Arithmetic<usize>) -> Self {
        self.compute(|plain| plain.compute(step), "arithmetic on its elements")
    }

    /// The same elements in the same order under another shape.
    ///
    /// # Errors
    /// If the element counts differ.
    pub fn reshape(self, shape: &[u64]) -> Result<Self> {
        self.change(|plain| plain.reshape(shape), |product| product.reshape(shape))
    }

    /// The same without axes of length 1.
    pub fn squeeze(self) -> Self {
        self.compute(Strided::squeeze, "leaving axes out")
    }

    /// Exchanges axes `a` and `b`.
    ///
    /// # Errors
    /// If an axis does not exist, or the tensor was put together from several parts in a way
    /// that does not fall on axis boundaries.
    pub fn swap_axes(self, a: usize, b: usize) -> Result<Self> {
        self.change(|plain| plain.swap_axes(a, b), |product| product.swap_axes(a, b))
    }

    /// Takes `axis` for `outer` groups of `inner` parts each, and puts the first part of every group first, then the second of
    /// every group, and so on.
    ///
    /// # Errors
    /// As [`TensorExpr::swap_axes`], or if the axis has no such groups.
    pub fn regroup(self, axis: usize, outer: u64, inner: u64) -> Result<Self> {
        self.change(|plain| plain.regroup(axis, outer, inner), |product| product.regroup(axis, outer, inner))
    }

    /// Every `step`-th of `start..end` along `axis`.
    ///
    /// # Errors
    /// As [`TensorExpr::swap_axes`]; also if the range does not fit, or `step` does not divide it.
    pub fn slice(self, axis: usize, start: u64, end: u64, step: u64) -> Result<Self> {
        self.change(
            |plain| plain.slice(axis, start, end, step),
            |product| product.slice(axis, start, end, step),
        )
    }

    /// Rows `start..end` of the outermost axis.
    ///
    /// # Errors
    /// If the range does not fit, or joined parts are cut in the middle.
    pub fn rows(self, start: u64, end: u64) -> Result<Self> {
        self.change(|plain| plain.rows(start, end), |product| product.slice(0, start, end, 1))
    }

    /// The two halves along `axis`.
    ///
    /// # Errors
    /// As [`TensorExpr::slice`], or if there is no middle.
    pub fn halves(self, axis: usize) -> Result<(Self, Self)> {
        let len = self.shape().get(axis).copied().unwrap_or(0);
        if len == 0 || len % 2 != 0 {
            return Err(shape_error(format!("axis {axis} of {:?} has no middle", self.shape())));
        }
        Ok((self.clone().slice(axis, 0, len / 2, 1)?, self.slice(axis, len / 2, len, 1)?))
    }

    /// Puts the axes into the order `order` gives, as torch's `permute` does.
    ///
    /// # Errors
    /// As [`TensorExpr::swap_axes`], or if `order` does not name every axis once.
    pub fn permute(mut self, order: &[usize]) -> Result<Self> {
        let mut now: Vec<usize> = (0..self.shape().len()).collect();
        if order.len() != now.len() {
            return Err(shape_error(format!("{order:?} does not name the axes of {:?}", self.shape())));
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
    /// As [`TensorExpr::concat`]; also if an inner axis would take more parts than any tensor has.
    pub fn concat_along(axis: usize, parts: Vec<Self>) -> Result<Self> {
        match axis {
            0 => Self::concat(parts),
            _ => Self::join(
                parts,
                |plain| Strided::concat_along(axis, plain),
                |mut products| {
                    let first = products.swap_remove(0);
                    Ok(first.refuse("joining along an inner axis"))
                },
            ),
        }
    }

    /// Joins tensors along the outermost axis; all other dimensions must agree.
    ///
    /// # Errors
    /// If there are none, or shapes differ.
    pub fn concat(parts: Vec<Self>) -> Result<Self> {
        Self::join(parts, Strided::concat, LowRank::concat)
    }

    /// Puts tensors of one shape under a new outermost axis.
    ///
    /// # Errors
    /// If there are none, or shapes differ.
    pub fn stack(parts: Vec<Self>) -> Result<Self> {
        Self::join(parts, Strided::stack, LowRank::stack)
    }

    fn join(
        parts: Vec<Self>,
        plain: impl FnOnce(Vec<Strided>) -> Result<Strided>,
        product: impl FnOnce(Vec<LowRank>) -> Result<LowRank>,
    ) -> Result<Self> {
        let count = parts.len();
        let (mut all, mut products) = (Vec::new(), Vec::new());
        for part in parts {
            match part.0.open() {
                Ok(part) => all.push(part),
                Err(part) => products.push(*part),
            }
        }
        match products.len() {
            0 => plain(all).map(Self::from),
            n if n == count => product(products).map(Self::from),
            _ => Err(shape_error("cannot join products and other tensors".into())),
        }
    }

    fn compute(self, plain: impl FnOnce(Strided) -> Strided, what: &'static str) -> Self {
        match self.0.open() {
            Ok(strided) => plain(strided).into(),
            Err(product) => product.refuse(what).into(),
        }
    }

    fn change(
        self,
        plain: impl FnOnce(Strided) -> Result<Strided>,
        product: impl FnOnce(LowRank) -> Result<LowRank>,
    ) -> Result<Self> {
        match self.0.open() {
            Ok(strided) => plain(strided).map(Self::from),
            Err(low_rank) => product(*low_rank).map(Self::from),
        }
    }
}
