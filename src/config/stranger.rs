//! What a directory without `config.json` is instead of a model.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::input::one_line;
use crate::source::ModelDir;

/// What to say of `dir`, which has no `config.json`.
///
/// # Errors
/// The answer is always one.
pub(super) fn explain<T>(dir: &ModelDir) -> Result<T> {
    let unsupported = |what: &str| Error::unsupported(what).at(dir.path());
    let names = dir.list("")?;
    let has = |name: &str| names.iter().any(|found| found == name);
    if has("adapter_config.json") {
        return Err(unsupported("is an adapter (adapter_config.json), not a whole model")
            .hint("`ggraft lora` converts it, with --base and its base model's directory"));
    }
    if has("model_index.json") {
        return Err(unsupported("is a diffusers pipeline (model_index.json), not a language model").hint(
            "its text encoders are models of their own: name such a directory in it, if you want one",
        ));
    }
    if has("params.json") {
        let problem = "has no config.json, but params.json: a model in Mistral's own format";
        return Err(Error::invalid(dir.path(), problem).hint("convert it with --mistral-format"));
    }
    let snapshots = dir.list("snapshots").unwrap_or_default();
    if let (true, Some(snapshot)) = (has("refs") || has("blobs"), snapshots.last()) {
        let snapshot: PathBuf = dir.join("snapshots").join(snapshot);
        let problem = "is a repository of the Hugging Face cache; the model is in one of its snapshots";
        let hint = format!("name that: {}", one_line(&snapshot.to_string_lossy()));
        return Err(Error::invalid(dir.path(), problem).hint(hint));
    }
    if let Some(model) = names.iter().find(|name| name.to_string_lossy().starts_with("models--")) {
        let snapshot = dir.join(model).join("snapshots");
        let problem = "is a Hugging Face cache; each model in it has a directory of its own";
        let hint = format!("name one of the directories in {}", one_line(&snapshot.to_string_lossy()));
        return Err(Error::invalid(dir.path(), problem).hint(hint));
    }
    let problem = "no such file; is this the directory of a Hugging Face model?";
    let error = Error::invalid(dir.join("config.json"), problem);
    let is_model = |name: &&OsString| dir.exists(Path::new(name).join("config.json")).unwrap_or(false);
    Err(match names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")).find(is_model) {
        Some(model) => {
            let model = one_line(&dir.join(model).to_string_lossy());
            error.hint(format!(
                "there is a model in it: {model}; `ggraft batch --scan` converts all below a directory"
            ))
        }
        None => error,
    })
}
