//! Qwen with experts.

use std::collections::BTreeSet;

use super::deepseek::full_is_indexed;
use super::hooks::{Hooks, PLAIN};
use super::qwen;
use crate::config::class::Class;
use crate::config::layers::{FULL, SLIDING};
use crate::config::values::{Object, Refusal, int, null, number, truthy};
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

pub(super) const QWEN4_EXP_TEXT: Hooks = Hooks {
    before: &[embedded_layers],
    layer_types: Some(|config, extra| {
        let period = extra.shift_remove("full_attention_interval").unwrap_or(4.into());
        let kinds = layers::every(layers::depth(config)?, &period, 1)?;
        Ok(layers::named(kinds, "indexed_attention", layers::LINEAR))
    }),
    layered: &[full_is_indexed],
    validate: &[indexed],
    ..PLAIN
};

/// Which layers have an embedding of short runs of tokens.
fn embedded_layers(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let given = config.get("ple_layer_ids").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut ids = given.iter().map(|id| id.as_i64().ok_or("ple_layer_ids is no list of numbers"));
    let ids: BTreeSet<i64> = ids.by_ref().collect::<Result<_, _>>()?;
    config.insert("ple_layer_ids".into(), ids.into_iter().map(Value::from).collect());
    if null(config, "ple_embed_dim") {
        let width = config.get("hidden_size").cloned().ok_or("there is no hidden_size")?;
        config.insert("ple_embed_dim".into(), width);
    }
    Ok(())
}

fn indexed(config: &Object) -> Result<(), Refusal> {
    let is = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    let kinds = config.get("layer_types").and_then(Value::as_array).ok_or("layer_types is not a list")?;
    is(kinds.iter().all(|kind| kind == layers::LINEAR || kind == "indexed_attention"), "layer_types")?;
    let gate = ["output_gate_type", "hidden_act"]
        .iter()
        .find_map(|key| config.get(*key).filter(|kind| truthy(kind)));
    is(gate.is_some_and(|kind| kind == "sigmoid" || kind == "silu"), "output_gate_type")?;
    let (used, experts) = (int(config, "num_experts_per_tok")?, int(config, "num_experts")?);
    is(
        int(config, "hc_count")? > 1 && experts > 0 && 0 < used && used <= experts,
        "hc_count or num_experts",
    )?;
    let sizes = ["moe_intermediate_size", "shared_expert_intermediate_size"];
    for key in sizes {
        is(int(config, key)? > 0, key)?;
    }
    indexer(config)?;
    let ids = config.get("ple_layer_ids").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if ids.is_empty() {
        return Ok(());
    }
    let heads = int(config, "ngram_size")?.saturating_sub(1).saturating_mul(int(config, "heads_per_ngram")?);
    let width = int(config, "ple_embed_dim")?;
    is(heads > 0 && width > 0 && width % heads == 0, "ple_embed_dim")?;
    let layers = int(config, "num_hidden_layers")?;
    is(ids.iter().all(|id| id.as_i64().is_some_and(|id| (1..=layers).contains(&id))), "ple_layer_ids")
}

/// All settings of an indexer are there, or none.
fn indexer(config: &Object) -> Result<(), Refusal> {
    let keys = [
        "indexer_n_heads",
        "indexer_kv_heads",
        "indexer_head_dim",
        "indexer_budget",
        "indexer_compress_ratio",
    ];
    if keys.iter().all(|key| null(config, key)) {
        return Ok(());
    }
    for key in keys {
        if int(config, key)? <= 0 {
            return Err(format!("{key} is not positive"));
        }
    }
    let (budget, ratio) = (int(config, "indexer_budget")?, int(config, "indexer_compress_ratio")?);
    let part = config.get("rope_parameters").and_then(|rope| rope.get("partial_rotary_factor"));
    let part = part.map_or(Some(1.0), number).ok_or("partial_rotary_factor is no number")?;
    #[allow(clippy::cast_precision_loss)]
    let rotated = (int(config, "head_dim")? as f64 * part).trunc();
    #[allow(clippy::cast_precision_loss)]
    let fits = rotated <= int(config, "indexer_head_dim")? as f64;
    match int(config, "indexer_kv_heads")? == 1 && budget % ratio == 0 && fits {
        true => Ok(()),
        false => Err("the settings of the indexer do not go together".into()),
    }
}
