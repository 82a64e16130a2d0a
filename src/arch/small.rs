//! The values of small tensors that become key-values, or decide what is written.

use std::fs::File;

use ggraft_platform::read_exact_at;

use crate::convert::convert;
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::tensor::TensorExpr;

use super::{Input, tensors};

/// The most bytes that are read.
const LARGEST: u64 = 1 << 20;

/// The elements of the whole source tensor that `expr` is; `name` is for messages.
///
/// # Errors
/// If the tensor is too large, is computed, or cannot be read.
pub(super) fn floats(input: &Input, name: &str, expr: &TensorExpr) -> Result<Vec<f32>> {
    let source = tensors::source(input.checkpoint, expr)
        .filter(|source| expr.pieces().len() == 1 && expr.elements() == source.shape.iter().product::<u64>());
    let Some(source) = source.filter(|source| source.len <= LARGEST) else {
        let problem = format!("{}: expected at most {LARGEST} bytes, as they are", quoted(name));
        return Err(Error::invalid(&input.checkpoint.dir, problem));
    };
    let Some(file) = input.checkpoint.files.get(source.file) else {
        return Err(Error::invalid(&input.checkpoint.dir, format!("{} is in no file", quoted(name))));
    };
    let open = File::open(&file.path).map_err(|e| Error::io("cannot open", &file.path, e))?;
    let mut raw = vec![0; source.len as usize];
    read_exact_at(&open, &mut raw, source.offset).map_err(|e| Error::io("cannot read", &file.path, e))?;
    let mut out = vec![0; expr.elements() as usize * size_of::<f32>()];
    convert(source.dtype, GgmlType::F32, &raw, &mut out);
    Ok(out.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
