//! Qwen without experts, and Qwen 3.5.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::layers::{self, FULL, LINEAR, SLIDING};
use crate::config::values::{Object, Refusal, int, truthy};
use crate::json::Value;

pub(super) const QWEN2: Hooks = Hooks { before: &[window], layer_types: Some(layer_types), ..PLAIN };

pub(super) const DOTS1: Hooks = Hooks { layer_types: Some(layer_types), ..PLAIN };

pub(super) const QWEN3_5: Hooks = Hooks { rotated: Some(0.25), layer_types: Some(linear_layers), ..PLAIN };

/// The window, unless it is switched off.
pub(super) fn window(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if !config.get("use_sliding_window").is_some_and(truthy) {
        config.insert("sliding_window".into(), Value::Null);
    }
    Ok(())
}

/// Windows begin with a layer.
pub(super) fn layer_types(config: &Object, _: &mut Object) -> Result<Value, Refusal> {
    let first = int(config, "max_window_layers")?;
    let window = config.get("sliding_window").is_some_and(|window| !window.is_null());
    let slides = (0..).take(layers::depth(config)?).map(|layer| window && layer >= first);
    Ok(layers::named(slides, SLIDING, FULL))
}

pub(super) fn linear_layers(config: &Object, extra: &mut Object) -> Result<Value, Refusal> {
    let period = extra.shift_remove("full_attention_interval").unwrap_or(4.into());
    layers::full_every(config, period, LINEAR, 1)
}
