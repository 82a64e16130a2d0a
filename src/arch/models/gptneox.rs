//! GPT-NeoX and Pythia (`GPTNeoXModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names, rope};
use crate::error::Result;
use crate::gguf::Value;
use crate::tensor::TensorExpr;

pub(super) const GPTNEOX: Family = Family {
    names: &["GPTNeoXForCausalLM"],
    arch: "gptneox",
    tensors: names::GPTNEOX,
    keys: key_values,
    emit,
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    keys.set_u32("context_length", Some(config.require_u32(&["max_position_embeddings"])?));
    keys.set_u32("embedding_length", Some(config.require_u32(&["hidden_size"])?));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("feed_forward_length", Some(config.require_u32(&["intermediate_size"])?));
    // transformers 5 moves `rotary_pct` to the rope settings, where the reference does not look for it.
    let rotary = match config.f64(&["rotary_pct"])? {
        Some(rotary) => rotary,
        None => input.rope.require_f64(&["partial_rotary_factor"])?,
    };
    keys.set_u32("rope.dimension_count", Some(keys::fraction(input, rope::width_per_head(input)?, rotary)?));
    keys.set_u32("attention.head_count", Some(config.require_u32(&["num_attention_heads"])?));
    let parallel = config.bool(&["use_parallel_residual"])?.unwrap_or(true);
    keys.set("use_parallel_residual", Value::Bool(parallel));
    keys.set_f32("attention.layer_norm_epsilon", Some(config.require_f32(&["layer_norm_eps"])?));
    Ok(())
}

/// Rows of query, key and value lie head by head; GGUF has all queries first, then all keys, then all values.
fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let stem = tensor.name.strip_suffix(".weight").or(tensor.name.strip_suffix(".bias"));
    if stem.is_some_and(|stem| {
        stem.starts_with("gpt_neox.layers.") && stem.ends_with(".attention.query_key_value")
    }) {
        let heads = input.config.require_u32(&["n_head", "num_attention_heads"])?;
        let size = rope::width_per_head(input)?;
        let shape = tensor.expr.shape().to_vec();
        let columns = shape.get(1..).unwrap_or_default();
        let [heads, size] = [u64::from(heads), u64::from(size)];
        let split = [&[heads, 3, size], columns].concat();
        let parts: Result<Vec<TensorExpr>> = (0..3)
            .map(|part| {
                let part = tensor.expr.clone().reshape(&split)?.slice(1, part, part + 1, 1)?;
                part.reshape(&[&[heads * size], columns].concat())
            })
            .collect();
        tensor.expr = parts.and_then(TensorExpr::concat).map_err(|_| {
            builder.invalid(format!(
                "{}: expected 3 × {size} rows for each of {heads} heads, found shape {shape:?}",
                tensor.name
            ))
        })?;
    }
    builder.add(tensor)
}
