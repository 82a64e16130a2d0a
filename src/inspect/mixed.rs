//! Whether the files of a split GGUF come from one conversion. Half of one set and half of another have the right names
//! and numbers, and load.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::error::{Error, Result};
use crate::gguf::{Gguf, SPLIT_SET_KEY, TypeInfo, Value};
use crate::input::quoted;

/// Kinds of tensors that two files must have in common for their types to say something. Quantizers give some layers
/// more bits, but not all of their tensors.
const KINDS: usize = 2;

/// Checks what the files of a set say about each other.
///
/// # Errors
/// [`Error::Invalid`] naming a file that is not of the same set as the first, or the first if the whole is wrong.
pub fn check(files: &[(&Path, &Gguf)]) -> Result<()> {
    let Some(((first_path, first), rest)) = files.split_first() else { return Ok(()) };
    for (path, file) in rest {
        same_value(SPLIT_SET_KEY, first, file, path, false)?;
        same_value("split.tensors.count", first, file, path, true)?;
    }
    let found: usize = files.iter().map(|(_, file)| file.tensors.len()).sum();
    match first.metadata.get("split.tensors.count") {
        Some(Value::I32(n)) if usize::try_from(*n) == Ok(found) => {}
        other => {
            let other = other.map_or("nothing".to_owned(), |value| format!("{value:?}"));
            let problem =
                format!("split.tensors.count is {other}, the files of the set hold {found} tensors");
            return Err(Error::invalid(first_path, problem));
        }
    }
    let mut seen = HashSet::new();
    for (path, file) in files {
        if let Some(twice) = file.tensors.iter().find(|tensor| !seen.insert(tensor.name.as_str())) {
            let name = quoted(&twice.name);
            let problem = format!("tensor {name} is in a file before it, too");
            return Err(other_set(path, problem).tensor(&twice.name));
        }
    }
    for pair in files.windows(2) {
        if let [(_, before), (path, file)] = pair {
            same_types(before, file, path)?;
        }
    }
    Ok(())
}

/// Refuses another value of `key` than the first file's, and its absence unless `optional`.
fn same_value(key: &str, first: &Gguf, file: &Gguf, path: &Path, optional: bool) -> Result<()> {
    let (expected, found) = (first.metadata.get(key), file.metadata.get(key));
    if expected == found || optional && found.is_none() {
        return Ok(());
    }
    let show = |value: Option<&Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => quoted(&String::from_utf8_lossy(text)),
        Some(other) => quoted(&format!("{other:?}")),
    };
    Err(other_set(path, format!("{key} is {}, the first file has {}", show(found), show(expected))))
}

/// Refuses a file in which all matrices have other types than those of the same kind in the file before.
fn same_types(before: &Gguf, file: &Gguf, path: &Path) -> Result<()> {
    let (before, here) = (types(before), types(file));
    let common = || here.iter().filter_map(|(kind, found)| Some((kind, *found, *before.get(kind)?)));
    // Where there are several, nothing can be said.
    let agree = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
    if common().count() < KINDS || common().any(|(_, found, expected)| agree(found, expected)) {
        return Ok(());
    }
    let Some((kind, Some(found), Some(expected))) = common().min() else { return Ok(()) };
    let name = |id| TypeInfo::of(id).map_or_else(|| format!("type {id}"), |info| info.name.to_owned());
    let (found, expected, kind) = (name(found), name(expected), quoted(kind));
    Err(other_set(path, format!("tensors like {kind} are {found}, in the file before {expected}")))
}

/// For every kind of matrix, its type in `file`; none if it has several.
fn types(file: &Gguf) -> HashMap<String, Option<u32>> {
    let mut types = HashMap::new();
    for tensor in file.tensors.iter().filter(|tensor| tensor.shape.len() > 1) {
        let kind = tensor.name.split('.').map(|part| match part.bytes().all(|b| b.is_ascii_digit()) {
            true => "N",
            false => part,
        });
        let kind = kind.collect::<Vec<_>>().join(".");
        let known = types.entry(kind).or_insert(Some(tensor.type_id));
        *known = known.filter(|id| *id == tensor.type_id);
    }
    types
}

fn other_set(path: &Path, problem: String) -> Error {
    Error::invalid(path, format!("belongs to another set than the files beside it: {problem}"))
        .hint("convert the model again")
}
