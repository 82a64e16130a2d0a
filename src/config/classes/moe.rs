//! Mixtures of experts that no larger family goes with: AFMoE, Laguna, Mellum, MiMo.

use super::hooks::{Hooks, PLAIN};
use crate::config::layers::{self, FULL, SLIDING};
use crate::config::values::{Object, Refusal, int, null, truthy};
use crate::config::{class::Class, derive};
use crate::json::json;

pub(super) const AFMOE: Hooks = Hooks {
    layer_types: Some(|config, _| {
        let period = config.get("global_attn_every_n_layers").cloned().unwrap_or_default();
        layers::full_every(config, period, SLIDING, 1)
    }),
    ..PLAIN
};

pub(super) const LAGUNA: Hooks = Hooks {
    before: &[laguna_layers, laguna_rope],
    rope: |_, _, _| Ok(None),
    validate: &[laguna_is_possible],
    ..PLAIN
};

pub(super) const MELLUM: Hooks = Hooks {
    before: &[rope_by_layer],
    layer_types: Some(|config, _| layers::uniform(config, FULL)),
    layered: &[all_sparse],
    rope: |_, _, _| Ok(None),
    after: prediction,
    validate: &[one_prediction_layer],
    ..PLAIN
};

pub(super) const MIMO_V2: Hooks = Hooks {
    before: &[mimo],
    layer_types: Some(|config, _| {
        let full = (0..layers::depth(config)?).map(|at| at == 0 || (at + 1) % 6 == 0);
        Ok(layers::named(full, FULL, SLIDING))
    }),
    rope: |_, _, _| Ok(None),
    ..PLAIN
};

const PREDICTS: &str = "num_nextn_predict_layers";

const HEADS: &str = "num_attention_heads_per_layer";

fn laguna_layers(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let count = layers::depth(config)?;
    if null(config, "layer_types") {
        let kinds = layers::uniform(config, FULL)?;
        config.insert("layer_types".into(), kinds);
    }
    if null(config, "mlp_layer_types") {
        layers::set_mlp_types(config, count.max(1), 1);
    }
    if null(config, HEADS) {
        let heads = config.get("num_attention_heads").cloned().unwrap_or_default();
        config.insert(HEADS.into(), vec![heads; count].into());
    }
    Ok(())
}

fn laguna_rope(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let rope = json!({
        "full_attention": {"rope_type": "default", "rope_theta": 500_000.0, "partial_rotary_factor": 0.5},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 1.0},
    });
    derive::default_rope(config, rope);
    Ok(())
}

fn laguna_is_possible(config: &Object) -> Result<(), Refusal> {
    if config.get("moe_apply_router_weight_on_input").is_some_and(truthy) {
        return Err("moe_apply_router_weight_on_input is set".into());
    }
    let count = layers::depth(config)?;
    for key in [HEADS, "layer_types", "mlp_layer_types"] {
        if config.get(key).and_then(|list| list.as_array()).is_none_or(|list| list.len() != count) {
            return Err(format!("{key} has not an entry for each of {count} layers"));
        }
    }
    Ok(())
}

fn rope_by_layer(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let rope = json!({
        "full_attention": {"rope_type": "default", "rope_theta": 500_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    });
    derive::default_rope(config, rope);
    Ok(())
}

fn all_sparse(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "mlp_layer_types") {
        layers::set_mlp_types(config, layers::depth(config)?, 0);
    }
    Ok(())
}

fn prediction(config: &mut Object) -> Result<(), Refusal> {
    if !config.get(PREDICTS).is_some_and(truthy) {
        return Ok(());
    }
    let count = usize::try_from(int(config, PREDICTS)?).unwrap_or(0).min(2);
    for (key, kind) in [("mtp_layer_types", SLIDING), ("mtp_mlp_layer_types", "sparse")] {
        if null(config, key) {
            config.insert(key.into(), vec![kind; count].into());
        }
    }
    Ok(())
}

fn one_prediction_layer(config: &Object) -> Result<(), Refusal> {
    if !null(config, PREDICTS) && int(config, PREDICTS)? > 1 {
        return Err("there is more than one layer for prediction".into());
    }
    Ok(())
}

fn mimo(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    if null(config, "mlp_layer_types") {
        let count = layers::depth(config)?.max(1);
        layers::set_mlp_types(config, count, 1);
    }
    let rope =
        |theta: f64| json!({"rope_type": "default", "rope_theta": theta, "partial_rotary_factor": 0.334});
    derive::default_rope(config, json!({FULL: rope(5e6), SLIDING: rope(1e4)}));
    if null(config, "routed_scaling_factor") {
        config.insert("routed_scaling_factor".into(), 1.0.into());
    }
    if let Some(window) = extra.get("sliding_window_size").filter(|value| !value.is_null()) {
        let window = window.as_i64().and_then(|window| window.checked_add(1));
        config.insert("sliding_window".into(), window.ok_or("sliding_window_size is no integer")?.into());
    }
    Ok(())
}
