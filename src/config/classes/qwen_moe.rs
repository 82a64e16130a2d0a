//! Qwen with experts.

use super::hooks::{Hooks, PLAIN};
use super::qwen;
use crate::config::class::Class;
use crate::config::layers::{FULL, SLIDING};
use crate::config::values::{Object, Refusal, int, null, truthy};
use crate::config::{derive, layers};
use crate::json::Value;

pub(super) const QWEN2_MOE: Hooks =
    Hooks { key_value_heads: None, before: &[window, dense_layers], layer_types: Some(layer_types), ..PLAIN };

pub(super) const QWEN3_MOE: Hooks = Hooks { before: &[qwen::window, dense_layers], ..PLAIN };

pub(super) const QWEN3_NEXT: Hooks = Hooks { before: &[dense_layers], ..qwen::QWEN3_5 };

pub(super) const QWEN3_OMNI_MOE_TEXT: Hooks =
    Hooks { key_value_heads: None, before: &[dense_layers], ..PLAIN };

pub(super) const QWEN3_VL_MOE_TEXT: Hooks =
    Hooks { before: &[derive::head_dim_of_heads, no_window, dense_layers], ..PLAIN };

/// The window, which is 0 where it is switched off.
fn window(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if !config.get("use_sliding_window").is_some_and(truthy) {
        config.insert("sliding_window".into(), 0.into());
    }
    Ok(())
}

fn no_window(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    config.insert("sliding_window".into(), Value::Null);
    Ok(())
}

fn dense_layers(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "mlp_only_layers") {
        config.insert("mlp_only_layers".into(), Value::Array(Vec::new()));
    }
    Ok(())
}

/// Every other of the first layers has a window.
fn layer_types(config: &Object, _: &mut Object) -> Result<Value, Refusal> {
    let end = int(config, "max_window_layers")?;
    let window = config.get("use_sliding_window").is_some_and(truthy);
    let slides = (0..).take(layers::depth(config)?).map(|layer| window && layer % 2 == 0 && layer < end);
    Ok(layers::named(slides, SLIDING, FULL))
}
