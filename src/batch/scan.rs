//! Every checkpoint below a directory, as a list of jobs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::jobs::{Defaults, List};
use super::{Job, Selection};
use crate::error::{Error, Result};
use crate::source::is_dir;

/// Deepest directory below the one that is scanned.
const DEPTH: usize = 16;

/// A job for every checkpoint in `root` or below, in bytewise order of their paths: directories with a `config.json` and
/// weights. Hidden directories and links to directories are not entered.
///
/// # Errors
/// [`Error::Io`] if a directory cannot be read, [`Error::Usage`] if there is no checkpoint.
pub fn scan(root: &Path, defaults: &Defaults, only: Selection) -> Result<Vec<Job>> {
    if !is_dir(root)? {
        return Err(Error::usage(format!("--scan: there is no directory {}", root.display())).about(root));
    }
    let mut found = Vec::new();
    enter(root, DEPTH, &mut found)?;
    if found.is_empty() {
        let root = root.display();
        return Err(Error::usage(format!(
            "--scan {root}: no checkpoint there (config.json with *.safetensors or *.bin)"
        )));
    }
    found.sort();
    let list = List { path: root, defaults, only };
    let mut jobs = Vec::new();
    for (no, model) in found.iter().enumerate().filter(|(no, _)| only.has(*no)) {
        let text = model
            .to_str()
            .ok_or_else(|| list.wrong("--scan", format_args!("{} is not UTF-8", model.display())))?;
        let entry = Map::from_iter([("model".to_owned(), Value::from(text))]);
        jobs.extend(list.entry(no, text, &entry)?);
    }
    list.check_selection(found.len())?;
    Ok(jobs)
}

fn enter(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let cannot = |e| Error::io("cannot list", dir, e);
    let (mut config, mut weights, mut below) = (false, false, Vec::new());
    for entry in fs::read_dir(dir).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let (name, kind) = (entry.file_name(), entry.file_type().map_err(cannot)?);
        let name = name.to_string_lossy();
        if kind.is_dir() {
            below.extend((!name.starts_with('.')).then(|| entry.path()));
        } else {
            config |= name == "config.json" || name == "params.json";
            weights |= name.ends_with(".safetensors")
                || (name.starts_with("pytorch_model") && name.ends_with(".bin"));
        }
    }
    if config && weights {
        // What lies below belongs to this model.
        found.push(dir.to_owned());
        return Ok(());
    }
    match depth.checked_sub(1) {
        Some(depth) => below.iter().try_for_each(|dir| enter(dir, depth, found)),
        None => Ok(()),
    }
}
