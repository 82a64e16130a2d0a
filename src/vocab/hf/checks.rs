//! What must hold of the files before a tokenizer is built from them.

use std::path::Path;

use crate::config::{has_class, lost_size};
use crate::error::{Error, Result};
use crate::input::bounded;
use crate::json::{Map, Value};
use crate::vocab::bounded as parts;
use crate::vocab::files::TokenizerFiles;

/// Checks the configuration, and `tree`, the `tokenizer.json` at `path`.
///
/// # Errors
/// For what transformers refuses, and for what is too large.
pub(super) fn check(files: &TokenizerFiles, tree: &Map<String, Value>, path: &Path) -> Result<()> {
    check_ids(files)?;
    check_sizes(files)?;
    parts::check(path, tree)?;
    let in_tree = tree.get("model").and_then(|model| model.get("vocab"));
    if files.unigram.is_none() && in_tree.is_some_and(Value::is_array) {
        // What the library makes of it can be a hundred times as large.
        let problem =
            "model.vocab: expected pairs of a text, none of them twice, and a score of a Unigram model";
        return Err(Error::invalid(path, problem));
    }
    Ok(())
}

/// transformers reads `config.json` too, and then refuses what its class does not take. That is followed where what would
/// come out is of no use, because a size is missing that the class would have given.
fn check_sizes(files: &TokenizerFiles) -> Result<()> {
    let path = files.dir.join("config.json");
    match files.model_config.as_ref().and_then(|config| lost_size(&path, config)) {
        Some((key, reason)) => {
            let hint =
                format!("correct that, or add {key}, which is missing without the defaults of the class");
            Err(Error::invalid(path, reason).hint(hint))
        }
        None => Ok(()),
    }
}

/// transformers reads `config.json` too, and refuses token ids of other types if it has a class for the model.
fn check_ids(files: &TokenizerFiles) -> Result<()> {
    let Some(config) = files.model_config.as_ref().filter(|config| has_class(config)) else { return Ok(()) };
    for key in ["bos_token_id", "eos_token_id", "pad_token_id"] {
        let is_id = Value::is_int;
        let valid = match config.get(key) {
            None | Some(Value::Null) => true,
            Some(Value::Array(ids)) => key == "eos_token_id" && ids.iter().all(is_id),
            Some(id) => is_id(id),
        };
        if !valid {
            let found = config.get(key).map(Value::to_string).unwrap_or_default();
            let problem = format!("{key}: expected a token id, found {}", bounded(&found));
            return Err(Error::invalid(files.dir.join("config.json"), problem));
        }
    }
    Ok(())
}
