//! `ggraft merge`: the files of a set become one, as `llama-gguf-split --merge` does it.

use std::fs;
use std::path::Path;

use ggraft_platform::{Links, parent, sync_directory};

use super::input::{Input, SPLIT_NAME};
use super::{Group, How, Job, To, check_output, plan, sharing, split};
use crate::error::{Error, Result};
use crate::gguf::{DEFAULT_ALIGNMENT, PADDING_KEY, SPLIT_SET_KEY, Value};
use crate::source::File;

/// Plans to merge the set that `first` belongs to.
///
/// # Errors
/// Those of reading it; [`Error::Usage`] if it is no set, or the output exists.
pub fn prepare(first: &Path, to: &To, how: How) -> Result<Job> {
    let mut input = Input::set(first)?;
    if input.split_count() == 0 {
        return Err(Error::invalid(first, "is not part of a split set").hint(SPLIT_NAME));
    }
    input.check_whole()?;
    input.tensors.iter_mut().for_each(split::normalize);
    let mut metadata = input.metadata.clone();
    // A grid finer than the default is for the files of a set only.
    let alignment = input.alignment.max(DEFAULT_ALIGNMENT);
    if alignment != input.alignment {
        metadata.remove("general.alignment");
    }
    input.check_alignment(alignment)?;
    // llama.cpp takes what has no splits for a whole model, whatever the other two say.
    metadata.remove("split.count");
    metadata.set("split.count", Value::U16(0));
    metadata.remove(SPLIT_SET_KEY);
    let path = match to {
        To::File(path) => {
            check_output(path, &input, how)?;
            path.clone()
        }
        To::Stream | To::InPlace => first.to_owned(),
    };
    let mut laid_out = metadata.clone();
    laid_out.remove(PADDING_KEY);
    let tensors = 0..input.tensors.len();
    let group = Group { path, metadata, laid_out, tensors, alignment, slack: None };
    let sharing = sharing(&input, &group.path, how)?;
    let planned = plan(&input, vec![group], true, &sharing)?;
    Job::new(input, planned, how, Links::Follow)
}

/// Refuses to remove what is not simply a file.
///
/// # Errors
/// [`Error::Usage`] naming it.
pub fn check_removable(job: &Job) -> Result<()> {
    match job.sources().iter().find(|source| source.path().is_symlink()) {
        None => Ok(()),
        Some(link) => {
            let problem = format!("--remove-inputs: {} is a symbolic link", link.path().display());
            Err(Error::usage(problem).about(link.path()).hint("remove what it leads to yourself, afterwards"))
        }
    }
}

/// Removes the files that were merged, the first one first: what is left is no set then. Answers how many bytes those were.
///
/// # Errors
/// If one has changed since it was read, or cannot be removed. The output is complete in any case.
pub fn remove_inputs(sources: &[File]) -> Result<u64> {
    let mut bytes = 0;
    for source in sources {
        source.check_unchanged()?;
        fs::remove_file(source.path()).map_err(|e| Error::io("cannot remove", source.path(), e))?;
        bytes += source.len();
    }
    if let Some(first) = sources.first() {
        let dir = parent(first.path());
        sync_directory(dir).map_err(|e| Error::io("cannot sync", dir, e))?;
    }
    Ok(bytes)
}
