//! `model.safetensors.index.json`: which file of a sharded checkpoint holds which tensor.
//!
//! Only what the index says; whether the files agree is checked by the caller.

use std::path::{Component, Path};

use hashbrown::{DefaultHashBuilder, HashMap};
use indexmap::IndexMap;

use super::budget::{Budget, MOST_FILES};
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::json::{JsonError, Reader};
use crate::source::ModelDir;

/// Largest index, in bytes. Real ones stay under 10 MB.
const INDEX_MAX: u64 = 100_000_000;

/// Most bytes of the names of all files.
const FILE_NAMES_MAX: usize = 16 << 20;

/// The `weight_map` of an index.
#[derive(Debug)]
pub struct Index {
    /// The files it names, sorted; all lie in the model directory.
    pub files: Vec<String>,
    /// Tensor name and index into `files`, sorted by name.
    pub tensors: Vec<(String, usize)>,
}

/// Reads the index `name` of the model in `dir` and checks that its file names stay in the directory.
pub fn read(dir: &ModelDir, name: &str) -> Result<Index> {
    let bytes = dir.read(name, INDEX_MAX)?;
    let path = &dir.join(name);
    let map = parse(&bytes).map_err(|e| Error::invalid(path, format!("not a valid index: {e}")))?;
    let map = map.ok_or_else(|| Error::invalid(path, "expected an object weight_map, found none"))?;
    let WeightMap { files: ids, tensors } = map;
    if tensors.is_empty() {
        return Err(Error::invalid(path, "weight_map is empty, expected at least one tensor"));
    }
    // A file that only a name repeated later was in is no part of the index.
    let mut used = vec![false; ids.len()];
    tensors.values().for_each(|file| used[*file] = true);
    let mut files: Vec<(String, usize)> = ids.into_iter().filter(|(_, id)| used[*id]).collect();
    files.sort_unstable();
    for (name, _) in &files {
        check_file_name(name)
            .map_err(|problem| Error::invalid(path, format!("file name {} {problem}", quoted(name))))?;
    }
    let mut place = vec![0; used.len()];
    for (new, (_, old)) in files.iter().enumerate() {
        place[*old] = new;
    }
    let mut tensors: Vec<(String, usize)> =
        tensors.into_iter().map(|(name, file)| (name, place[file])).collect();
    tensors.sort_unstable();
    Ok(Index { files: files.into_iter().map(|(name, _)| name).collect(), tensors })
}

/// A name may lead into a subdirectory, never out of the model directory.
fn check_file_name(name: &str) -> Result<(), &'static str> {
    let mut parts = Path::new(name).components().peekable();
    if parts.peek().is_none() {
        return Err("is empty");
    }
    if name.chars().any(char::is_control) {
        return Err("contains control characters");
    }
    if parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        Ok(())
    } else {
        Err("leads out of the model directory")
    }
}

/// Tensor name to file, with every file name stored once. The last of equal names counts.
#[derive(Default)]
struct WeightMap {
    files: HashMap<String, usize>,
    /// In the order of the text, which nearly always is that of the names.
    tensors: IndexMap<String, usize, DefaultHashBuilder>,
}

/// The part of the index that matters.
fn parse(bytes: &[u8]) -> Result<Option<WeightMap>, JsonError> {
    let mut weights = None;
    let mut reader = Reader::new(bytes)?;
    reader.object(|reader, key| {
        if key.whole() != Some("weight_map") {
            return reader.skip();
        }
        let map = weights.insert(WeightMap::default());
        weight_map(reader, map).map_err(|e| e.within("weight_map"))
    })?;
    reader.end()?;
    Ok(weights)
}

fn weight_map(reader: &mut Reader, map: &mut WeightMap) -> Result<(), JsonError> {
    let (mut budget, mut file_names) = (Budget::default(), 0);
    reader.object(|reader, tensor| {
        let file = reader.text()?;
        let (Some(tensor), Some(file)) = (tensor.whole(), file.whole()) else {
            return Err(JsonError::Unexpected("a name has half a surrogate pair".to_owned()));
        };
        budget.take(tensor, 0).map_err(JsonError::Unexpected)?;
        let next = map.files.len();
        let id = *map.files.entry(file.to_owned()).or_insert(next);
        if id == next {
            file_names += file.len();
        }
        if next > MOST_FILES || file_names > FILE_NAMES_MAX {
            let problem = format!(
                "expected at most {MOST_FILES} files with names of {FILE_NAMES_MAX} bytes, found more"
            );
            return Err(JsonError::Unexpected(problem));
        }
        map.tensors.insert(tensor.to_owned(), id);
        Ok(())
    })
}
