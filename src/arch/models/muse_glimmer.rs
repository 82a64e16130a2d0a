//! Muse Glimmer (`MuseGlimmerModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, TEXT, keys, names, rope};
use crate::error::Result;
use crate::gguf::KeyValues;
use crate::json::Object;
use crate::tensor::TensorExpr;
use crate::vocab::{Base, KINDS, SpecialVocab, TokenizerFiles};

use super::llama::interleave_rotary;

pub(super) const MUSE_GLIMMER: Family = Family {
    names: &["MuseGlimmerForConditionalGeneration"],
    arch: "muse-glimmer",
    vocab,
    tensors: names::MUSE_GLIMMER,
    keys: |input, keys| {
        keys::common(input, keys)?;
        let config = input.config;
        keys.set_f32("final_logit_softcapping", Some(config.require_f32(&["final_logit_softcapping"])?));
        keys.set_f32("logit_scale", Some(config.require_f32(&["output_multiplier"])?));
        keys.set_u32("attention.sliding_window", Some(config.require_u32(&["sliding_window"])?));
        keys::sliding_pattern(config, keys)
    },
    emit,
    ..TEXT
};

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let config = input.config;
    if tensor.name.ends_with("layernorm.weight") {
        tensor.expr = tensor.expr.plus(1.0);
    }
    let heads = if tensor.name.contains(".self_attn.q_proj.") {
        Some("num_attention_heads")
    } else if tensor.name.contains(".self_attn.k_proj.") {
        Some("num_key_value_heads")
    } else {
        None
    };
    if let Some(heads) = heads {
        let heads = config.require_u32(&[heads])?;
        tensor.expr = interleave_rotary(&tensor.name, tensor.expr, heads).map_err(|p| builder.invalid(p))?;
    }
    if let Some(layer) = tensor.layer
        && tensor.name.ends_with(&format!("model.layers.{layer}.self_attn.q_proj.weight"))
    {
        norms(input, builder, layer)?;
    }
    builder.add(tensor)
}

/// The norms of queries and keys have no weights; queries are scaled by a constant, which llama.cpp keeps there.
fn norms(input: &Input, builder: &mut Builder, layer: u64) -> Result<()> {
    let config = input.config;
    let size = config.require_u32(&["head_dim"])?;
    if size > rope::LARGEST_HEAD {
        return Err(
            config.invalid(format!("head_dim: expected at most {}, found {size}", rope::LARGEST_HEAD))
        );
    }
    for (norm, value) in [("q_norm", config.require_f32(&["qk_scale_factor"])?), ("k_norm", 1.0)] {
        let name = format!("model.layers.{layer}.self_attn.{norm}.weight");
        builder.add(Tensor {
            name,
            layer: Some(layer),
            expr: TensorExpr::values(vec![value; size as usize]),
        })?;
    }
    Ok(())
}

/// BPE, with the end of a turn.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let base = Base::read(files, config)?;
    // What is no token is the one for what is unknown, as everywhere in transformers.
    let unknown = files.config.as_ref().and_then(|config| config.get("unk_token"));
    let unknown = unknown.and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str()));
    let turn = base.added.get("<|eot|>").or_else(|| base.added.get(unknown?)).copied();
    let pre = base.pre;
    base.write(kv, "gpt2", pre);
    SpecialVocab::load(files, true, &KINDS, None)?.write(kv, &files.dir)?;
    if let Some(turn) = turn {
        kv.set_u32("tokenizer.ggml.eot_token_id", turn);
    }
    Ok(())
}
