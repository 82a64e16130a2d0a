//! Which model an adapter is for, and where that is on this machine.

use std::path::Path;

use super::Options;
use crate::config::AdapterConfig;
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::source::{ModelDir, cached, is_dir, is_repository};

/// The base model of the adapter in `dir`: the one `options` name, or else `adapter` does. That is a directory, or the id
/// of a repository of which the Hugging Face cache has a snapshot.
///
/// # Errors
/// [`Error::Usage`] if none is named, or the one named is not here.
pub fn find(dir: &ModelDir, adapter: &AdapterConfig, options: &Options) -> Result<ModelDir> {
    if let Some(path) = &options.base {
        return dir.open_beside(path);
    }
    if let Some(id) = &options.base_model_id {
        return match cached(id)? {
            Some(snapshot) => dir.open_beside(&snapshot),
            None => Err(absent(id, "--base-model-id")),
        };
    }
    let named = adapter.base()?.ok_or_else(|| {
        Error::usage(
            "the adapter does not say what it adapts (base_model_name_or_path in adapter_config.json)",
        )
        .about(dir.path())
        .hint("name the base model's directory with --base")
    })?;
    let path = Path::new(named);
    if is_dir(path)? {
        return dir.open_beside(path);
    }
    match cached(named)? {
        Some(snapshot) => dir.open_beside(&snapshot),
        None => Err(absent(named, "the adapter's base model").about(dir.path())),
    }
}

fn absent(named: &str, what: &str) -> Error {
    let problem = format!("{what}, {}, is not on this machine", quoted(named));
    let error = Error::usage(problem).hint(
        "name its directory with --base; for an adapter alone, its config.json (and tokenizer) will do",
    );
    match is_repository(Path::new(named)) {
        true => error.hint(format!("or download it: `hf download {named}`")),
        false => error,
    }
}
