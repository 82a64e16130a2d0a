//! `model.safetensors.index.json`: which file of a sharded checkpoint holds which tensor.
//!
//! Only what the index says; whether the files agree is checked by the caller.

use std::collections::HashMap;
use std::fmt;
use std::path::{Component, Path};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::header::Text;
use crate::error::{Error, Result};
use crate::input::{bounded, quoted};
use crate::source::ModelDir;

/// Largest index, in bytes. Real ones stay under 10 MB.
const INDEX_MAX: u64 = 100_000_000;

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
    let json = dir.read(name, INDEX_MAX)?;
    let path = &dir.join(name);
    let Root(map) = serde_json::from_slice(&json)
        .map_err(|e| Error::invalid(path, format!("not a valid index: {}", bounded(&e.to_string()))))?;
    let map = map.ok_or_else(|| Error::invalid(path, "expected an object weight_map, found none"))?;
    let WeightMap { files: ids, mut tensors } = map;
    if tensors.is_empty() {
        return Err(Error::invalid(path, "weight_map is empty, expected at least one tensor"));
    }
    let mut files: Vec<(String, usize)> = ids.into_iter().collect();
    files.sort_unstable();
    for (name, _) in &files {
        check_file_name(name)
            .map_err(|problem| Error::invalid(path, format!("file name {} {problem}", quoted(name))))?;
    }
    let mut place = vec![0; files.len()];
    for (new, (_, old)) in files.iter().enumerate() {
        place[*old] = new;
    }
    for (_, file) in &mut tensors {
        *file = place[*file];
    }
    tensors.sort_unstable();
    if let Some(pair) = tensors.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::invalid(path, format!("weight_map names tensor {} twice", quoted(&pair[0].0))));
    }
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

/// The part of the index that matters.
struct Root(Option<WeightMap>);

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Root;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object with a weight_map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Root, A::Error> {
                let mut weights = None;
                while let Some(Text(key)) = map.next_key()? {
                    if key != "weight_map" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let value = map.next_value().map_err(|e| A::Error::custom(format!("weight_map: {e}")))?;
                    if weights.replace(value).is_some() {
                        return Err(A::Error::duplicate_field("weight_map"));
                    }
                }
                Ok(Root(weights))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Tensor name to file, with every file name stored once.
struct WeightMap {
    files: HashMap<String, usize>,
    tensors: Vec<(String, usize)>,
}

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = WeightMap;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object from tensor name to file name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap, A::Error> {
                let mut weights = WeightMap { files: HashMap::new(), tensors: Vec::new() };
                while let Some((Text(tensor), Text(file))) = map.next_entry()? {
                    let next = weights.files.len();
                    let id = *weights.files.entry(file).or_insert(next);
                    weights.tensors.push((tensor, id));
                }
                Ok(weights)
            }
        }
        deserializer.deserialize_map(Object)
    }
}
