//! Experts in MXFP4 whose matrices are pairs of tensors, four-bit codes and a scale for each 32 of them
//! (`repack_mxfp4_blocks` of the reference). Knows nothing of what families call them.

use crate::error::{Error, Result};
use crate::input::quoted;
use crate::tensor::{Leaf, TensorExpr};

use super::{Input, tensors};

/// One expert's matrix: the names of its codes, U8 of shape `[rows, columns / 2]`, and of its scales, a byte for each
/// block, of shape `[rows, columns / 32]`.
pub(super) struct Pair {
    pub codes: String,
    pub scales: String,
}

/// The stack of the experts' matrices, of shape `[experts, rows, columns]`, to be stored as MXFP4.
///
/// # Errors
/// If a tensor is missing, has another shape than it should have, or more than a byte for each element.
pub(super) fn stack(input: &Input, pairs: impl Iterator<Item = Pair>) -> Result<TensorExpr> {
    TensorExpr::stack(pairs.map(|pair| matrix(input, &pair)).collect::<Result<_>>()?)
}

fn matrix(input: &Input, Pair { codes, scales }: &Pair) -> Result<TensorExpr> {
    let invalid = |problem| Error::invalid(&input.checkpoint.dir, problem);
    let find = |name: &str| {
        let expr = input.tensors.get(name);
        let expr =
            expr.ok_or_else(|| invalid(format!("{}, of an expert in MXFP4, is missing", quoted(name))))?;
        let bits = tensors::source(input.checkpoint, expr).map(|source| source.dtype.bits());
        match expr.first_leaf() {
            Some(Leaf::Source(index)) if bits == Some(8) => Ok((expr, index)),
            _ => Err(invalid(format!("{}: expected a byte for each element", quoted(name)))),
        }
    };
    let ((found, _), (own, index)) = (find(codes)?, find(scales)?);
    match (found.shape(), own.shape()) {
        (&[rows, bytes], &[lines, blocks]) if rows == lines && blocks.checked_mul(16) == Some(bytes) => {
            found.clone().reshape(&[rows, blocks, 16])?.mxfp4(index)
        }
        (shape, scales) => Err(invalid(format!(
            "{}: expected rows of codes, 16 bytes to a block, and a scale for each block; found shapes {shape:?} and \
             {scales:?}",
            quoted(codes)
        ))),
    }
}
