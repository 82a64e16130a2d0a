//! Lowers a tensor's expression to walks over source files and asks of each the one question that
//! matters: are its bytes already what the output wants?

use std::sync::Arc;

use super::{Place, Walk};
use crate::checkpoint::Checkpoint;
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::gguf::TensorInfo;
use crate::input::quoted;
use crate::kernels;
use crate::tensor::{Arithmetic, Leaf, OutputTensor, Piece};

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
    /// Elements of a source file that change their type to this one.
    Encode(Arc<Walk>, GgmlType),
    /// Generated.
    Bytes(Arc<Vec<u8>>),
    /// Generated: zeros.
    Zeros,
}

/// Resolves the sources of `tensor`.
///
/// # Errors
/// If a source has a type that cannot be converted, or sizes are absurd.
pub fn lower(tensor: &OutputTensor, checkpoint: &Checkpoint) -> Result<Lowered> {
    let too_large = || Error::shape("too large").of_source(checkpoint.dir.path(), &tensor.name);
    if tensor.expr.elements() > i64::MAX as u64 / 8 {
        return Err(too_large());
    }
    let info = TensorInfo::new(&tensor.name, tensor.expr.shape(), tensor.ggml_type);
    let mut parts = Vec::with_capacity(tensor.expr.pieces().len());
    for piece in tensor.expr.pieces().iter().filter(|p| p.elements() > 0) {
        let origin = match &piece.leaf {
            Leaf::Source(index) => walk(piece, *index, tensor, checkpoint)?,
            Leaf::Values(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                Origin::Bytes(bytes.into())
            }
            // Ternary types have no block of zero bytes that means zeros.
            Leaf::Zeros if matches!(tensor.ggml_type, GgmlType::TQ1_0 | GgmlType::TQ2_0) => {
                let (name, ggml_type) = (&tensor.name, tensor.ggml_type.name());
                let problem = format!(
                    "tensor {} is padded with zeros, which cannot be stored as {ggml_type}",
                    quoted(name)
                );
                return Err(Error::unsupported(problem).at(checkpoint.dir.path()).tensor(name));
            }
            Leaf::Zeros => Origin::Zeros,
        };
        let elements = if matches!(&origin, Origin::Encode(walk, _) if walk.is_packed()) {
            piece.elements() * 2
        } else {
            piece.elements()
        };
        parts.push(Part { bytes: tensor.ggml_type.bytes(elements), origin });
    }
    let bytes = info.bytes;
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
    let source = place(index, checkpoint)?;
    let last =
        piece.dims.iter().try_fold(piece.offset, |at, d| at.checked_add((d.len - 1).checked_mul(d.stride)?));
    if last.is_none_or(|last| last >= source.elements) {
        return Err(Error::Internal(format!("tensor {:?} reads beyond source tensor {index}", tensor.name)));
    }
    let mut arithmetic = Vec::with_capacity(piece.arithmetic.len());
    for step in &piece.arithmetic {
        let step = step.place(|index| place(*index, checkpoint))?;
        check(&step, source).map_err(|problem| {
            let problem = format!("tensor {}: {problem}", quoted(&tensor.name));
            Error::invalid(&checkpoint.dir, problem).tensor(&tensor.name)
        })?;
        arithmetic.push(step);
    }
    let unchanged = arithmetic.is_empty() && tensor.ggml_type.same_bits() == Some(source.dtype);
    let walk = Arc::new(Walk {
        file: source.file,
        offset: source.offset + piece.offset * source.dtype.size(),
        dtype: source.dtype,
        dims: piece.dims.clone(),
        first: piece.offset,
        arithmetic,
    });
    if unchanged {
        Ok(Origin::Move(walk))
    } else if kernels::supports(source.dtype) || walk.is_packed() {
        Ok(Origin::Encode(walk, tensor.ggml_type))
    } else {
        let source = &checkpoint.tensors[index];
        let problem = format!(
            "tensor {} is stored as {}, which ggraft cannot convert to {} yet; it reads F32, F16 and BF16",
            quoted(&source.name),
            source.dtype.name(),
            tensor.ggml_type.name()
        );
        let path = checkpoint.files.get(source.file).map_or(checkpoint.dir.path(), |file| &file.path);
        Err(Error::unsupported(problem).at(path).tensor(&source.name))
    }
}

fn place(index: usize, checkpoint: &Checkpoint) -> Result<Place> {
    let source =
        checkpoint.tensors.get(index).ok_or_else(|| Error::Internal(format!("no source tensor {index}")))?;
    let (dtype, elements) = (source.dtype, source.len / source.dtype.size());
    Ok(Place { file: source.file, offset: source.offset, dtype, elements })
}

/// Makes sure that every element of `source` finds the scale it is computed with, and that it can be read.
fn check(step: &Arithmetic<Place>, source: Place) -> Result<(), String> {
    let (needed, scales, readable) = match step {
        Arithmetic::Scale(scale) => {
            let needed = scale.last().map_or(u64::MAX, |last| last + 1);
            (needed, scale.source, kernels::supports(scale.source.dtype))
        }
        Arithmetic::Plus { other, first } => {
            let last = other.last().and_then(|last| last.checked_add(*first)?.checked_add(1));
            (last.unwrap_or(u64::MAX), other.source, kernels::supports(other.source.dtype))
        }
        Arithmetic::Mxfp4 { scales } => (source.elements / 16, *scales, scales.dtype.size() == 1),
        Arithmetic::Widen
        | Arithmetic::Add(_)
        | Arithmetic::Multiply(_)
        | Arithmetic::Exp
        | Arithmetic::NegExp => return Ok(()),
    };
    match (needed <= scales.elements, readable) {
        (true, true) => Ok(()),
        (false, _) => Err(format!("expected {needed} scales, found {}", scales.elements)),
        (_, false) => Err(format!("expected scales in a floating-point type, found {}", scales.dtype.name())),
    }
}
