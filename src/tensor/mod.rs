//! What an output tensor is made of, described without reading a byte.
//!
//! A [`TensorExpr`] is built by `arch`, lowered by `plan` and evaluated by `write`. Nothing here
//! knows files, byte offsets or reflinks; positions are counted in elements of a source tensor.

mod arithmetic;
mod codes;
mod compute;
mod contents;
mod expr;
mod join;
mod low_rank;
mod piece;
mod strided;
#[cfg(test)]
mod tests;
mod update;

pub use arithmetic::{Arithmetic, GridAxis, List, Scale};
pub use codes::compose;
pub use expr::TensorExpr;
pub use piece::{Codes, Dim, Dims, Leaf, Piece};
pub use update::{Factor, Update};

use crate::dtype::GgmlType;

/// One tensor of the output: its name, what it is made of, and the type it is stored in.
#[derive(Clone, Debug)]
pub struct OutputTensor {
    /// Name, as llama.cpp looks it up.
    pub name: String,
    /// Where its elements come from.
    pub expr: TensorExpr,
    /// Element type in the output.
    pub ggml_type: GgmlType,
}
