//! Lowers a tensor's expression to walks over source files and asks of each the one question that
//! matters: are its bytes already what the output wants?

use std::sync::Arc;

use super::{CodeOrder, Place, Request, Walk};
use crate::checkpoint::Checkpoint;
use crate::dtype::{Dtype, GgmlType, Packing};
use crate::error::{Error, Result};
use crate::gguf::TensorInfo;
use crate::input::quoted;
use crate::kernels;
use crate::tensor::{Arithmetic, Codes, Leaf, OutputTensor, Piece, Scale, Update, compose};

/// The tensors of a plan. Each is lowered whenever it is looked at, and forgotten again: of 200,000 experts it takes a
/// twentieth of a second, and would be a third of the memory.
pub trait Tensors {
    /// How many there are.
    fn count(&self) -> usize;

    /// Name, shape and type for the header.
    fn info(&self, i: usize) -> TensorInfo;

    /// Of how many parts it is, if no byte of it can be a source's as it is. Who only asks what can be shared need not look at
    /// those, which are most of a quantized model's.
    fn parts_written(&self, i: usize) -> Option<usize>;

    /// Its bytes.
    ///
    /// # Errors
    /// As [`lower`].
    fn lowered(&self, i: usize) -> Result<Lowered>;
}

impl Tensors for Request<'_> {
    fn count(&self) -> usize {
        self.tensors.len()
    }

    fn info(&self, i: usize) -> TensorInfo {
        let tensor = &self.tensors[i];
        TensorInfo::new(&tensor.name, tensor.expr.shape(), tensor.ggml_type)
    }

    fn parts_written(&self, i: usize) -> Option<usize> {
        let OutputTensor { expr, ggml_type, .. } = &self.tensors[i];
        let dtype = |source: usize| self.checkpoint.tensors.get(source).map(|source| source.dtype);
        let kept = |source| ggml_type.same_bits().is_some_and(|bits| dtype(source) == Some(bits));
        (!expr.kept_sources().any(kept)).then(|| expr.count())
    }

    fn lowered(&self, i: usize) -> Result<Lowered> {
        lower(&self.tensors[i], &Places { checkpoint: self.checkpoint, offsets: self.offsets })
    }
}

/// An output tensor, lowered.
#[derive(Clone, Debug)]
pub struct Lowered {
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

/// Where tensors of a checkpoint lie.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// The checkpoint.
    pub checkpoint: &'a Checkpoint,
    /// As [`Request::offsets`].
    pub offsets: Option<&'a [u64]>,
}

/// Resolves the sources of `tensor`.
///
/// # Errors
/// If a source has a type that cannot be converted, or sizes are absurd.
pub fn lower(tensor: &OutputTensor, places: &Places) -> Result<Lowered> {
    let checkpoint = places.checkpoint;
    let too_large = || Error::shape("too large").of_source(checkpoint.dir.path(), &tensor.name);
    if tensor.expr.elements() > i64::MAX as u64 / 8 {
        return Err(too_large());
    }
    let pieces = tensor.expr.pieces();
    let mut parts = Vec::with_capacity(pieces.len());
    for piece in pieces.iter().filter(|p| p.elements() > 0) {
        let origin = match &piece.leaf {
            Leaf::Source(index) => walk(piece, *index, None, tensor, places)?,
            Leaf::Codes(codes) => walk(piece, codes.source, Some(codes), tensor, places)?,
            Leaf::Values(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                Origin::Bytes(bytes.into())
            }
            Leaf::Integers(values) => {
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
    let bytes = tensor.ggml_type.bytes(tensor.expr.elements());
    let sum = parts.iter().try_fold(0u64, |n, p| n.checked_add(p.bytes));
    if sum != Some(bytes) {
        return Err(Error::Internal(format!(
            "parts of tensor {:?} do not add up to {bytes} bytes",
            tensor.name
        )));
    }
    Ok(Lowered { parts, bytes })
}

/// What is computed from the elements of `piece`, which lie in `source`, with everything it reads in its place.
fn steps(
    piece: &Piece,
    source: Place,
    tensor: &OutputTensor,
    places: &Places,
) -> Result<Vec<Arithmetic<Place>>> {
    let checkpoint = places.checkpoint;
    let mut arithmetic = Vec::with_capacity(piece.arithmetic.len());
    for step in &piece.arithmetic {
        let step = step.place(&mut |index| places.of(*index))?;
        check(&step, source).map_err(|problem| {
            let problem = format!("tensor {}: {problem}", quoted(&tensor.name));
            Error::invalid(&checkpoint.dir, problem).tensor(&tensor.name)
        })?;
        arithmetic.push(step);
    }
    if let Some(group) = arithmetic.iter().find_map(Arithmetic::group)
        && !piece.is_in_groups(group)
    {
        let problem =
            format!("tensor {}: codes that share a scale would be torn apart", quoted(&tensor.name));
        return Err(Error::invalid(&checkpoint.dir, problem).tensor(&tensor.name));
    }
    Ok(arithmetic)
}

fn walk(
    piece: &Piece,
    index: usize,
    codes: Option<&Codes>,
    tensor: &OutputTensor,
    places: &Places,
) -> Result<Origin> {
    let (checkpoint, source) = (places.checkpoint, places.of(index)?);
    let (first, dims) = match codes {
        None => (piece.offset, piece.dims.clone()),
        Some(codes) => compose(&codes.view, piece.offset, &piece.dims).ok_or_else(|| {
            let problem = format!("tensor {}: its packed integers would be torn apart", quoted(&tensor.name));
            Error::unsupported(problem).at(checkpoint.dir.path()).tensor(&tensor.name)
        })?,
    };
    let elements = elements(&source, codes.map(|codes| codes.packing));
    let last = dims.iter().try_fold(first, |at, d| at.checked_add((d.len - 1).checked_mul(d.stride)?));
    if last.is_none_or(|last| last >= elements) {
        return Err(Error::Internal(format!("tensor {:?} reads beyond source tensor {index}", tensor.name)));
    }
    let arithmetic = steps(piece, source, tensor, places)?;
    let unchanged =
        codes.is_none() && arithmetic.is_empty() && tensor.ggml_type.same_bits() == Some(source.dtype);
    let skipped = if codes.is_some() { 0 } else { first * source.dtype.size() };
    let order =
        |codes: &Codes| CodeOrder { packing: codes.packing, first: piece.offset, dims: piece.dims.clone() };
    let walk = Arc::new(Walk {
        file: source.file,
        offset: source.offset + skipped,
        dtype: if codes.is_some() { Dtype::U8 } else { source.dtype },
        dims,
        first,
        arithmetic,
        codes: codes.map(|codes| order(codes).into()),
    });
    if unchanged {
        Ok(Origin::Move(walk))
    } else if kernels::converts(walk.dtype, tensor.ggml_type) || walk.is_packed() {
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

impl Places<'_> {
    fn of(&self, index: usize) -> Result<Place> {
        let source = self.checkpoint.tensors.get(index);
        let source = source.ok_or_else(|| Error::Internal(format!("no source tensor {index}")))?;
        let offset = self.offsets.and_then(|offsets| offsets.get(index)).copied();
        let (dtype, elements) = (source.dtype, source.len / source.dtype.size());
        Ok(Place { file: source.file, offset: offset.unwrap_or(source.offset), dtype, elements })
    }
}

/// Makes sure that every element of `source` finds its row and column in the factors, and that they can be read.
fn check_update(update: &Update<Place>, source: Place) -> Result<(), String> {
    let rows = source.elements.checked_div(update.columns).unwrap_or_default();
    for (factor, count) in [(&update.left, rows), (&update.right, update.columns)] {
        let Place { dtype, elements, .. } = factor.source;
        if factor.last(count, update.rank).is_none_or(|last| last >= elements) {
            return Err(format!("expected a factor for {count} rows or columns, found {elements} elements"));
        }
        if !kernels::supports(dtype) {
            return Err(format!("expected factors in a floating-point type, found {}", dtype.name()));
        }
    }
    Ok(())
}

/// How many elements, or integers packed by `packing`, there are at `place`.
fn elements(place: &Place, packing: Option<Packing>) -> u64 {
    let words = |packing: Packing| place.elements * place.dtype.size() / u64::from(packing.word);
    packing.map_or(place.elements, |packing| words(packing).saturating_mul(packing.per_word()))
}

/// Makes sure that every element of `source` finds the scale it is computed with, and that it can be read.
fn check(step: &Arithmetic<Place>, source: Place) -> Result<(), String> {
    if let Some((scale, first)) = step.partners() {
        return check_scale(scale, first);
    }
    let (needed, scales, readable) = match step {
        Arithmetic::Mxfp4 { scales } => (source.elements / 16, scales, scales.dtype.size() == 1),
        Arithmetic::Nvfp4 { scales } => {
            (source.elements / 8, scales, matches!(scales.dtype, Dtype::F8E4M3 | Dtype::U8))
        }
        Arithmetic::Update(update) => return check_update(update, source),
        _ => return Ok(()),
    };
    found(needed, scales.elements, readable, scales.dtype)
}

fn check_scale(scale: &Scale<Place>, first: u64) -> Result<(), String> {
    let last = scale.last().and_then(|last| last.checked_add(first)?.checked_add(1));
    let (available, dtype) = (elements(&scale.source, scale.packing), scale.source.dtype);
    let readable = kernels::supports(dtype) || scale.packing.is_some();
    found(last.unwrap_or(u64::MAX), available, readable, dtype)?;
    if let (Some(list), Some(axis)) = (&scale.list, scale.grid.last()) {
        let readable = matches!(list.source.dtype, Dtype::I32 | Dtype::I64);
        found(axis.len, list.source.elements, readable, list.source.dtype)?;
    }
    scale.steps.iter().try_for_each(|step| check(step, scale.source))
}

fn found(needed: u64, found: u64, readable: bool, dtype: Dtype) -> Result<(), String> {
    match (needed <= found, readable) {
        (true, true) => Ok(()),
        (false, _) => Err(format!("expected {needed} scales, found {found}")),
        (_, false) => {
            Err(format!("expected scales in a type that can be computed with, found {}", dtype.name()))
        }
    }
}
