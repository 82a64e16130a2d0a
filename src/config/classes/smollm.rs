//! SmolLM 3.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::layers::{self, FULL, SLIDING};
use crate::config::values::{Object, Refusal, int, truthy};
use crate::json::Value;

pub(super) const SMOLLM3: Hooks =
    Hooks { before: &[no_rope_layers], layer_types: Some(layer_types), ..PLAIN };

fn no_rope_layers(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let given = config.get("no_rope_layers").is_some_and(|layers| !layers.is_null());
    if given { Ok(()) } else { set_no_rope_layers(config) }
}

/// Which layers rotate (they have a 1): all but every so many-th.
pub(super) fn set_no_rope_layers(config: &mut Object) -> Result<(), Refusal> {
    let interval = int(config, "no_rope_layer_interval")?.into();
    let stops = layers::every(layers::depth(config)?, &interval, 1)?;
    config.insert("no_rope_layers".into(), stops.map(|stops| u8::from(!stops)).collect());
    Ok(())
}

/// Layers that do not rotate have windows, if any have.
fn layer_types(config: &Object, _: &mut Object) -> Result<Value, Refusal> {
    let rotate = config.get("no_rope_layers").and_then(Value::as_array);
    let rotate = rotate.ok_or("no_rope_layers is not a list")?;
    let count = layers::depth(config)?;
    if rotate.len() < count {
        return Err("no_rope_layers is shorter than the model is deep".into());
    }
    let slides = config.get("use_sliding_window").is_some_and(truthy)
        && config.get("sliding_window").is_some_and(|window| !window.is_null());
    Ok(layers::named(rotate.iter().take(count).map(|rotates| slides && !truthy(rotates)), SLIDING, FULL))
}
