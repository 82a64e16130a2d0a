//! Joined matrices for queries, keys and values, taken apart.

use crate::arch::tensors::Tensor;
use crate::error::Result;
use crate::tensor::TensorExpr;

use super::builder::Builder;

/// The rows for queries, keys and values of a matrix that holds all three.
///
/// # Errors
/// If they are not a multiple of three.
pub(super) fn thirds(builder: &Builder, tensor: &Tensor) -> Result<[TensorExpr; 3]> {
    let rows = tensor.expr.shape().first().copied().unwrap_or(0);
    if rows % 3 != 0 || rows == 0 {
        let problem = format!("{}: expected a multiple of 3 rows, found {rows}", tensor.name);
        return Err(builder.invalid(problem));
    }
    let part = |i| tensor.expr.clone().rows(i * rows / 3, (i + 1) * rows / 3);
    Ok([part(0)?, part(1)?, part(2)?])
}

/// Adds the three parts of a joined matrix, each under the name that has `names` in place of `joined`.
///
/// # Errors
/// As [`thirds`], or if projectors have no such tensors.
pub(super) fn split(builder: &mut Builder, tensor: &Tensor, joined: &str, names: [&str; 3]) -> Result<()> {
    for (part, name) in thirds(builder, tensor)?.into_iter().zip(names) {
        builder.add_named(tensor.name.replace(joined, name), tensor.layer, part)?;
    }
    Ok(())
}
