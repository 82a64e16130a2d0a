//! Finding and reading all files of a split GGUF by the name of any one of them.

use std::path::{Path, PathBuf};

use super::mixed;
use crate::error::{Error, Result};
use crate::gguf::{self, Gguf, Value};
use crate::input::listed;
use crate::source::{File, look, must_be_gguf};

/// Most tensors in all splits of a GGUF file: what one file may have.
const MOST_TENSORS: usize = 1 << 19;

/// The file at `path`, or all files of the set it belongs to. A file of a set that was renamed stands
/// for itself, as its siblings cannot be found.
///
/// # Errors
/// Those of [`gguf::read`]; [`Error::Invalid`] for a set that is incomplete or put together from several.
pub fn read(path: &Path) -> Result<Vec<(PathBuf, Gguf)>> {
    let files = open(path, &mut |path| File::open(path))?;
    Ok(files.into_iter().map(|(file, gguf)| (file.path().to_owned(), gguf)).collect())
}

/// As [`read()`], through files that `opens` gives.
///
/// # Errors
/// As [`read()`], and those of `opens`.
pub fn open(path: &Path, opens: &mut dyn FnMut(&Path) -> Result<File>) -> Result<Vec<(File, Gguf)>> {
    must_be_gguf(path)?;
    let file = opens(path)?;
    let given = gguf::read_file(&file)?;
    let count = match given.metadata.get("split.count") {
        Some(Value::U16(count)) => *count,
        _ => return Ok(vec![(file, given)]),
    };
    let Some(name) = split_name(path) else { return Ok(vec![(file, given)]) };
    drop(given);
    if name.count != count {
        let SplitName { count: in_name, .. } = name;
        return Err(Error::invalid(path, format!("split.count is {count}, but the name says {in_name}")));
    }
    let names: Vec<String> =
        (1..=count).map(|no| format!("{}-{no:05}-of-{count:05}.gguf", name.prefix)).collect();
    let mut missing = Vec::new();
    for name in &names {
        if look(&path.with_file_name(name))?.is_none() {
            missing.push(name.as_str());
        }
    }
    if !missing.is_empty() {
        let problem = format!("{} of {count} splits are missing: {}", missing.len(), listed(missing));
        return Err(Error::invalid(path, problem));
    }
    let mut files = Vec::new();
    let mut tensors = 0;
    for (no, name) in (0..count).zip(&names) {
        let path = path.with_file_name(name);
        let opened = opens(&path)?;
        let file = gguf::read_file(&opened)?;
        for (key, expected) in [("split.no", no), ("split.count", count)] {
            let found = file.metadata.get(key);
            if found != Some(&Value::U16(expected)) {
                let found = found.map_or("nothing".to_owned(), |value| format!("{value:?}"));
                return Err(Error::invalid(&path, format!("{key} is {found}, expected {expected} as u16")));
            }
        }
        tensors += file.tensors.len();
        if tensors > MOST_TENSORS {
            let problem = format!("expected at most {MOST_TENSORS} tensors in all splits, found more");
            return Err(Error::invalid(&path, problem));
        }
        files.push((opened, file));
    }
    let described: Vec<_> = files.iter().map(|(file, gguf)| (file.path(), gguf)).collect();
    mixed::check(&described)?;
    Ok(files)
}

/// The first file of the set that `path` is one of, if it is there and their names say so.
///
/// # Errors
/// [`Error::Io`].
pub fn first(path: &Path) -> Result<Option<PathBuf>> {
    let Some(SplitName { prefix, count }) = split_name(path) else { return Ok(None) };
    let first = path.with_file_name(format!("{prefix}-00001-of-{count:05}.gguf"));
    Ok(look(&first)?.map(|_| first))
}

/// A file name as `gguf-split` makes them: `PREFIX-00001-of-00003.gguf`.
struct SplitName<'a> {
    prefix: &'a str,
    count: u16,
}

fn split_name(path: &Path) -> Option<SplitName<'_>> {
    let number = |text: &str| text.parse().ok().filter(|_| text.len() == 5 && !text.starts_with('+'));
    let (rest, count) = path.file_name()?.to_str()?.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (prefix, no) = rest.rsplit_once('-')?;
    let (count, no): (u16, u16) = (number(count)?, number(no)?);
    (1..=count).contains(&no).then_some(SplitName { prefix, count })
}
