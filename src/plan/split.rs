//! Which tensors go into which file: the reference's split rules and names.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::lower::Lowered;

/// When to start another file.
#[derive(Clone, Copy, Debug, Default)]
pub struct SplitRules {
    /// At most this many tensors per file; 0 is no limit.
    pub max_tensors: u64,
    /// At most this many bytes of tensor data per file (a single larger tensor still gets one); 0 is no limit.
    pub max_bytes: u64,
    /// Leave the first file to the metadata.
    pub no_tensor_first_split: bool,
}

impl SplitRules {
    /// Whether any limit is set.
    pub fn is_set(&self) -> bool {
        self.max_tensors > 0 || self.max_bytes > 0
    }
}

/// Cuts tensors, in order, into one range per file.
pub fn groups(tensors: &[Lowered], rules: &SplitRules) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    if rules.no_tensor_first_split {
        groups.push(0..0);
    }
    let (mut start, mut bytes) = (0, 0u64);
    for (i, tensor) in tensors.iter().enumerate() {
        let full = rules.max_tensors > 0 && (i - start) as u64 >= rules.max_tensors
            || rules.max_bytes > 0 && bytes.saturating_add(tensor.bytes) > rules.max_bytes;
        if i > start && full {
            groups.push(start..i);
            (start, bytes) = (i, 0);
        }
        bytes = bytes.saturating_add(tensor.bytes);
    }
    groups.push(start..tensors.len());
    groups
}

/// Path of file `no` (from 0) of `count`: `NAME-00001-of-0000N.gguf` next to `path`.
pub fn path(path: &Path, no: usize, count: usize) -> PathBuf {
    if count == 1 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{:05}-of-{count:05}.gguf", no + 1))
}
