//! Classes whose settings are partly in sections of their own: DBRX and MPT. And HRM, which counts its layers anew.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::{BOOL, Class, DICT, FLOAT, INT, Kinds, NULL, STR, accepts};
use crate::config::values::{Object, Refusal, int, null, number, truthy};
use crate::json::{Value, parse};

pub(super) const DBRX: Hooks = Hooks {
    before: &[|_, config, _| {
        fill(config, "attn_config", DBRX_ATTENTION)?;
        fill(config, "ffn_config", DBRX_FEED_FORWARD)?;
        let heads = config.get("attn_config").and_then(|section| section.get("kv_n_heads")).cloned();
        config.insert("num_key_value_heads".into(), heads.unwrap_or_default());
        Ok(())
    }],
    validate: &[|config| match config.get("tie_word_embeddings").is_some_and(truthy) {
        true => Err("tie_word_embeddings is true".into()),
        false => Ok(()),
    }],
    ..PLAIN
};

pub(super) const HRM_TEXT: Hooks = Hooks { before: &[hrm_layers], ..PLAIN };

pub(super) const MPT: Hooks = Hooks {
    before: &[|_, config, _| {
        fill(config, "attn_config", MPT_ATTENTION)?;
        let kind = config.get("attn_config").and_then(|section| section.get("attn_type"));
        match kind.is_some_and(|kind| kind == "multihead_attention" || kind == "multiquery_attention") {
            true => Ok(()),
            false => Err("attn_type is of an unknown kind".into()),
        }
    }],
    ..PLAIN
};

/// The fields of a section: name, types, default in JSON.
type Fields = &'static [(&'static str, Kinds, &'static str)];

const DBRX_ATTENTION: Fields =
    &[("attn_pdrop", INT | FLOAT, "0.0"), ("clip_qkv", INT | FLOAT | NULL, "null"), ("kv_n_heads", INT, "1")];

const DBRX_FEED_FORWARD: Fields = &[
    ("hidden_size", INT, "6144"),
    ("ffn_act_fn", DICT | NULL, "null"),
    ("ffn_hidden_size", INT, "3584"),
    ("moe_num_experts", INT, "4"),
    ("moe_top_k", INT, "1"),
    ("moe_jitter_eps", INT | FLOAT | NULL, "null"),
    ("moe_loss_weight", FLOAT, "0.01"),
    ("moe_normalize_expert_weights", FLOAT | NULL, "1.0"),
];

const MPT_ATTENTION: Fields = &[
    ("attn_type", STR, "\"multihead_attention\""),
    ("attn_pdrop", INT, "0"),
    ("attn_impl", STR, "\"torch\""),
    ("clip_qkv", FLOAT | NULL, "null"),
    ("softmax_scale", FLOAT | NULL, "null"),
    ("prefix_lm", BOOL, "false"),
    ("qk_ln", BOOL, "false"),
    ("attn_uses_sequence_id", BOOL, "false"),
    ("alibi", BOOL, "true"),
    ("alibi_bias_max", INT, "8"),
];

/// Fills up section `key` with the defaults of its class.
fn fill(config: &mut Object, key: &str, fields: Fields) -> Result<(), Refusal> {
    let mut section = match config.get(key) {
        None | Some(Value::Null) => Object::new(),
        Some(Value::Object(section)) => section.clone(),
        Some(_) => return Err(format!("{key} is no object")),
    };
    for (name, kinds, default) in fields {
        match section.get(*name) {
            None => _ = section.insert((*name).into(), parse(default.as_bytes()).unwrap_or_default()),
            Some(value) if accepts(*kinds, value) => {}
            Some(_) => return Err(format!("{key}.{name} has the wrong type")),
        }
    }
    config.insert(key.into(), section.into());
    Ok(())
}

/// `num_hidden_layers` becomes the number of times that a layer is run.
fn hrm_layers(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "embedding_scale") {
        let range = config.get("initializer_range").and_then(number).filter(|range| *range != 0.0);
        config.insert("embedding_scale".into(), (1.0 / range.ok_or("initializer_range is 0")?).into());
    }
    if null(config, "num_layers_per_stack") {
        let [layers, high, low] = ["num_hidden_layers", "H_cycles", "L_cycles"].map(|key| int(config, key));
        let layers = layers?;
        let runs = low?.checked_add(1).and_then(|low| layers.checked_mul(high.ok()?)?.checked_mul(low));
        config.insert("num_layers_per_stack".into(), layers.into());
        config.insert("num_hidden_layers".into(), runs.ok_or("H_cycles is absurd")?.into());
    }
    Ok(())
}
