//! Cohere's Command R7B and its successor with experts.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::layers::{FULL, SLIDING};
use crate::config::values::{Object, Refusal, null, truthy};
use crate::config::{derive, layers};
use crate::json::{Value, json};

pub(super) const COHERE2: Hooks = Hooks {
    before: &[forget_head_dim, derive::head_dim_of_heads],
    layer_types: Some(|config, extra| {
        let period = extra.shift_remove("sliding_window_pattern").unwrap_or(4.into());
        layers::full_every(config, period, SLIDING, 1)
    }),
    ..PLAIN
};

pub(super) const COHERE2_MOE: Hooks = Hooks {
    before: &[rope, mlp_types],
    layer_types: Some(layer_types),
    layered: &[forget_first_dense],
    ..PLAIN
};

fn forget_head_dim(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    config.insert("head_dim".into(), Value::Null);
    Ok(())
}

fn rope(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if config.get("rope_theta").is_some_and(truthy) {
        let rope = json!({"rope_type": "default", "rope_theta": config.get("rope_theta")});
        config.insert("rope_parameters".into(), rope);
    }
    Ok(())
}

fn mlp_types(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    if null(config, "mlp_layer_types") {
        layers::set_mlp_types(config, layers::depth(config)?, first_dense(extra)?);
    }
    Ok(())
}

/// Windows have one pattern in layers without experts, and another in those with.
fn layer_types(config: &Object, extra: &mut Object) -> Result<Value, Refusal> {
    let key = |name: &str| config.get(name).unwrap_or(&Value::Null);
    let (count, dense) = (layers::depth(config)?, first_dense(extra)?);
    let prefix = layers::every(dense, key("prefix_dense_sliding_window_pattern"), 1)?;
    let rest = layers::every(count.saturating_sub(dense), key("sliding_window_pattern"), 1)?;
    Ok(layers::named(prefix.chain(rest), FULL, SLIDING))
}

fn first_dense(extra: &Object) -> Result<usize, Refusal> {
    let dense = extra.get("first_k_dense_replace").map_or(Some(0), Value::as_u64);
    dense
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| *n <= 1 << 16)
        .ok_or("first_k_dense_replace".into())
}

fn forget_first_dense(_: &Class, _: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    extra.shift_remove("first_k_dense_replace");
    Ok(())
}
