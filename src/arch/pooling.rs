//! How an embedding model turns its outputs into one vector: read from the files that
//! sentence-transformers puts beside the weights.

use std::path::Path;

use crate::json::Value;

use crate::checkpoint::modules;
use crate::config::{read_json, truthy};
use crate::error::{Error, Result};

use super::{Input, Keys};

/// `PoolingType` of gguf-py.
const MEAN: u32 = 1;
pub(super) const CLS: u32 = 2;
const LAST: u32 = 3;

/// Adds `pooling_type` if the model directory says what it is, and what a classifier pools if the configuration
/// does (`_try_set_pooling_type` of the reference).
///
/// # Errors
/// If `modules.json` points nowhere, or at a kind of pooling that GGUF does not know.
pub(super) fn pooling_type(input: &Input, keys: &mut Keys) -> Result<()> {
    from_modules(input, keys)?;
    let kind = match input.config.str(&["classifier_pooling"])? {
        None => return Ok(()),
        Some("mean") => MEAN,
        Some("cls") => CLS,
        Some(_) => {
            let problem = "classifier_pooling: only mean and cls can be converted";
            return Err(input.config.unsupported(problem));
        }
    };
    keys.set_u32("classifier.pooling_type", Some(kind));
    Ok(())
}

fn from_modules(input: &Input, keys: &mut Keys) -> Result<()> {
    let dir = &input.checkpoint.dir;
    let Some(path) = modules::listed(dir, "Pooling")?.into_iter().next() else {
        return Ok(());
    };
    let name = Path::new(&path).join("config.json");
    let pooling = read_json(dir, &name)?;
    let set = |key: &str| pooling.get(key).is_some_and(truthy);
    let kind = match pooling.get("pooling_mode").and_then(Value::as_str) {
        _ if set("pooling_mode_mean_tokens") => MEAN,
        _ if set("pooling_mode_cls_token") => CLS,
        _ if set("pooling_mode_lasttoken") => LAST,
        Some("mean") => MEAN,
        Some("cls") => CLS,
        Some("lasttoken") => LAST,
        _ => {
            let problem = "only mean, cls and last-token pooling can be converted";
            return Err(Error::unsupported(problem).at(dir.join(name)));
        }
    };
    keys.set_u32("pooling_type", Some(kind));
    Ok(())
}
