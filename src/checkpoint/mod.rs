//! What a model directory holds and where each tensor's bytes lie.
//!
//! Knows nothing of GGUF or architectures. Everything here is validated before anything trusts it.

use std::path::PathBuf;

use crate::dtype::Dtype;

/// A model directory, indexed: every tensor with its dtype, shape, file and byte range.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// The model directory.
    pub dir: PathBuf,
    /// The files that hold tensors, in the order they were indexed.
    pub files: Vec<SourceFile>,
    /// Tensors in the reference's order: by file, then by name (bytewise).
    pub tensors: Vec<SourceTensor>,
}

/// One file of a checkpoint.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path to open; may be a symlink into a Hugging Face cache.
    pub path: PathBuf,
    /// Its length in bytes when it was indexed.
    pub len: u64,
    /// Where tensor data starts, in bytes from the start of the file.
    pub data_start: u64,
}

/// One tensor: `shape` elements of `dtype` in row-major order at `offset` of file `file`.
#[derive(Clone, Debug)]
pub struct SourceTensor {
    /// Name as the checkpoint spells it.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: Vec<u64>,
    /// Index into [`Checkpoint::files`].
    pub file: usize,
    /// First byte, from the start of the file. Need not be aligned to anything.
    pub offset: u64,
    /// Length in bytes: product of `shape` × size of `dtype`.
    pub len: u64,
}
