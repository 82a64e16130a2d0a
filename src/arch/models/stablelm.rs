//! StableLM (`StableLMModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;
use crate::gguf::KeyValues;
use crate::gguf::Value;
use crate::json::Object;
use crate::tensor::TensorExpr;
use crate::vocab::{TokenizerFiles, gpt2, tiktoken};

pub(super) const STABLELM: Family = Family {
    names: &["LlavaStableLMEpochForCausalLM", "StableLMEpochForCausalLM", "StableLmForCausalLM"],
    arch: "stablelm",
    vocab,
    tensors: names::STABLELM,
    keys: key_values,
    emit,
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let width = config.require_u32(&["hidden_size"])?;
    let heads = config.require_u32(&["num_attention_heads"])?;
    let Some(head) = width.checked_div(heads) else {
        return Err(config.invalid("num_attention_heads: expected at least 1, found 0"));
    };
    keys.set_u32("context_length", Some(config.require_u32(&["max_position_embeddings"])?));
    keys.set_u32("embedding_length", Some(width));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("feed_forward_length", Some(config.require_u32(&["intermediate_size"])?));
    keys.set_u32("rope.dimension_count", Some(keys::rotated_part(input, head)?));
    keys.set_u32("attention.head_count", Some(heads));
    keys.set_u32("attention.head_count_kv", Some(config.require_u32(&["num_key_value_heads"])?));
    let parallel = config.bool(&["use_parallel_residual"])?;
    keys.set("use_parallel_residual", Value::Bool(parallel.unwrap_or(true)));
    let epsilon = config.require_f32(&["layer_norm_eps", "norm_eps"])?;
    keys.set_f32("attention.layer_norm_epsilon", Some(epsilon));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

/// StableLM 2 12B has a norm per head, which GGUF stacks. (The reference means to do so, and stops instead.)
fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    for (layer, heads) in [("q_layernorm", "num_attention_heads"), ("k_layernorm", "num_key_value_heads")] {
        let Some((before, rest)) = tensor.name.split_once(&format!("{layer}.norms.")) else { continue };
        let count = input.config.require_u32(&[heads])?;
        let norm = |head: u32| format!("{before}{layer}.norms.{head}.weight");
        let head = rest.strip_suffix(".weight").and_then(|head| head.parse().ok());
        if head.is_none_or(|head| head >= count || norm(head) != tensor.name) {
            return Err(builder.invalid(format!("{}: expected one of {count} heads", tensor.name)));
        }
        // The first head's brings the others along.
        let first = norm(0);
        if tensor.name != first {
            let known = input.tensors.contains_key(&first);
            return if known { Ok(()) } else { Err(builder.invalid(format!("{first} is missing"))) };
        }
        let found = (0..count).map(|head| {
            let name = norm(head);
            let expr = input.tensors.get(&name).cloned();
            expr.ok_or_else(|| builder.invalid(format!("{name} is missing (there are {count} heads)")))
        });
        let norms = TensorExpr::stack(found.collect::<Result<_>>()?)?;
        let name = format!("{before}{layer}.weight");
        return builder.add(Tensor { name, layer: tensor.layer, expr: norms });
    }
    builder.add(tensor)
}

/// BPE, else `qwen.tiktoken`.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    match files.tokenizer {
        Some(_) => gpt2(kv, files, config),
        None => Err(tiktoken(files, "a tiktoken file")),
    }
}
