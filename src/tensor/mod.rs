//! What an output tensor is made of, described without reading a byte.
//!
//! A [`TensorExpr`] is built by `arch`, lowered by `plan` and evaluated by `write`. Nothing here
//! knows files, byte offsets or reflinks; positions are counted in elements of a source tensor.

mod expr;

pub use expr::{Dim, Leaf, Piece, TensorExpr};
