//! Which tensors go into which file: the reference's split rules and names.

use std::ops::Range;
use std::path::{Path, PathBuf};

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

/// Cuts tensors of these sizes in bytes, in order, into one range per file.
pub fn groups(sizes: impl ExactSizeIterator<Item = u64>, rules: &SplitRules) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    if rules.no_tensor_first_split {
        groups.push(0..0);
    }
    let (count, mut start, mut bytes) = (sizes.len(), 0, 0u64);
    for (i, size) in sizes.enumerate() {
        let full = rules.max_tensors > 0 && (i - start) as u64 >= rules.max_tensors
            || rules.max_bytes > 0 && bytes.saturating_add(size) > rules.max_bytes;
        if i > start && full {
            groups.push(start..i);
            (start, bytes) = (i, 0);
        }
        bytes = bytes.saturating_add(size);
    }
    groups.push(start..count);
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
