//! Nemotron and Minitron (`NemotronModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::config::truthy;
use crate::error::Result;
use crate::gguf::KeyValues;
use crate::gguf::Value;
use crate::json::Object;
use crate::vocab::{TokenizerFiles, sentencepiece};

pub(super) const NEMOTRON: Family = Family {
    names: &["NemotronForCausalLM"],
    arch: "nemotron",
    vocab,
    tensors: names::NEMOTRON,
    keys: key_values,
    emit,
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    keys::common(input, keys)?;
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    let epsilon = ["layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"];
    keys.set_f32("attention.layer_norm_epsilon", Some(config.require_f32(&epsilon)?));
    let width = config.require_u32(&["hidden_size", "n_embd"])?;
    let heads = config.require_u32(&["num_attention_heads", "n_head"])?;
    let Some(rotated) = keys::rotated_part(input, width)?.checked_div(heads) else {
        return Err(config.invalid("num_attention_heads: expected at least 1, found 0"));
    };
    keys.set_u32("rope.dimension_count", Some(rotated));
    let own = config.map().get("factor").is_some_and(truthy);
    let factor = if own { config.f32(&["factor"])? } else { input.rope.f32(&["factor"])? };
    let kind = if factor.is_some() { "linear" } else { "none" };
    keys.set("rope.scaling.type", Value::String(kind.into()));
    keys.set_f32("rope.scaling.factor", factor);
    Ok(())
}

/// The model multiplies by a norm's weight and one.
fn emit(_: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name.ends_with("norm.weight") {
        tensor.expr = tensor.expr.plus(1.0);
    }
    builder.add(tensor)
}

/// SentencePiece with fixed padding and unknown tokens.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    sentencepiece::require(kv, files, config)?;
    kv.set_u32("tokenizer.ggml.padding_token_id", 0);
    kv.set_u32("tokenizer.ggml.unknown_token_id", 1);
    Ok(())
}
