//! Drafts for Gemma 4: its assistants and DSpark (`Gemma4AssistantModel`, `Gemma4DSparkModel` of the reference).

use std::borrow::Cow;

use crate::arch::builder::Builder;
use crate::arch::rope::LARGEST_HEAD;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, keys, names};
use crate::config::{Config, truthy};
use crate::error::Result;
use crate::gguf::Value;
use crate::json::Value as Json;
use crate::tensor::TensorExpr;

use super::dflash::{self, DFLASH};
use super::gemma4::GEMMA4;

pub(super) const GEMMA4_ASSISTANT: Family = Family {
    names: &["Gemma4AssistantForCausalLM", "Gemma4UnifiedAssistantForCausalLM"],
    arch: "gemma4-assistant",
    tensors: names::GEMMA4_ASSISTANT,
    keys: |input, keys| {
        (GEMMA4.keys)(input, keys)?;
        let width = input.config.require_u32(&["backbone_hidden_size"])?;
        keys.set_u32("embedding_length_out", Some(width));
        keys.set_u32("nextn_predict_layers", Some(input.layers));
        Ok(())
    },
    rename: |input, name| match name.contains("masked_embedding") {
        true => None,
        false => (GEMMA4.rename)(input, name),
    },
    ..GEMMA4
};

pub(super) const GEMMA4_DSPARK: Family = Family {
    names: &["Gemma4DSparkModel"],
    settings: |config| {
        check(config)?;
        (DFLASH.settings)(config)
    },
    keys: key_values,
    late: |input, keys| {
        let own = dflash::section(input.config)?;
        let config = if own.map().contains_key("mask_token_id") { &own } else { input.config };
        config.require_u32(&["mask_token_id"])?;
        dflash::mask_token(config, keys)
    },
    rename: |_, name| {
        let name = if name.starts_with("model.") { name.to_owned() } else { format!("model.{name}") };
        let name = if name.ends_with(".layer_scalar") { format!("{name}.weight") } else { name };
        Some(dflash::rename(&name.replace("model.confidence_proj.", "model.confidence_head.proj.")))
    },
    generate: rope_factors,
    emit,
    ..DFLASH
};

const ACTIVATION: &str = "gelu_pytorch_tanh";

/// What llama.cpp can run of what the settings can say.
fn check(config: &Config) -> Result<()> {
    let get = |key: &str| config.map().get(key);
    let is = |key: &str| get(key).is_some_and(truthy);
    let layers = keys::layer_count(config)? as usize;
    let full = config.strings("layer_types")? == Some(vec!["full_attention"; layers]);
    let tokens = config.require_u32(&["vocab_size"])?;
    let own = keys::nonzero(config, &["draft_vocab_size"])?.unwrap_or(tokens);
    let section = dflash::section(config)?;
    let markov = section.map().get("markov_head_type").or_else(|| get("markov_head_type"));
    let vanilla = markov.is_none_or(|kind| kind.as_str() == Some("vanilla"));
    let tanh = get("hidden_activation").is_none_or(|kind| kind.as_str() == Some(ACTIVATION));
    for (holds, what) in [
        (is("attention_k_eq_v"), "attention_k_eq_v is not true"),
        (full, "layer_types are not full_attention for each layer"),
        (tanh, "hidden_activation is not gelu_pytorch_tanh"),
        (!is("attention_bias"), "attention_bias"),
        (!is("enable_moe_block"), "enable_moe_block"),
        (own == tokens, "draft_vocab_size is not vocab_size"),
        (vanilla, "markov_head_type is not \"vanilla\""),
        (!is("final_logit_softcapping"), "final_logit_softcapping"),
    ] {
        if !holds {
            return Err(config.unsupported(format!("a DSpark draft for Gemma 4: {what}")));
        }
    }
    Ok(())
}

/// The rope settings, which are those of full attention.
fn rope<'a>(input: &'a Input) -> Result<Cow<'a, Config>> {
    if input.config.map().get("rope_parameters").is_some_and(truthy) {
        return match input.rope.map().contains_key("full_attention") {
            true => input.rope.section("full_attention").map(Cow::Owned),
            false => Ok(Cow::Borrowed(&input.rope)),
        };
    }
    let mut rope = input.rope.clone().replaced("rope_type", "proportional");
    rope.set("partial_rotary_factor", 0.25);
    rope.set("rope_theta", 1_000_000.0);
    Ok(Cow::Owned(rope))
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let (config, rope) = (input.config, rope(input)?);
    let tied = config.map().get("tie_word_embeddings") == Some(&Json::Bool(true));
    if !tied && !input.tensors.contains_key("model.lm_head.weight") {
        return Err(config.invalid("there is no lm_head.weight, and tie_word_embeddings is not true"));
    }
    if !matches!(rope.str(&["rope_type"])?, Some("default" | "proportional")) {
        return Err(config.unsupported("rope_type is neither \"default\" nor \"proportional\""));
    }
    dflash::key_values(input, &rope, keys)?;
    let own = dflash::section(config)?;
    let size = Some(head_size(config)?);
    keys.set_u32("attention.head_count_kv", Some(config.require_u32(&["num_global_key_value_heads"])?));
    keys.set_u32("attention.key_length", size);
    keys.set_u32("attention.value_length", size);
    keys.set_u32("rope.dimension_count", size);
    #[allow(clippy::cast_possible_truncation)]
    let scale = f64::from(config.require_u32(&["hidden_size"])?).sqrt() as f32;
    keys.set_f32("embedding_scale", Some(scale));
    keys.set_f32("attention.scale", Some(1.0));
    keys.set("hidden_activation", Value::String(ACTIVATION.into()));
    keys.set_bool("sample_from_anchor", Some(config.flag("sample_from_anchor")?.unwrap_or(true)));
    keys.set_bool("has_confidence_head", Some(dflash::has_confidence(input)));
    let of = if own.map().contains_key("target_layer_ids") { &own } else { config };
    if !of.map().get("target_layer_ids").is_some_and(truthy) {
        return Err(config.invalid("target_layer_ids: expected a list of layers"));
    }
    if own.map().get("use_swa").is_some_and(truthy) && own.require_u32(&["swa_window_size"])? == 0 {
        return Err(config.invalid("swa_window_size: expected a positive number"));
    }
    Ok(())
}

fn head_size(config: &Config) -> Result<u32> {
    let size = config.require_u32(&["global_head_dim"])?;
    match size <= LARGEST_HEAD {
        true => Ok(size),
        false => Err(config.invalid(format!("global_head_dim: {size} is absurd"))),
    }
}

/// What is not rotated stands still where it is, as in Gemma 4.
fn rope_factors(input: &Input, builder: &mut Builder) -> Result<()> {
    let (rope, size) = (rope(input)?, head_size(input.config)?);
    if rope.str(&["rope_type"])? != Some("proportional") {
        return Ok(());
    }
    let part = rope.f64(&["partial_rotary_factor"])?.unwrap_or(0.25);
    let rotated = keys::fraction(input, size, part / 2.0)?;
    #[allow(clippy::float_cmp)]
    if part <= 0.0 || f64::from(size) * part != f64::from(rotated) * 2.0 {
        let problem =
            format!("{part} of a head of {size} is no positive, even number of dimensions to rotate");
        return Err(input.config.invalid(problem));
    }
    let factors = (0..size / 2).map(|at| if at < rotated { 1.0 } else { 1e30 });
    builder.add_as("rope_freqs.weight".to_owned(), None, TensorExpr::values(factors.collect()))
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let layer = tensor.layer.unwrap_or(0);
    if tensor.name.ends_with(".post_attention_layernorm.weight") {
        tensor.name = format!("blk.{layer}.post_attention_norm.weight");
    } else if tensor.name.ends_with(".pre_feedforward_layernorm.weight") {
        tensor.name = format!("blk.{layer}.ffn_norm.weight");
    }
    dflash::emit(input, builder, tensor)
}
