//! Muse Glimmer.

use super::hooks::{Hooks, PLAIN};
use crate::config::layers::{self, FULL, SLIDING};
use crate::config::validate;
use crate::config::values::{Object, Refusal, null};
use crate::json::Value;

pub(super) const MUSE_GLIMMER: Hooks = Hooks {
    layer_types: Some(|config, _| Ok(layers::named(full(config)?, FULL, SLIDING))),
    after: thetas,
    validate: &[validate::heads_fit],
    ..PLAIN
};

pub(super) const ASSISTANT: Hooks = Hooks {
    key_value_heads: None,
    layer_types: Some(|config, _| layers::uniform(config, SLIDING)),
    layered: &[|_, config, _| {
        if null(config, "target_layer_ids") {
            config.insert("target_layer_ids".into(), [1, 13, 25, 37, 49].map(Value::from).to_vec().into());
        }
        Ok(())
    }],
    ..PLAIN
};

/// Every fourth layer has full attention, counted from the last.
fn full(config: &Object) -> Result<impl Iterator<Item = bool> + use<>, Refusal> {
    let count = layers::depth(config)?;
    Ok((0..count).map(move |layer| (count - 1 - layer).is_multiple_of(4)))
}

/// Full attention knows no positions.
fn thetas(config: &mut Object) -> Result<(), Refusal> {
    const KEY: &str = "layer_rope_theta";
    if null(config, KEY) {
        let theta = config.get("rope_parameters").and_then(|rope| rope.get("rope_theta")).cloned();
        let theta = theta.ok_or("rope_parameters have no rope_theta")?;
        let each = full(config)?.map(|full| if full { 0.into() } else { theta.clone() });
        let each: Value = each.collect();
        config.insert(KEY.into(), each);
    }
    Ok(())
}
