//! The GGUF container: typed key-values, tensor infos, header bytes, and reading them back.
//!
//! Knows nothing of checkpoints, architectures or how a file gets its bytes.

mod header;
mod parse;
mod read;
mod strings;
mod value;

pub use crate::ggml_types::TypeInfo;
pub use header::{TensorInfo, encode, encoded_len};
pub use read::{Gguf, HEADER_MAX, KEY_MAX, StoredTensor, read, read_file};
pub use strings::Strings;
pub use value::{KeyValues, Value};

/// Key that tells the files of one split set from those of another with the same names. It is ours: readers ignore it.
pub const SPLIT_SET_KEY: &str = "ggraft.split.set";

/// Key whose only purpose is its length: it moves the data section to where blocks can be shared. Ours, too.
pub const PADDING_KEY: &str = "ggraft.padding";

/// Keys that tell how a file is laid out, not what is in it.
pub const LAYOUT_KEYS: [&str; 6] =
    ["general.alignment", PADDING_KEY, "split.no", "split.count", "split.tensors.count", SPLIT_SET_KEY];

/// Alignment of tensor data when `general.alignment` is absent, in bytes.
pub const DEFAULT_ALIGNMENT: u64 = 32;
