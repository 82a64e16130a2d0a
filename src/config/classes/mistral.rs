//! Mistral, Ministral and Voxtral.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::layers::{FULL, SLIDING};
use crate::config::values::{Object, Refusal, int};
use crate::config::{derive, layers};
use crate::json::{self, Value, json};

pub(super) const MISTRAL: Hooks = Hooks { before: &[derive::head_dim_of_heads], ..PLAIN };

pub(super) const MINISTRAL: Hooks = Hooks {
    layer_types: Some(|config, _| {
        let slides = config.get("sliding_window").is_some_and(|window| !window.is_null());
        layers::uniform(config, if slides { SLIDING } else { FULL })
    }),
    ..PLAIN
};

pub(super) const MINISTRAL3: Hooks = Hooks { before: &[derive::head_dim_of_heads, yarn], ..PLAIN };

pub(super) const MISTRAL4: Hooks = Hooks { before: &[latent_yarn], ..PLAIN };

pub(super) const VOXTRAL: Hooks = Hooks { before: &[default_text], after: hidden_size_of_text, ..PLAIN };

fn yarn(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let rope = json!({
        "type": "yarn", "rope_theta": 1_000_000.0, "factor": 16.0,
        "original_max_position_embeddings": 16384,
        "max_position_embeddings": config.get("max_position_embeddings"),
        "beta_fast": 32.0, "beta_slow": 1.0, "mscale_all_dim": 1.0, "mscale": 1.0,
        "llama_4_scaling_beta": 0.1,
    });
    derive::default_rope(config, rope);
    Ok(())
}

/// What part of each head is rotated, and how.
fn latent_yarn(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let rotated = int(config, "qk_rope_head_dim")?;
    let size = int(config, "qk_nope_head_dim")?.checked_add(rotated).filter(|size| *size != 0);
    let size = size.ok_or("qk_nope_head_dim and qk_rope_head_dim are 0, or absurd")?;
    #[allow(clippy::cast_precision_loss)]
    let part = rotated as f64 / size as f64;
    let rope = json!({
        "type": "yarn", "rope_theta": 10_000.0, "factor": 128.0, "original_max_position_embeddings": 8192,
        "max_position_embeddings": config.get("max_position_embeddings"),
        "beta_fast": 32.0, "beta_slow": 1.0, "mscale_all_dim": 1.0, "mscale": 1.0,
        "llama_4_scaling_beta": 0.1, "partial_rotary_factor": part,
    });
    derive::default_rope(config, rope);
    config.insert("qk_head_dim".into(), size.into());
    config.insert("head_dim".into(), size.into());
    if let Some(Value::Object(rope)) = config.get_mut("rope_parameters") {
        rope.entry("partial_rotary_factor".into()).or_insert_with(|| part.into());
    }
    Ok(())
}

/// `text_config` completed with the defaults that the outer class has for it.
fn default_text(class: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let given = class.text().and_then(|part| json::parse_object(part.given.as_bytes()).ok());
    if let (Some(mut text), Some(Value::Object(set))) = (given, config.get("text_config")) {
        text.extend(set.clone());
        config.insert("text_config".into(), text.into());
    }
    Ok(())
}

fn hidden_size_of_text(config: &mut Object) -> Result<(), Refusal> {
    let hidden = config.get("text_config").and_then(|text| text.get("hidden_size")).cloned();
    config.insert("hidden_size".into(), hidden.ok_or("text_config has no hidden_size")?);
    Ok(())
}
