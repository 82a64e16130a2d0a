//! Laguna (`LagunaModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::{ExpertNames, NAMES};
use crate::arch::tensors::{Tensor, is_decimal};
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value};
use crate::json::{Object, Value as Json};
use crate::vocab::{Base, KINDS, SpecialVocab, TokenizerFiles, own_template};

pub(super) const LAGUNA: Family = Family {
    names: &["LagunaForCausalLM"],
    arch: "laguna",
    vocab,
    tensors: names::LAGUNA,
    keys: key_values,
    emit,
    ..TEXT
};

const EXPERTS: ExpertNames = ExpertNames { matrices: &["gate_proj", "up_proj", "down_proj"], ..NAMES };

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.set_u32("vocab_size", get("vocab_size")?);
    let heads = heads(input)?.into_iter().map(|heads| i32::try_from(heads).unwrap_or(i32::MAX)).collect();
    keys.set("attention.head_count", Value::I32s(heads));
    (0..config.require_u32(&["num_hidden_layers"])?)
        .try_for_each(|at| per_element(config, at as usize).map(drop))?;
    keys.set_u32("attention.sliding_window", keys::nonzero(config, &["sliding_window"])?);
    keys.set_u32("expert_feed_forward_length", get("moe_intermediate_size")?);
    keys.set_u32("expert_shared_feed_forward_length", get("shared_expert_intermediate_size")?);
    keys.set_bool("expert_weights_norm", Some(true));
    keys.set_f32("expert_weights_scale", Some(config.require_f32(&["moe_routed_scaling_factor"])?));
    keys.set_u32("expert_gating_func", Some(keys::SIGMOID));
    let kinds =
        config.strings("mlp_layer_types")?.ok_or_else(|| config.invalid("mlp_layer_types is missing"))?;
    let dense = kinds.iter().take_while(|kind| **kind == "dense").count();
    keys.set_u32("leading_dense_block_count", u32::try_from(dense).ok());
    let size = config.require_u32(&["head_dim"])?;
    let rotated = |kind: &'static str| {
        let part = input.rope.section(kind)?.f64(&["partial_rotary_factor"])?.unwrap_or(1.0);
        keys::fraction(input, size, part).map(Some)
    };
    if !input.rope.map().contains_key("full_attention") {
        return Err(config.invalid("rope_parameters.full_attention is missing"));
    }
    keys.set_u32("rope.dimension_count", rotated("full_attention")?);
    if input.rope.get(&["sliding_attention"]).is_some() {
        keys.set_u32("rope.dimension_count_swa", rotated("sliding_attention")?);
    }
    Ok(())
}

/// The number of heads in each layer.
fn heads(input: &Input) -> Result<Vec<u64>> {
    let config = input.config;
    let layers = config.require_u32(&["num_hidden_layers"])? as usize;
    let given = config.map().get("num_attention_heads_per_layer").and_then(Json::as_array);
    let Some(given) = given.filter(|given| !given.is_empty()) else {
        return Ok(vec![config.require_u32(&["num_attention_heads"])?.into(); layers]);
    };
    let heads: Option<Vec<u64>> =
        given.iter().map(|heads| heads.as_u64().filter(|n| *n <= 1 << 16)).collect();
    heads.filter(|heads| heads.len() == layers).ok_or_else(|| {
        config.invalid(format!("num_attention_heads_per_layer: expected {layers} small numbers"))
    })
}

/// Whether the gate at the end of attention in layer `at` is one for each element rather than for each head. What other
/// programs would take for another kind is refused, as in the reference.
fn per_element(config: &Config, at: usize) -> Result<bool> {
    let named = |kind: Option<&Json>| match kind.and_then(Json::as_str).unwrap_or_default() {
        "per-element" | "per_element" => Some(true),
        "per-head" | "per_head" => Some(false),
        _ => None,
    };
    let gating = config.map().get("gating");
    let types = config.map().get("gating_types").and_then(Json::as_array).filter(|types| !types.is_empty());
    let kind = match (types, gating) {
        (Some(types), _) => named(types.get(at)),
        (None, Some(Json::Bool(true))) => Some(false),
        (None, gating) => named(gating),
    };
    match kind {
        Some(kind) if !kind || named(gating) == Some(true) => Ok(kind),
        _ => Err(config.invalid("gating and gating_types do not say what kind of gate attention has")),
    }
}

fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let expert = tensor.name.split_once("mlp.experts.").and_then(|(_, rest)| rest.split_once('.'));
    if expert.is_some_and(|(number, _)| is_decimal(number)) {
        let count = input.config.require_u32(&["num_local_experts", "num_experts"])?;
        return builder.add_expert(tensor, count, &EXPERTS);
    }
    if let Some(layer) = tensor.layer.filter(|_| tensor.name.ends_with("self_attn.g_proj.weight")) {
        let at = usize::try_from(layer).unwrap_or(usize::MAX);
        let none = || builder.invalid(format!("{}: there is no such layer", tensor.name));
        let heads = heads(input)?.get(at).copied().ok_or_else(none)?;
        let size = if per_element(input.config, at)? { input.config.require_u32(&["head_dim"])? } else { 1 };
        let (expected, found) = (heads * u64::from(size), tensor.expr.shape().first().copied());
        if found != Some(expected) {
            let problem = format!("{}: expected {expected} rows, found {found:?}", tensor.name);
            return Err(builder.invalid(problem));
        }
    }
    builder.add(tensor)
}

/// The token that ends the model's turn. Its file does not call it special.
const TURN: &str = "</assistant>";

/// BPE, with the end of a turn.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let mut base = Base::read(files, config)?;
    if let Some(id) = base.added.get(TURN) {
        base.make_control(*id);
    }
    let pre = base.pre;
    base.write(kv, "gpt2", pre);
    SpecialVocab::load(files, true, &KINDS, None)?.write(kv, &files.dir)?;
    own_template(kv, files)?;
    if let Some(Json::Array(ends)) = config.get("eos_token_id") {
        let first = config.get("bos_token_id");
        if let Some(turn) = ends.iter().find(|end| Some(*end) != first) {
            let id = turn.as_u64().and_then(|id| u32::try_from(id).ok());
            let invalid =
                || Error::invalid(files.dir.join("config.json"), "eos_token_id: expected numbers of tokens");
            kv.set_u32("tokenizer.ggml.eot_token_id", id.ok_or_else(invalid)?);
        }
    }
    Ok(())
}
