//! What several configuration classes demand of their values (`validate_*` of transformers' classes).
//!
//! Knows nothing of single classes.

use crate::json::Value;

use super::class::Class;
use super::generated::classes::{ATTENTION_LAYER_TYPES, MLP_LAYER_TYPES};
use super::values::{Object, Refusal, int, stored_as};

/// There is one text model at most.
pub(super) fn one_text(config: &Object) -> Result<(), Refusal> {
    let texts = ["decoder", "generator", "text_config"];
    let texts = texts.iter().filter(|key| config.get(**key).is_some_and(|text| !text.is_null()));
    if texts.count() > 1 {
        return Err("more than one text config".into());
    }
    Ok(())
}

/// Heads share the width evenly.
pub(super) fn heads_fit(config: &Object) -> Result<(), Refusal> {
    let (hidden, heads) = (int(config, "hidden_size")?, int(config, "num_attention_heads")?);
    if hidden.checked_rem(heads) != Some(0) {
        return Err(format!("hidden_size {hidden} is not a multiple of num_attention_heads {heads}"));
    }
    Ok(())
}

/// Lists of layers have an entry for each layer, of a known kind.
pub(super) fn layer_types(class: &Class, config: &Object) -> Result<(), Refusal> {
    for (key, allowed) in [("layer_types", ATTENTION_LAYER_TYPES), ("mlp_layer_types", MLP_LAYER_TYPES)] {
        let Some(count) = config.get(stored_as(class, "num_hidden_layers")) else {
            return Ok(());
        };
        let layers = match config.get(stored_as(class, key)) {
            Some(Value::Array(layers)) => layers,
            None if class.computed.contains(&key) || class.computed.contains(&stored_as(class, key)) => {
                continue;
            }
            None | Some(Value::Null) => return Ok(()),
            Some(_) => return Err(format!("{key} is not a list")),
        };
        let known = |v: &Value| v.as_str().is_some_and(|kind| allowed.contains(&kind));
        if !layers.iter().all(known) {
            return Err(format!("{key} names a kind of layer that does not exist"));
        }
        if !count.is_null() && count.as_u64() != Some(layers.len() as u64) {
            return Err(format!("{key} has {} entries, num_hidden_layers is {count}", layers.len()));
        }
    }
    Ok(())
}
