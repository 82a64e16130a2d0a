//! Lowers a tensor's expression to walks over source files and asks of each the one question that
//! matters: are its bytes already what the output wants?

use std::sync::Arc;

use super::Walk;
use crate::checkpoint::Checkpoint;
use crate::convert;
use crate::error::{Error, Result};
use crate::gguf::TensorInfo;
use crate::input::quoted;
use crate::tensor::{Leaf, OutputTensor, Piece};

/// An output tensor, lowered.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// Name, shape and type for the header.
    pub info: TensorInfo,
    /// Its bytes, in order.
    pub parts: Vec<Part>,
    /// Length in bytes, without padding.
    pub bytes: u64,
}

/// A stretch of an output tensor with one origin.
#[derive(Clone, Debug)]
pub struct Part {
    /// Length in the output, in bytes.
    pub bytes: u64,
    /// Where its bytes come from.
    pub origin: Origin,
}

/// Where the bytes of a [`Part`] come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Bytes of a source file that keep their value; cloneable if the walk is contiguous.
    Move(Arc<Walk>),
    /// Elements of a source file that change their type.
    Convert(Arc<Walk>),
    /// Generated.
    Bytes(Arc<[u8]>),
}

/// Resolves the sources of `tensor`.
///
/// # Errors
/// If a source has a type that cannot be converted, or sizes are absurd.
pub fn lower(tensor: &OutputTensor, checkpoint: &Checkpoint) -> Result<Lowered> {
    let too_large = || Error::invalid(&checkpoint.dir, format!("tensor {:?} is too large", tensor.name));
    let info = TensorInfo {
        name: tensor.name.clone(),
        shape: tensor.expr.shape().to_vec(),
        ggml_type: tensor.ggml_type,
    };
    if tensor.expr.elements() > i64::MAX as u64 / 8 {
        return Err(too_large());
    }
    let mut parts = Vec::with_capacity(tensor.expr.pieces().len());
    for piece in tensor.expr.pieces().iter().filter(|p| p.elements() > 0) {
        let origin = match &piece.leaf {
            Leaf::Source(index) => walk(piece, *index, tensor, checkpoint)?,
            Leaf::Values(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                Origin::Bytes(bytes.into())
            }
        };
        parts.push(Part { bytes: tensor.ggml_type.bytes(piece.elements()), origin });
    }
    let bytes = info.bytes();
    let sum = parts.iter().try_fold(0u64, |n, p| n.checked_add(p.bytes));
    if sum != Some(bytes) {
        return Err(Error::Internal(format!(
            "parts of tensor {:?} do not add up to {bytes} bytes",
            tensor.name
        )));
    }
    Ok(Lowered { info, parts, bytes })
}

fn walk(piece: &Piece, index: usize, tensor: &OutputTensor, checkpoint: &Checkpoint) -> Result<Origin> {
    let source =
        checkpoint.tensors.get(index).ok_or_else(|| Error::Internal(format!("no source tensor {index}")))?;
    let last =
        piece.dims.iter().try_fold(piece.offset, |at, d| at.checked_add((d.len - 1).checked_mul(d.stride)?));
    if last.is_none_or(|last| last >= source.len / source.dtype.size()) {
        return Err(Error::Internal(format!("tensor {:?} reads beyond {:?}", tensor.name, source.name)));
    }
    let walk = Arc::new(Walk {
        file: source.file,
        offset: source.offset + piece.offset * source.dtype.size(),
        dtype: source.dtype,
        dims: piece.dims.clone(),
    });
    if source.dtype == tensor.ggml_type.same_bits() {
        Ok(Origin::Move(walk))
    } else if convert::supports(source.dtype) {
        Ok(Origin::Convert(walk))
    } else {
        Err(Error::Unsupported(format!(
            "{}: tensor {} is stored as {}, which ggraft cannot convert to {} yet; it reads F32, F16 and BF16",
            checkpoint.files.get(source.file).map_or(&checkpoint.dir, |file| &file.path).display(),
            quoted(&source.name),
            source.dtype.name(),
            tensor.ggml_type.name()
        )))
    }
}
