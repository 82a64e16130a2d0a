//! Mistral, Ministral and Voxtral.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::layers::{FULL, SLIDING};
use crate::config::values::{Object, Refusal};
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
