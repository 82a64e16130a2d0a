//! `ggraft split`: one file becomes several, by the rules of `llama-gguf-split`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ggraft_platform::Links;

use super::input::{Input, without_ones};
use super::{Group, How, Job, KeyValues, Stored, check_output, plan, sharing};
use crate::error::{Error, Result};
use crate::gguf::{DEFAULT_ALIGNMENT, PADDING_KEY, SPLIT_SET_KEY, Value};
use crate::plan::{SplitRules, groups};

/// Plans to split `file` into `PREFIX-00001-of-0000N.gguf`.
///
/// # Errors
/// Those of reading it; [`Error::Usage`] for outputs that exist.
pub fn prepare(file: &Path, prefix: &Path, rules: &SplitRules, how: How) -> Result<Job> {
    if prefix.file_name().is_none() || prefix.as_os_str().as_encoded_bytes().ends_with(b"/") {
        let problem = format!("-o {}: expected what names of files begin with", prefix.display());
        return Err(Error::usage(problem).hint("-o model makes model-00001-of-0000N.gguf"));
    }
    let mut input = Input::set(file)?;
    input.check_whole()?;
    input.tensors.iter_mut().for_each(normalize);
    let padded = |tensor: &Stored| tensor.info.bytes.next_multiple_of(DEFAULT_ALIGNMENT);
    let ranges = groups(input.tensors.iter().map(padded), rules);
    let (count, tensors) = (ranges.len(), input.tensors.len());
    if count > usize::from(u16::MAX) {
        let problem = format!("{count} files, expected at most {}", u16::MAX);
        return Err(Error::usage(problem).hint("allow more in each file (--max-size, --max-tensors)"));
    }
    // That of another set would tell this one's files from each other.
    input.metadata.remove(SPLIT_SET_KEY);
    let mut files = Vec::with_capacity(count);
    for (no, tensors_of_file) in ranges.into_iter().enumerate() {
        let mut metadata = if no == 0 { input.metadata.clone() } else { KeyValues::new() };
        let alignment = if no == 0 { input.alignment } else { DEFAULT_ALIGNMENT };
        input.check_alignment(alignment)?;
        for (key, value) in [
            ("split.no", Value::U16(no as u16)),
            ("split.tensors.count", Value::I32(tensors as i32)),
            ("split.count", Value::U16(count as u16)),
        ] {
            // llama-gguf-split has them at the end.
            metadata.remove(key);
            metadata.set(key, value);
        }
        let mut laid_out = metadata.clone();
        laid_out.remove(PADDING_KEY);
        let path = path(prefix, no, count);
        files.push(Group { path, metadata, laid_out, tensors: tensors_of_file, alignment, slack: None });
    }
    files.iter().try_for_each(|group| check_output(&group.path, &input, how))?;
    let sharing = sharing(&input, &path(prefix, 0, count), how)?;
    let plan = plan(&input, files, true, &sharing)?;
    Job::new(input, plan, how, Links::Follow)
}

/// A shape as ggml writes it.
pub(super) fn normalize(tensor: &mut Stored) {
    let shape = without_ones(&tensor.info.shape).to_vec();
    tensor.info.shape = if shape.is_empty() { vec![1] } else { shape };
}

/// What `llama_split_path` makes of a prefix.
fn path(prefix: &Path, no: usize, count: usize) -> PathBuf {
    let mut path: OsString = prefix.into();
    path.push(format!("-{:05}-of-{count:05}.gguf", no + 1));
    path.into()
}
