//! What an expression consists of: its shape, the walks that give its elements, and the sources that they walk.

use std::borrow::Cow;

use super::expr::{Repr, TensorExpr};
use super::piece::{Leaf, Piece};
use super::strided::Strided;

impl TensorExpr {
    /// Dimensions, outermost first.
    pub fn shape(&self) -> &[u64] {
        match &self.0 {
            Repr::Source { shape, .. } => shape,
            Repr::Plain(plain) => plain.shape(),
            Repr::Product(product) => &product.shape,
        }
    }

    /// Strided walks in output order; none of a product.
    pub fn pieces(&self) -> Cow<'_, [Piece]> {
        match &self.0 {
            Repr::Source { index, shape } => Cow::Owned(Strided::source(*index, shape).pieces.into_vec()),
            Repr::Plain(plain) => Cow::Borrowed(plain.pieces()),
            Repr::Product(_) => Cow::Borrowed(&[]),
        }
    }

    /// Of how many walks it is; of none if it is a product.
    pub fn count(&self) -> usize {
        match &self.0 {
            Repr::Source { .. } => 1,
            Repr::Plain(plain) => plain.pieces().len(),
            Repr::Product(_) => 0,
        }
    }

    /// Whether there is packed data of any kind among what it walks.
    pub fn has_codes(&self) -> bool {
        let is_codes = |piece: &Piece| matches!(piece.leaf, Leaf::Codes(_));
        matches!(&self.0, Repr::Plain(plain) if plain.pieces().iter().any(is_codes))
    }

    /// The sources of which it has elements as they are, once for each walk.
    pub fn kept_sources(&self) -> impl Iterator<Item = usize> {
        let (whole, pieces) = match &self.0 {
            Repr::Source { index, .. } => (Some(*index), &[][..]),
            Repr::Plain(plain) => (None, plain.pieces()),
            Repr::Product(_) => (None, &[][..]),
        };
        let kept = |piece: &Piece| match piece.leaf {
            Leaf::Source(index) => Some(index).filter(|_| piece.arithmetic.is_empty()),
            Leaf::Codes(_) | Leaf::Values(_) | Leaf::Integers(_) | Leaf::Zeros => None,
        };
        whole.into_iter().chain(pieces.iter().filter_map(kept))
    }

    /// The source whose elements it has as they are, in their order from the first on; none if it is anything else.
    pub fn whole_source(&self) -> Option<usize> {
        let plain = match &self.0 {
            Repr::Source { index, .. } => return Some(*index),
            Repr::Plain(plain) => plain.pieces(),
            Repr::Product(_) => return None,
        };
        match plain {
            [piece] if piece.is_contiguous() && piece.offset == 0 && piece.arithmetic.is_empty() => {
                match piece.leaf {
                    Leaf::Source(index) => Some(index),
                    Leaf::Codes(_) | Leaf::Values(_) | Leaf::Integers(_) | Leaf::Zeros => None,
                }
            }
            _ => None,
        }
    }

    /// What the first of them walks.
    pub fn first_leaf(&self) -> Option<Leaf> {
        match &self.0 {
            Repr::Source { index, .. } => Some(Leaf::Source(*index)),
            Repr::Plain(plain) => plain.pieces().first().map(|piece| piece.leaf.clone()),
            Repr::Product(_) => None,
        }
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape().iter().product()
    }
}
