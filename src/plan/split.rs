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

#[cfg(test)]
mod tests {
    use super::*;

    /// The first tensor of each file, and the one after its last.
    fn cut(sizes: &[u64], max_tensors: u64, max_bytes: u64) -> Vec<(usize, usize)> {
        let rules = SplitRules { max_tensors, max_bytes, no_tensor_first_split: false };
        assert_eq!(rules.is_set(), (max_tensors, max_bytes) != (0, 0));
        ends(groups(sizes.iter().copied(), &rules))
    }

    fn ends(groups: Vec<Range<usize>>) -> Vec<(usize, usize)> {
        groups.into_iter().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn a_file_is_full_when_the_next_tensor_is_too_much() {
        let sizes = [4, 4, 2, 9, 30, 1];
        assert_eq!(cut(&sizes, 0, 0), [(0, 6)]);
        assert_eq!(cut(&sizes, 2, 0), [(0, 2), (2, 4), (4, 6)]);
        assert_eq!(cut(&sizes, 4, 0), [(0, 4), (4, 6)]);
        assert_eq!(cut(&sizes, 0, 10), [(0, 3), (3, 4), (4, 5), (5, 6)], "one that is too large gets a file");
        assert_eq!(cut(&sizes, 2, 10), [(0, 2), (2, 3), (3, 4), (4, 5), (5, 6)]);
        assert_eq!(cut(&[u64::MAX, u64::MAX], 0, 5), [(0, 1), (1, 2)]);
        assert_eq!(cut(&[], 2, 10), [(0, 0)]);
        let rules = SplitRules { max_tensors: 1, no_tensor_first_split: true, ..SplitRules::default() };
        assert_eq!(ends(groups([4, 4].into_iter(), &rules)), [(0, 0), (0, 1), (1, 2)]);
    }

    #[test]
    fn names_tell_number_and_count() {
        let named = |no, count| path(Path::new("some/model.f16.gguf"), no, count);
        assert_eq!(named(0, 1), Path::new("some/model.f16.gguf"));
        assert_eq!(named(0, 2), Path::new("some/model.f16-00001-of-00002.gguf"));
        assert_eq!(named(11, 123), Path::new("some/model.f16-00012-of-00123.gguf"));
    }
}
