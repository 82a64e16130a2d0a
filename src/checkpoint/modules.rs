//! `modules.json`: what sentence-transformers puts after a model, each module in a directory of its own.

use std::ops::Range;
use std::path::{Component, Path};

use crate::json::Value;

use crate::config::read_json;
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::source::{File, ModelDir};

/// A module with tensors of its own.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its directory, as `modules.json` has it.
    pub path: String,
    /// Its part of [`Checkpoint::tensors`](super::Checkpoint::tensors).
    pub tensors: Range<usize>,
}

/// Where the modules are whose class's name ends with `kind`, relative to `dir`; nowhere if there is no list.
///
/// # Errors
/// If the list is none of modules, or one leads out of the model directory or is there twice.
pub fn listed(dir: &ModelDir, kind: &str) -> Result<Vec<String>> {
    let file = dir.join("modules.json");
    if !dir.exists("modules.json")? {
        return Ok(Vec::new());
    }
    let list = read_json(dir, "modules.json")?;
    let list = list.as_array().ok_or_else(|| Error::invalid(&file, "expected a list of modules"))?;
    let text = |module: &Value, key: &str| module.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut found: Vec<String> = Vec::new();
    for module in list {
        let Some(class) = text(module, "type").filter(|class| class.ends_with(kind)) else { continue };
        let path = text(module, "path").filter(|path| is_inside(path)).ok_or_else(|| {
            let problem =
                format!("the path of {} must be a directory inside the model directory", quoted(&class));
            Error::invalid(&file, problem)
        })?;
        if found.contains(&path) {
            return Err(Error::invalid(&file, format!("module {} is there twice", quoted(&path))));
        }
        found.push(path);
    }
    Ok(found)
}

/// Whether a path leads down, and nowhere else. Symlinks on it are followed: caches are full of them.
fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components().filter(|part| *part != Component::CurDir).peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// The weights of the module at `path`, if it has any.
pub fn weights(dir: &ModelDir, path: &str) -> Result<Option<File>> {
    let name = Path::new(path).join("model.safetensors");
    if dir.exists(&name)? { dir.file(&name).map(Some) } else { Ok(None) }
}
