//! [`Strided`]: what is computed from the elements, wherever they move to.

use std::sync::Arc;

use super::arithmetic::{Arithmetic, GridAxis, Scale};
use super::piece::{Leaf, Piece};
use super::strided::{Strided, shape_error};
use super::update::Update;
use crate::error::Result;

impl Strided {
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

    /// The nearest of -1, 0 and 1 to every element times `inverse`, divided by `inverse`.
    pub fn ternary(self, inverse: f32) -> Self {
        self.compute(&Arithmetic::Ternary(inverse))
    }

    /// Minus e to the power of every element.
    pub fn neg_exp(self) -> Self {
        self.compute(&Arithmetic::NegExp)
    }

    /// Makes what follows happen in F32 even if the source is F16.
    pub fn widen(self) -> Self {
        self.compute(&Arithmetic::Widen)
    }

    /// Multiplies every element by the scale of its block.
    pub fn scaled(self, scale: Scale<usize>) -> Self {
        self.compute(&Arithmetic::Scale(Arc::new(scale)))
    }

    /// Adds a product of two thin matrices to it, a whole matrix of a source.
    ///
    /// # Errors
    /// If it is none, or has another number of columns.
    pub fn updated(self, update: Update<usize>) -> Result<Self> {
        let whole = match (self.shape.as_slice(), self.pieces.as_slice()) {
            ([rows, columns], [piece]) => {
                let packed = piece.arithmetic.iter().any(|step| matches!(step, Arithmetic::Mxfp4 { .. }));
                let source =
                    matches!(piece.leaf, Leaf::Source(_)) && piece.offset == 0 && piece.is_contiguous();
                source
                    && !packed
                    && *columns == update.columns
                    && Some(piece.elements()) == rows.checked_mul(*columns)
            }
            _ => false,
        };
        match whole {
            true => Ok(self.compute(&Arithmetic::Update(Arc::new(update)))),
            false => Err(shape_error(format!("{:?} is not a whole matrix of the checkpoint", self.shape))),
        }
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
        Ok(first.compute(&Arithmetic::Plus { other: Arc::new(Scale::of(source, grid)), first: size }))
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

    /// As [`super::TensorExpr::nvfp4`].
    ///
    /// # Errors
    /// If rows are no whole number of blocks.
    pub fn nvfp4(mut self, scales: usize) -> Result<Self> {
        match self.shape.last_mut() {
            Some(bytes) if bytes.is_multiple_of(32) => *bytes *= 2,
            _ => return Err(shape_error("rows of NVFP4 must be a multiple of 64 values".into())),
        }
        Ok(self.compute(&Arithmetic::Nvfp4 { scales }))
    }

    /// What `arithmetic` makes of every element.
    pub(super) fn compute(mut self, arithmetic: &Arithmetic<usize>) -> Self {
        for piece in &mut self.pieces {
            // Nearly always there is one step.
            piece.arithmetic.reserve_exact(1);
            piece.arithmetic.push(arithmetic.clone());
        }
        self
    }
}
