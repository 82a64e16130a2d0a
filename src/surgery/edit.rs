//! `ggraft edit`: other key-values, the same tensors.

mod change;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ggraft_platform::Links;

use super::input::{Input, SPLIT_NAME};
use super::{Group, How, Job, To, check_output, header, plan, sharing};
use crate::error::{Error, Result};
use crate::gguf::{DEFAULT_ALIGNMENT, Gguf, KeyValues, StoredTensor, TypeInfo, Value};
use crate::inspect::first_of_set;
use crate::plan::Plan;
use crate::source::look;
use crate::verify;

pub use change::Change;

/// Plans to write `file` with `changes` made, one after the other.
///
/// # Errors
/// Those of reading it; [`Error::Usage`] for changes that make no sense, or would keep llama.cpp from loading the file.
pub fn prepare(file: &Path, changes: &[Change], to: &To, how: How) -> Result<Job> {
    let input = Input::file(file)?;
    if !how.force {
        check_first(&input, file)?;
    }
    let mut metadata = input.metadata.clone();
    for change in changes {
        change.apply(&mut metadata, file, how.force)?;
    }
    let alignment = alignment(&metadata, file)?;
    input.check_alignment(alignment)?;
    if !how.force {
        check_loads(&input, &metadata)?;
    }
    let (path, links) = target(&input, file, to, how)?;
    let slack = Some(header::slack(&input));
    let group = |laid_out| Group {
        path: path.clone(),
        metadata: metadata.clone(),
        laid_out,
        tensors: 0..input.tensors.len(),
        alignment,
        slack,
    };
    let (sharing, mut best) = (sharing(&input, &path, how)?, None::<Plan>);
    for laid_out in header::padded(&input.metadata, &metadata) {
        let plan = plan(&input, vec![group(laid_out)], false, &sharing)?;
        let shared = plan.shared().0;
        if best.as_ref().is_none_or(|best| shared > best.shared().0) {
            best = Some(plan);
        }
        if shared == 0 {
            break;
        }
    }
    let plan = best.ok_or_else(|| Error::Internal("there is no place for padding".into()))?;
    Job::new(input, plan, how, links)
}

/// Refuses another file of a set than the first: nobody reads its key-values.
fn check_first(input: &Input, file: &Path) -> Result<()> {
    let Some(Value::U16(no @ 1..)) = input.metadata.get("split.no") else { return Ok(()) };
    let (shown, no, count) = (file.display(), no + 1, input.split_count());
    let problem = format!("{shown} is file {no} of a set of {count}, and key-values are read from the first");
    let error = Error::usage(problem).about(file);
    Err(match first_of_set(file)? {
        Some(first) => error.hint(format!("name that: {}", first.display())),
        None => error.hint(SPLIT_NAME),
    }
    .hint("--force edits this file all the same"))
}

/// Where the edited file goes, and what becomes of a link there.
fn target(input: &Input, file: &Path, to: &To, how: How) -> Result<(PathBuf, Links)> {
    match to {
        To::Stream => Ok((file.to_owned(), Links::Follow)),
        To::InPlace => Ok((file.to_owned(), links_in_place(file)?)),
        To::File(path) => {
            check_output(path, input, how)?;
            if input.split_count() > 1 && path.file_name() != file.file_name() {
                let (path, file) = (path.display(), file.display());
                tracing::warn!("{path}: the files of a set are found by names like that of {file}");
            }
            Ok((path.clone(), Links::Follow))
        }
    }
}

/// What becomes of a link that is edited in place. A file of a Hugging Face cache is named after what is in it, so the link
/// is replaced, not that file.
fn links_in_place(file: &Path) -> Result<Links> {
    let real = file.canonicalize().map_err(|e| Error::io("cannot resolve", file, e))?;
    let is_blob = |dir: &Path| dir.ends_with("blobs") && dir.with_file_name("snapshots").is_dir();
    if file.is_symlink() && real.parent().is_some_and(is_blob) {
        return Ok(Links::Replace);
    }
    if look(&real)?.is_some_and(|found| found.nlink() > 1) {
        tracing::warn!("{}: its other names (hard links) keep the old file", file.display());
    }
    Ok(Links::Follow)
}

fn alignment(metadata: &KeyValues, file: &Path) -> Result<u64> {
    match metadata.get("general.alignment") {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(Value::U32(n)) if n.is_power_of_two() => Ok(u64::from(*n)),
        Some(_) => {
            let problem = "general.alignment has to be a power of two, as u32";
            Err(Error::usage(format!("{}: {problem}", file.display())).about(file))
        }
    }
}

/// Refuses key-values with which llama.cpp does not load a file that it loaded before.
fn check_loads(input: &Input, metadata: &KeyValues) -> Result<()> {
    let stored = |tensor: &super::Stored| StoredTensor {
        name: tensor.info.name.clone(),
        shape: tensor.info.shape.clone(),
        type_id: tensor.info.type_id,
        offset: tensor.offset,
        len: TypeInfo::of(tensor.info.type_id).map(|_| tensor.info.bytes),
    };
    let file = |metadata: &KeyValues| Gguf {
        version: 3,
        len: 0,
        metadata: metadata.clone(),
        alignment: input.alignment,
        data_start: 0,
        tensors: input.tensors.iter().map(stored).collect(),
    };
    let check = |metadata| verify::check_structure(&[(input.path().to_owned(), file(metadata))]);
    match check(metadata) {
        Err(error) if check(&input.metadata).is_ok() => {
            Err(error.hint("--force makes the change all the same"))
        }
        _ => Ok(()),
    }
}
