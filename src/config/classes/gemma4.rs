//! Gemma 4: layers with full attention have heads and rope of their own.

use super::gemma::even_window;
use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::derive;
use crate::config::layers::{self, FULL, SLIDING};
use crate::config::values::{Object, Refusal, truthy};
use crate::json::{Value, json};

pub(super) const GEMMA4: Hooks = Hooks {
    per_layer: true,
    before: &[window],
    layer_types: Some(|config, _| layers::full_every(config, 6, SLIDING, 1)),
    layered: &[last_is_full, rope, full_layers],
    rope: |_, _, _| Ok(None),
    ..PLAIN
};

/// A model that drafts for Gemma 4 with keys and values of that one.
pub(super) const ASSISTANT: Hooks = Hooks { validate: &[drafts], ..UNIFIED_ASSISTANT };
pub(super) const UNIFIED_ASSISTANT: Hooks = Hooks { after: shared_keys, ..PLAIN };

fn shared_keys(config: &mut Object) -> Result<(), Refusal> {
    let Some(Value::Object(text)) = config.get_mut("text_config") else { return Ok(()) };
    if !text.get("num_kv_shared_layers").is_some_and(truthy) {
        let layers = text.get("num_hidden_layers").cloned().ok_or("text_config has no num_hidden_layers")?;
        text.insert("num_kv_shared_layers".into(), layers);
    }
    Ok(())
}

fn drafts(config: &Object) -> Result<(), Refusal> {
    let Some(text) = config.get("text_config").and_then(Value::as_object) else { return Ok(()) };
    let off = |key: &str| text.get(key) == Some(&Value::Bool(false));
    let zero = |key: &str| text.get(key).and_then(Value::as_f64) == Some(0.0);
    let shared = text.get("num_kv_shared_layers") == text.get("num_hidden_layers");
    for (holds, key) in [
        (zero("hidden_size_per_layer_input"), "hidden_size_per_layer_input"),
        (off("enable_moe_block"), "enable_moe_block"),
        (off("use_double_wide_mlp"), "use_double_wide_mlp"),
        (zero("vocab_size_per_layer_input"), "vocab_size_per_layer_input"),
        (shared, "num_kv_shared_layers"),
    ] {
        if !holds {
            return Err(format!("{key} is not that of an assistant"));
        }
    }
    Ok(())
}

/// A window that looks both ways.
fn window(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if config.get("use_bidirectional_attention").is_some_and(|v| v == "all") {
        even_window(config)?;
        config.insert("is_causal".into(), false.into());
    }
    Ok(())
}

fn last_is_full(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if let Some(last) = config.get_mut("layer_types").and_then(|v| v.as_array_mut()?.last_mut()) {
        *last = FULL.into();
    }
    Ok(())
}

fn rope(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let full = json!({"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1_000_000.0});
    let sliding = json!({"rope_type": "default", "rope_theta": 10_000.0});
    derive::default_rope(config, json!({"sliding_attention": sliding, "full_attention": full}));
    Ok(())
}

/// The settings of layers with full attention.
fn full_layers(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    let size = extra.shift_remove("global_head_dim").unwrap_or(512.into());
    let heads = extra.shift_remove("num_global_key_value_heads").filter(|v| !v.is_null());
    if extra.contains_key("per_layer_config") {
        return Ok(());
    }
    let mut overrides = Object::from_iter([("head_dim".to_owned(), size)]);
    if overrides.values().chain(&heads).any(|v| v.is_string() || v.is_array() || v.is_object()) {
        return Err("global_head_dim or num_global_key_value_heads is no number".into());
    }
    if let Some(heads) = heads.filter(|_| config.get("attention_k_eq_v").is_none_or(truthy)) {
        overrides.insert("num_key_value_heads".into(), heads);
    }
    let kinds = config.get("layer_types").and_then(Value::as_array).ok_or("layer_types is not a list")?;
    let full = kinds.iter().enumerate().filter(|(_, kind)| *kind == FULL);
    let layers = full.map(|(layer, _)| (layer.to_string(), Value::Object(overrides.clone())));
    let layers: Object = layers.collect();
    extra.insert("per_layer_config".into(), layers.into());
    Ok(())
}
