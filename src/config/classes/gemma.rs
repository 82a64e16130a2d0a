//! Gemma up to Gemma 3n.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::layers::{FULL, SLIDING};
use crate::config::rope::ByLayer;
use crate::config::values::{Object, Refusal, int, null, truthy};
use crate::config::{layers, rope, validate};
use crate::json::Value;

pub(super) const GEMMA: Hooks = Hooks { before: &[activation], ..PLAIN };

pub(super) const GEMMA2: Hooks = Hooks {
    layer_types: Some(|config, _| layers::full_every(config, 2, SLIDING, 1)),
    validate: &[validate::heads_fit],
    ..PLAIN
};

pub(super) const GEMMA3: Hooks = Hooks {
    before: &[window, window_pattern],
    layer_types: Some(|config, _| {
        let period = config.get("_sliding_window_pattern").cloned().unwrap_or_default();
        layers::full_every(config, period, SLIDING, 1)
    }),
    rope: rope_by_layer,
    validate: &[validate::heads_fit],
    ..PLAIN
};

pub(super) const GEMMA3N: Hooks = Hooks {
    before: &[feed_forward, sparsity],
    layer_types: Some(|config, _| layers::full_every(config, 5, SLIDING, 1)),
    rope: rope_by_layer,
    validate: &[validate::heads_fit],
    ..PLAIN
};

fn activation(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if config.get("hidden_act").is_some_and(|act| act == "gelu") {
        config.insert("hidden_act".into(), "gelu_pytorch_tanh".into());
    }
    Ok(())
}

/// A window that looks both ways.
fn window(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if config.get("use_bidirectional_attention").is_some_and(truthy) {
        even_window(config)?;
    }
    Ok(())
}

/// The window halved, then doubled.
pub(super) fn even_window(config: &mut Object) -> Result<(), Refusal> {
    let window = int(config, "sliding_window")?;
    config.insert("sliding_window".into(), (window - window.rem_euclid(2)).into());
    Ok(())
}

fn window_pattern(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    let pattern = extra.get("sliding_window_pattern").cloned().unwrap_or(6.into());
    config.insert("_sliding_window_pattern".into(), pattern);
    Ok(())
}

fn rope_by_layer(class: &Class, config: &Object, extra: &mut Object) -> Result<Option<Object>, Refusal> {
    let keys = ByLayer { full: "rope_theta", sliding: "rope_local_base_freq", scaled: &[FULL] };
    rope::by_layer(class, config, extra, &keys)
}

/// One size, or one for each layer.
fn feed_forward(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let count = layers::depth(config)?;
    match config.get("intermediate_size") {
        Some(Value::Array(sizes)) if sizes.len() != count => {
            return Err(format!("intermediate_size has {} entries, expected {count}", sizes.len()));
        }
        Some(Value::Array(_)) | None => {}
        Some(size) => {
            let sizes = vec![size.clone(); count];
            config.insert("intermediate_size".into(), sizes.into());
        }
    }
    Ok(())
}

fn sparsity(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    const KEY: &str = "activation_sparsity_pattern";
    let count = layers::depth(config)?;
    if null(config, KEY) {
        let sparse = if count > 10 { 10 } else { 0 };
        let pattern = (0..count).map(|layer| if layer < sparse { 0.95 } else { 0.0 });
        config.insert(KEY.into(), pattern.collect());
    }
    let pattern = config.get(KEY).and_then(Value::as_array).map_or(0, Vec::len);
    if pattern != count {
        return Err(format!("{KEY} has {pattern} entries, expected {count}"));
    }
    Ok(())
}
