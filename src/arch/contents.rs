//! Looks at the weights themselves, where what is written depends on them.

use crate::checkpoint::{Checkpoint, SourceTensor};
use crate::dtype::{Dtype, GgmlType};
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::kernels::{Mean, convert, supports};
use crate::source;
use crate::tensor::TensorExpr;

/// Elements compared at a time.
const CHUNK: u64 = 1 << 18;

/// Whether two tensors have one shape and the same values (`torch.equal`). Reads both up to where they differ.
///
/// # Errors
/// If one of them is not in the checkpoint as it is, or cannot be read.
pub(super) fn equal(checkpoint: &Checkpoint, a: &TensorExpr, b: &TensorExpr) -> Result<bool> {
    if a.shape() != b.shape() {
        return Ok(false);
    }
    let (a, b) = (whole(checkpoint, a)?, whole(checkpoint, b)?);
    let mut readers = [Reader::new(checkpoint, a)?, Reader::new(checkpoint, b)?];
    let elements = a.len / a.dtype.size();
    let mut at = 0;
    while at < elements {
        let count = CHUNK.min(elements - at);
        for reader in &mut readers {
            reader.read(at, count)?;
        }
        let [a, b] = readers.each_ref().map(|reader| reader.values.as_chunks::<4>().0);
        if a.iter().zip(b).any(|(a, b)| f32::from_le_bytes(*a) != f32::from_le_bytes(*b)) {
            return Ok(false);
        }
        at += count;
    }
    Ok(true)
}

/// The tensor that `expr` is, unchanged.
fn whole<'c>(checkpoint: &'c Checkpoint, expr: &TensorExpr) -> Result<&'c SourceTensor> {
    let source = expr.whole_source().and_then(|index| checkpoint.tensors.get(index));
    source.filter(|source| supports(source.dtype)).ok_or_else(|| {
        Error::unsupported("quantized embeddings cannot be compared with the output matrix")
            .at(checkpoint.dir.path())
    })
}

/// More bytes than tensors have whose values become key-values.
const LARGEST: u64 = 1 << 20;

/// The elements of a small tensor, `name`.
///
/// # Errors
/// If it is not small, is not in the checkpoint as it is, or cannot be read.
pub(super) fn floats(checkpoint: &Checkpoint, name: &str, expr: &TensorExpr) -> Result<Vec<f32>> {
    let source = whole(checkpoint, expr).ok().filter(|source| source.len <= LARGEST);
    let Some(source) = source else {
        let problem = format!("{}: expected numbers of at most {LARGEST} bytes", quoted(name));
        return Err(Error::invalid(&checkpoint.dir, problem));
    };
    let mut reader = Reader::new(checkpoint, source)?;
    reader.read(0, source.len / source.dtype.size())?;
    Ok(reader.values.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// The mean of the elements of a small tensor, `name`.
///
/// # Errors
/// As [`floats`].
pub(super) fn mean(checkpoint: &Checkpoint, name: &str, expr: &TensorExpr) -> Result<f32> {
    let values = floats(checkpoint, name, expr)?;
    let mut mean = Mean::new(values.len() as u64);
    mean.add(&values);
    Ok(mean.finish())
}

/// More bytes than a list of tokens has.
const LARGEST_LIST: u64 = 1 << 24;

/// The elements of a tensor of integers, `name`, whatever its shape.
///
/// # Errors
/// If it is not of integers of 32 or 64 bits, is large, is not in the checkpoint as it is, or cannot be read.
pub(super) fn integers(checkpoint: &Checkpoint, name: &str, expr: &TensorExpr) -> Result<Vec<i64>> {
    let source = whole(checkpoint, expr).ok().filter(|source| source.len <= LARGEST_LIST);
    let Some(source) = source.filter(|source| matches!(source.dtype, Dtype::I32 | Dtype::I64)) else {
        let problem = format!("{}: expected I32 or I64, at most {LARGEST_LIST} bytes", quoted(name));
        return Err(Error::invalid(&checkpoint.dir, problem));
    };
    let mut reader = Reader::new(checkpoint, source)?;
    reader.read_raw(0, source.len / source.dtype.size())?;
    Ok(match source.dtype {
        Dtype::I32 => {
            reader.raw.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes).into()).collect()
        }
        _ => reader.raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
    })
}

/// The mean of the magnitudes of a tensor's elements. Reads all of it.
///
/// # Errors
/// If it is not in the checkpoint as it is, or cannot be read.
pub(super) fn mean_of_magnitudes(checkpoint: &Checkpoint, name: &str, expr: &TensorExpr) -> Result<f32> {
    let source = whole(checkpoint, expr).map_err(|_| {
        let problem = format!("{}: only weights as they were trained can be converted", quoted(name));
        Error::unsupported(problem).at(checkpoint.dir.path())
    })?;
    let elements = source.len / source.dtype.size();
    let (mut reader, mut mean, mut at) = (Reader::new(checkpoint, source)?, Mean::new(elements), 0);
    while at < elements {
        let count = CHUNK.min(elements - at);
        reader.read(at, count)?;
        for bytes in reader.values.as_chunks().0 {
            mean.add(&[f32::from_le_bytes(*bytes).abs()]);
        }
        at += count;
    }
    Ok(mean.finish())
}

/// Which rows of a matrix, from row `first` on, are zero.
///
/// # Errors
/// If it is not in the checkpoint as it is, or cannot be read.
pub(super) fn zero_rows(checkpoint: &Checkpoint, expr: &TensorExpr, first: u64) -> Result<Vec<u64>> {
    let &[rows, columns] = expr.shape() else {
        return Err(Error::invalid(
            &checkpoint.dir,
            format!("expected a matrix, found shape {:?}", expr.shape()),
        ));
    };
    let mut reader = Reader::new(checkpoint, whole(checkpoint, expr)?)?;
    let mut found = Vec::new();
    for row in first..rows {
        let (mut at, end, mut zero) = (row * columns, (row + 1) * columns, true);
        while zero && at < end {
            let count = CHUNK.min(end - at);
            reader.read(at, count)?;
            zero = reader.values.as_chunks().0.iter().all(|bytes| f32::from_le_bytes(*bytes) == 0.0);
            at += count;
        }
        if zero {
            found.push(row);
        }
    }
    Ok(found)
}

struct Reader<'c> {
    file: &'c source::File,
    tensor: &'c SourceTensor,
    raw: Vec<u8>,
    /// F32, little-endian.
    values: Vec<u8>,
}

impl<'c> Reader<'c> {
    fn new(checkpoint: &'c Checkpoint, tensor: &'c SourceTensor) -> Result<Self> {
        let Some(file) = checkpoint.sources.get(tensor.file) else {
            return Err(Error::Internal(format!("{} is in no file", tensor.name)));
        };
        Ok(Self { file, tensor, raw: Vec::new(), values: Vec::new() })
    }

    #[allow(clippy::cast_possible_truncation, reason = "at most a chunk")]
    fn read(&mut self, at: u64, count: u64) -> Result<()> {
        let dtype = self.tensor.dtype;
        self.read_raw(at, count)?;
        self.values.resize(count as usize * size_of::<f32>(), 0);
        convert(dtype, GgmlType::F32, &self.raw, &mut self.values);
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation, reason = "at most a chunk, or a list")]
    fn read_raw(&mut self, at: u64, count: u64) -> Result<()> {
        let size = self.tensor.dtype.size();
        self.raw.resize((count * size) as usize, 0);
        self.file.read_exact_at(&mut self.raw, self.tensor.offset + at * size)
    }
}
