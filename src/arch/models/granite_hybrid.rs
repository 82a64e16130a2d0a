//! Granite 4 and Bamba: attention and Mamba 2 in turn (`GraniteHybridModel` of the reference). Models of
//! attention only are written as if they were Granite 3.

use super::mamba::vocab2;
use crate::json::Value as Json;

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, bare, keys, names};
use crate::config::{Config, truthy};
use crate::error::Result;
use crate::gguf::Value;
use crate::vocab::Padding;

use super::granite::{self, GRANITE};
use super::llama;
use super::mamba::{self, Shape};

pub(super) const GRANITE_HYBRID: Family = Family {
    names: &["BambaForCausalLM", "GraniteMoeHybridForCausalLM"],
    arch: "granitehybrid",
    vocab: |kv, files, config| vocab2(kv, files, config, Padding::To(8)),
    tensors: names::GRANITE_HYBRID,
    settings: bare,
    variant,
    keys: key_values,
    rename: |_, name| granite::rename(&mamba::rename2(name)),
    emit,
    ..GRANITE
};

static ATTENTION_ONLY: Family = Family {
    names: &[],
    arch: "granite",
    vocab: |kv, files, config| vocab2(kv, files, config, Padding::To(1)),
    ..GRANITE_HYBRID
};
static ATTENTION_ONLY_MOE: Family = Family { arch: "granitemoe", ..ATTENTION_ONLY };

fn variant(input: &Input) -> Result<Option<&'static Family>> {
    llama::refuse_drafts(input)?;
    let config = input.config;
    let attention = attention_layers(input)?;
    if attention.iter().any(|attends| !attends) {
        return Ok(None);
    }
    let experts = get(config, &["num_experts_per_tok", "num_experts_per_token"]);
    Ok(Some(if experts.is_some_and(truthy) { &ATTENTION_ONLY_MOE } else { &ATTENTION_ONLY }))
}

/// The first of `keys`, or else of `mamba_` and each of them, that is there.
fn names_of(config: &Config, keys: &[&str]) -> Option<String> {
    let prefixed = keys.iter().map(|key| format!("mamba_{key}"));
    keys.iter().map(|key| (*key).to_owned()).chain(prefixed).find(|key| config.map().contains_key(key))
}

fn get<'c>(config: &'c Config, keys: &[&str]) -> Option<&'c Json> {
    config.map().get(&names_of(config, keys)?)
}

/// A number under `keys`, or the same with `mamba_` in front.
pub(super) fn require(config: &Config, keys: &[&str]) -> Result<u32> {
    match names_of(config, keys) {
        Some(key) => config.require_u32(&[&key]),
        None => config.require_u32(keys),
    }
}

/// For each layer, whether it is one of attention.
fn attention_layers(input: &Input) -> Result<Vec<bool>> {
    let config = input.config;
    let count = input.layers as usize;
    let list = |key: &str| config.map().get(key).filter(|value| truthy(value));
    let mut layers = vec![false; count];
    if let Some(kinds) = list("layer_types") {
        let kinds = kinds.as_array().filter(|kinds| kinds.len() <= count);
        let problem = || config.invalid(format!("layer_types: expected a list of {count} layers"));
        for (layer, kind) in layers.iter_mut().zip(kinds.ok_or_else(problem)?) {
            *layer = kind == "attention";
        }
    } else if let Some(indices) = list("attn_layer_indices") {
        let problem = || config.invalid("attn_layer_indices: expected a list of layers' numbers");
        for index in indices.as_array().ok_or_else(problem)? {
            let index = index.as_u64().and_then(|index| usize::try_from(index).ok()).ok_or_else(problem)?;
            // The list of a model with more layers may have been kept.
            if let Some(layer) = layers.get_mut(index) {
                *layer = true;
            }
        }
    } else {
        let (Some(period), offset) =
            (keys::nonzero(config, &["attn_layer_period"])?, config.require_u32(&["attn_layer_offset"])?)
        else {
            return Err(
                config.invalid("neither layer_types, attn_layer_indices nor attn_layer_period is there")
            );
        };
        for (layer, attends) in (0..input.layers).zip(&mut layers) {
            *attends = layer % period == offset;
        }
    }
    Ok(layers)
}

fn sizes(input: &Input) -> Result<Shape> {
    let config = input.config;
    let width = require(config, &["mamba_head_dim", "hidden_size", "d_model"])?;
    let inner = keys::times(config, require(config, &["expand", "num_heads"])?, width)?;
    Ok(Shape { inner, groups: require(config, &["n_groups", "num_groups"])? })
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let attention = attention_layers(input)?;
    let rotates = input.architecture == "BambaForCausalLM" || attention.iter().all(|attends| *attends);
    hybrid_keys(input, keys, sizes(input)?, &attention, rotates)
}

/// Adds the keys of a model whose layers `attention` are of attention, with rotary positions or without.
pub(super) fn hybrid_keys(
    input: &Input,
    keys: &mut Keys,
    Shape { inner, groups }: Shape,
    attention: &[bool],
    rotates: bool,
) -> Result<()> {
    let config = input.config;
    let head = get(config, &["d_head"]).filter(|head| truthy(head));
    let head = if head.is_some() { require(config, &["d_head"])? } else { 64 };
    let activation = config.str(&["hidden_act"])?;
    if activation.is_some_and(|activation| activation != "silu") || inner % head != 0 {
        return Err(config.unsupported(format!(
            "only SiLU and an inner size that is a multiple of {head} can be converted, found {activation:?} and {inner}"
        )));
    }
    granite::moe_keys(input, keys)?;
    keys.set_u32("ssm.conv_kernel", Some(require(config, &["conv_kernel", "d_conv"])?));
    let state = require(config, &["state_size", "d_state", "state_dim", "ssm_state_size"])?;
    keys.set_u32("ssm.state_size", Some(state));
    keys.set_u32("ssm.group_count", Some(groups));
    keys.set_u32("ssm.inner_size", Some(inner));
    keys.set_u32("ssm.time_step_rank", Some(require(config, &["n_heads", "num_heads"])?));
    keys.set_u32("rope.dimension_count", keys::nonzero(config, &["attn_rotary_emb"])?);
    let kv_heads = require(config, &["num_key_value_heads", "n_head_kv"])?;
    keys.set("attention.head_count_kv", Value::I32s(per_layer(config, attention, kv_heads)?));
    keys.set("rope.scaling.finetuned", Value::Bool(rotates));
    if !rotates {
        keys.set_u32("context_length", Some(mamba::CONTEXT));
    }
    Ok(())
}

/// `number` for each of `layers` that is set, 0 for others.
pub(super) fn per_layer(config: &Config, layers: &[bool], number: u32) -> Result<Vec<i32>> {
    let signed = i32::try_from(number).map_err(|_| config.invalid(format!("{number} is absurd")))?;
    Ok(layers.iter().map(|set| if *set { signed } else { 0 }).collect())
}

fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if tensor.name.ends_with("block_sparse_moe.input_linear.weight") || tensor.name.contains("shared_mlp") {
        return granite::split_fused(input, builder, tensor);
    }
    let attention = attention_layers(input)?;
    let layer = tensor.layer.and_then(|layer| usize::try_from(layer).ok());
    match layer.and_then(|layer| attention.get(layer)) {
        Some(true) => granite::split_fused(input, builder, tensor),
        Some(false) => mamba::mamba2(builder, tensor, sizes(input)?),
        None => builder.add(tensor),
    }
}
