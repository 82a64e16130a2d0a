//! Drafts that predict a block of tokens at once: DFlash, DSpark, and the assistant of Muse Glimmer (`DFlashModel`,
//! `DSparkModel`, `MuseGlimmerAssistantModel` of the reference).

use std::borrow::Cow;

use crate::arch::builder::Builder;
use crate::arch::draft::{self, TargetModel};
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names, rope};
use crate::config::{Config, Counts, truthy};
use crate::error::{Error, Result};
use crate::gguf::Value;
use crate::json::Value as Json;

use super::qwen::{self, QWEN2};

pub(super) const DFLASH: Family = Family {
    names: &["DFlash2DraftModel", "DFlashDraftModel"],
    arch: "dflash",
    draft: Some(TargetModel::vocabulary),
    tensors: names::DFLASH,
    keys: |input, keys| key_values(input, &input.rope, keys),
    late,
    rename: |_, name| Some(rename(name)),
    generate: refuse_mask_embedding,
    emit,
    ..QWEN2
};

pub(super) const DSPARK: Family = Family {
    names: &[
        "DSparkDraftModel",
        "DSparkSpeculator",
        "Lfm2DSparkDraftModel",
        "LingDSparkModel",
        "Qwen3DSparkModel",
    ],
    settings: |config| unified(draft::unwrapped(config)?.as_ref(), config).map(Cow::Owned),
    keys: |input, keys| {
        key_values(input, &input.rope, keys)?;
        keys.set_bool("sample_from_anchor", input.config.flag(ANCHOR)?);
        keys.set_bool("has_confidence_head", Some(has_confidence(input)));
        Ok(())
    },
    rename: |_, name| (name != "t2d").then(|| rename(name)),
    emit: |input, builder, tensor| {
        let own_head = own_tokens(input)? == input.config.require_u32(&["vocab_size"])?;
        match tensor.name == D2T || own_head && tensor.name.ends_with("lm_head.weight") {
            true => Ok(()),
            false => emit(input, builder, tensor),
        }
    },
    finish: add_tokens,
    ..DFLASH
};

pub(super) const MUSE_GLIMMER_ASSISTANT: Family = Family {
    names: &["MuseGlimmerAssistantModel"],
    arch: "dflash",
    draft: Some(TargetModel::vocabulary),
    tensors: names::DFLASH,
    keys: assistant_keys,
    late: |input, keys| mask_token(input.config, keys),
    ..TEXT
};

const D2T: &str = "model.d2t";
const ANCHOR: &str = "sample_from_anchor";

/// `dflash_config`.
pub(super) fn section(config: &Config) -> Result<Config> {
    config.section("dflash_config")
}

/// The key-values; `rope` as the family has it.
pub(super) fn key_values(input: &Input, rope: &Config, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let own = &section(config)?;
    keys::common_with(input, config, rope, keys)?;
    crate::arch::pooling::pooling_type(input, keys)?;
    let first = |key| if own.map().contains_key(key) { own } else { config };
    let size = match keys::nonzero(config, &["head_dim"])? {
        Some(size) => size,
        None => rope::width_per_head(input)?,
    };
    if let Some(part) = rope.f64(&["partial_rotary_factor"])? {
        keys.set_u32("rope.dimension_count", Some(keys::fraction(input, size, part)?));
    }
    keys.set_f32("attention.value_scale", own.f32(&["attention_value_scale"])?);
    let block = first("block_size");
    let given = block.map().contains_key("block_size");
    keys.set_u32("block_size", Some(if given { block.require_u32(&["block_size"])? } else { 16 }));
    if own.map().contains_key("conv_kernel_size") {
        for key in ["conv_kernel_size", "conv_group_size", "selector_rank", "selector_top_k"] {
            keys.set_u32(key, Some(own.require_u32(&[key])?));
        }
    }
    keys.set_f32("logit_scale", first("output_multiplier").f32(&["output_multiplier"])?);
    const SOFTCAP: &str = "final_logit_softcapping";
    keys.set_f32(SOFTCAP, first(SOFTCAP).f32(&[SOFTCAP])?.filter(|cap| *cap > 0.0));
    keys.set_f32("embedding_scale", first("input_embedding_scale").f32(&["input_embedding_scale"])?);
    target_layers(first("target_layer_ids"), keys)?;
    sliding_window(input, own, keys)?;
    let causal =
        if config.get(&["is_causal"]).is_some() { config.get(&["is_causal"]) } else { own.get(&["causal"]) };
    keys.set_bool("attention.causal", causal.map(|(_, causal)| truthy(causal)));
    if turns_in_several_dimensions(input)? {
        let half = i32::try_from(size / 2).unwrap_or(i32::MAX);
        keys.set("rope.dimension_sections", Value::I32s(vec![half, 0, 0, 0]));
    }
    Ok(())
}

/// The layers of the target whose inputs the draft looks at; the configuration counts them by their outputs.
fn target_layers(config: &Config, keys: &mut Keys) -> Result<()> {
    const KEY: &str = "target_layer_ids";
    let layers = match config.u32_or_list(&[KEY])? {
        None | Some(Counts::One(0)) => return Ok(()),
        Some(Counts::Each(layers)) => layers,
        Some(Counts::One(_)) => return Err(config.invalid(format!("{KEY}: expected a list"))),
    };
    let next = layers.iter().map(|layer| layer.checked_add(1)).collect::<Option<Vec<_>>>();
    let next = next.ok_or_else(|| config.invalid(format!("{KEY}: a number is absurd")))?;
    keys::counts(keys, "target_layers", Some(Counts::Each(next)));
    Ok(())
}

fn sliding_window(input: &Input, own: &Config, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let all = own.map().get("use_swa").is_some_and(truthy);
    let window = match keys::nonzero(own, &["swa_window_size"])? {
        Some(window) => Some(window),
        None => keys::nonzero(config, &["sliding_window"])?,
    };
    let Some(window) = window.filter(|_| all || config.map().get("use_sliding_window").is_some_and(truthy))
    else {
        return Ok(());
    };
    keys.set_u32("attention.sliding_window", Some(window));
    if all {
        keys.set_bools("attention.sliding_window_pattern", vec![true; input.layers as usize]);
        return Ok(());
    }
    keys::sliding_pattern(config, keys)
}

/// Whether the target has rope in several dimensions; a draft turns in that of time alone.
fn turns_in_several_dimensions(input: &Input) -> Result<bool> {
    let target = draft::target(input)?.config.map();
    let text = target.get("text_config").and_then(Json::as_object).unwrap_or(target);
    let settings = |key: &str| text.get(key).filter(|value| truthy(value));
    let rope = settings("rope_parameters").or_else(|| settings("rope_scaling"));
    Ok(rope.and_then(Json::as_object).is_some_and(|rope| rope.contains_key("mrope_section")))
}

pub(super) fn late(input: &Input, keys: &mut Keys) -> Result<()> {
    mask_token(&section(input.config)?, keys)
}

/// The token that stands where one is to be predicted.
pub(super) fn mask_token(config: &Config, keys: &mut Keys) -> Result<()> {
    if let Some(token) = config.u32(&["mask_token_id"])? {
        keys.values.set_u32("tokenizer.ggml.mask_token_id", token);
    }
    Ok(())
}

pub(super) fn rename(name: &str) -> String {
    let name = if name.starts_with("model.") { name.to_owned() } else { format!("model.{name}") };
    if name.contains("sink") && !name.ends_with(".weight") { format!("{name}.weight") } else { name }
}

fn refuse_mask_embedding(input: &Input, _: &mut Builder) -> Result<()> {
    const FILE: &str = "mask_embedding.pt";
    let dir = &input.checkpoint.dir;
    if dir.exists(FILE)? {
        let problem = "a draft with an embedding of its own for what is masked is not supported yet";
        return Err(Error::unsupported(problem).at(dir.join(FILE)));
    }
    Ok(())
}

pub(super) fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let config = input.config;
    let lacks = |key: &str| config.map().get(key).is_some_and(|value| !truthy(value));
    if tensor.name == "model.embed_tokens.weight" && lacks("has_embed_tokens") {
        return Ok(());
    }
    let turned = ["q_proj", "k_proj", "q_norm", "k_norm"];
    if lacks("rope_is_neox_style")
        && turned.iter().any(|kind| tensor.name.ends_with(&format!("self_attn.{kind}.weight")))
    {
        tensor.expr = split_pairs(builder, &tensor, config.require_u32(&["head_dim"])?)?;
    }
    if ["predecessor", "successor"].iter().any(|kind| {
        tensor.name.strip_prefix("model.candidate_selector.") == Some(&format!("{kind}_codebook"))
    }) {
        tensor.name.push_str(".weight");
    }
    qwen::dense(input, builder, tensor)
}

/// From neighbours that are turned against each other to a half of each head and the other half.
fn split_pairs(builder: &Builder, tensor: &Tensor, size: u32) -> Result<crate::tensor::TensorExpr> {
    let (shape, half) = (tensor.expr.shape().to_vec(), u64::from(size / 2));
    let fits = shape.first().filter(|rows| half > 0 && rows.is_multiple_of(half * 2));
    let Some(rows) = fits else {
        let problem =
            format!("{}: expected rows of whole heads of {size}, found shape {shape:?}", tensor.name);
        return Err(builder.invalid(problem));
    };
    let pairs = [&[rows / half / 2, half, 2], &shape[1..]].concat();
    tensor.expr.clone().reshape(&pairs)?.swap_axes(1, 2)?.reshape(&shape)
}

/// The settings of a DSpark draft, whichever of the ways of writing them `original` has, as DFlash has them.
fn unified(config: &Config, original: &Config) -> Result<Config> {
    const LAYERS: &str = "aux_hidden_state_layer_ids";
    let (mut unified, has) = (config.clone(), |key: &str| original.map().contains_key(key));
    if !has(ANCHOR) {
        unified.set(ANCHOR, !has("transformer_layer_config") && !has(LAYERS));
    }
    let token = config.map().get("mask_token_id").cloned();
    let mut own = crate::json::Map::new();
    match config.u32_or_list(&[LAYERS])? {
        Some(Counts::Each(layers)) => {
            own.insert("mask_token_id".into(), token.unwrap_or(Json::Null));
            let before = layers.iter().map(|layer| Json::Int(i64::from(*layer) - 1)).collect();
            own.insert("target_layer_ids".into(), Json::Array(before));
        }
        Some(Counts::One(_)) => return Err(config.invalid(format!("{LAYERS}: expected a list"))),
        None => {
            let layers = config.map().get("target_layer_ids").cloned();
            let given = [("target_layer_ids", layers), ("mask_token_id", token)];
            own.extend(given.into_iter().filter_map(|(key, value)| Some((key.into(), value?))));
        }
    }
    if !config.map().contains_key("dflash_config") {
        unified.set("dflash_config", Json::Object(own));
    }
    match config.map().get("markov_head_type") {
        None => Ok(unified),
        Some(kind) if kind.as_str() == Some("vanilla") => Ok(unified),
        Some(_) => Err(config.unsupported("markov_head_type is not \"vanilla\"")),
    }
}

pub(super) fn has_confidence(input: &Input) -> bool {
    input.tensors.keys().any(|name| name.contains("confidence_head.proj"))
}

/// How many tokens the draft has.
fn own_tokens(input: &Input) -> Result<u32> {
    let all = input.config.require_u32(&["vocab_size"])?;
    let own = keys::nonzero(input.config, &["draft_vocab_size"])?.unwrap_or(all);
    if own > all {
        let problem = format!("draft_vocab_size {own} is more than vocab_size {all}");
        return Err(input.config.invalid(problem));
    }
    Ok(own)
}

fn add_tokens(input: &Input, builder: &mut Builder) -> Result<()> {
    let (own, all) = (own_tokens(input)?, input.config.require_u32(&["vocab_size"])?);
    let found = input.tensors.get(D2T).map(|expr| expr.elements());
    if found != Some(u64::from(own)) && (found.is_some() || own < all) {
        let found = found.map_or("none".to_owned(), |count| count.to_string());
        return Err(builder.invalid(format!("d2t: expected the target's tokens of {own}, found {found}")));
    }
    draft::add_target_tokens(input, builder, D2T, all)
}

fn assistant_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    keys.set_u32("block_size", Some(config.require_u32(&["block_size"])?));
    target_layers(config, keys)?;
    let window = keys::nonzero(config, &["sliding_window"])?;
    if window.is_some() && config.map().get("layer_types").is_some_and(truthy) {
        keys.set_u32("attention.sliding_window", window);
        keys::sliding_pattern(config, keys)?;
    }
    Ok(())
}
