//! Settings that hold for single layers only (`HeterogeneousConfigMixin` of transformers).

use crate::json::{Value, json};

use super::class::Class;
use super::values::{Object, Refusal, int, null, truthy};
use crate::input::quoted;

/// Whether single layers of the class may differ from the rest.
pub(super) fn allowed(class: &Class) -> bool {
    matches!(class.model_type, "gemma4_text" | "gemma4_unified_text")
}

/// Gemma 4: layers with full attention have heads of their own size. Fails as `before` of `derive` does.
pub(super) fn gemma4(config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    if null(config, "rope_parameters") {
        let full =
            json!({"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1_000_000.0});
        let sliding = json!({"rope_type": "default", "rope_theta": 10_000.0});
        let rope = json!({"sliding_attention": sliding, "full_attention": full});
        config.insert("rope_parameters".into(), rope);
    }
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
    let full = kinds.iter().enumerate().filter(|(_, kind)| *kind == "full_attention");
    let layers = full.map(|(layer, _)| (layer.to_string(), Value::Object(overrides.clone())));
    let layers: Object = layers.collect();
    extra.insert("per_layer_config".into(), layers.into());
    Ok(())
}

/// Settings of single layers, without those that are the same for all.
pub(super) fn apply(config: &mut Object, layers: Value) -> Result<(), Refusal> {
    let Value::Object(layers) = layers else {
        return Err("per_layer_config is not an object".into());
    };
    let count = int(config, "num_hidden_layers")?;
    let mut kept = Vec::new();
    for (layer, overrides) in layers {
        let index: i64 =
            layer.parse().map_err(|_| format!("per_layer_config: {} is no layer", quoted(&layer)))?;
        let Value::Object(mut overrides) = overrides else {
            return Err("per_layer_config holds something else than objects".into());
        };
        if !(0..count).contains(&index) {
            return Err(format!("per_layer_config: there is no layer {index}"));
        }
        if let Some(key) = overrides.keys().find(|key| !config.contains_key(*key)) {
            return Err(format!("per_layer_config: {} is no setting", quoted(key)));
        }
        overrides.retain(|key, value| config.get(key) != Some(value));
        if !overrides.is_empty() {
            kept.push((index, Value::Object(overrides)));
        }
    }
    let digits = kept.iter().map(|(index, _)| index.to_string().len()).max().unwrap_or(0);
    let named = kept.into_iter().map(|(index, overrides)| (format!("{index:0digits$}"), overrides));
    let named: Object = named.collect();
    config.insert("per_layer_config".into(), named.into());
    Ok(())
}
