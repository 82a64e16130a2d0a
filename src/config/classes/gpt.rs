//! GPT-NeoX, GPT-BigCode and gpt-oss.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::layers::SLIDING;
use crate::config::values::{Object, Refusal, truthy};
use crate::config::{derive, layers, rope, validate};
use crate::json::json;

pub(super) const GPT_BIGCODE: Hooks = Hooks { before: &[multi_query], ..PLAIN };

pub(super) const GPT_NEOX: Hooks = Hooks { rope: neox_rope, validate: &[validate::heads_fit], ..PLAIN };

pub(super) const GPT_OSS: Hooks = Hooks {
    before: &[derive::head_dim_of_heads, yarn],
    layer_types: Some(|config, _| layers::full_every(config, 2, SLIDING, 1)),
    ..PLAIN
};

fn multi_query(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let multi_query = config.get("multi_query").is_some_and(truthy);
    let heads = if multi_query { 1.into() } else { config.get("n_head").cloned().unwrap_or_default() };
    config.insert("num_key_value_heads".into(), heads);
    Ok(())
}

fn neox_rope(class: &Class, config: &Object, extra: &mut Object) -> Result<Option<Object>, Refusal> {
    let mut rope = rope::given(config, extra)?;
    let theta = extra.shift_remove("rotary_emb_base").unwrap_or_else(|| class.theta.into());
    let rotary = extra.shift_remove("rotary_pct").unwrap_or_else(|| 0.25.into());
    rope.entry("rope_theta".into()).or_insert(theta);
    rope.entry("partial_rotary_factor".into()).or_insert(rotary);
    rope::standardize(class, config, &mut rope)?;
    Ok(Some(rope))
}

fn yarn(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let rope = json!({
        "rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false,
        "original_max_position_embeddings": 4096,
    });
    derive::default_rope(config, rope);
    Ok(())
}
