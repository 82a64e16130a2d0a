//! MiniCPM, of the first and the third generation (`MiniCPMModel`, `MiniCPM3Model` of the reference).

use crate::arch::builder::Builder;
use crate::arch::{Family, Input, Keys, TEXT, keys, names, rope};
use crate::error::Result;
use crate::json::Value as Json;
use crate::tensor::TensorExpr;
use crate::vocab;

use super::llama::interleave_rotary;

pub(super) const MINICPM: Family = Family {
    names: &["MiniCPMForCausalLM"],
    arch: "minicpm",
    vocab: vocab::sentencepiece_only,
    tensors: names::MINICPM,
    keys: first_keys,
    generate: |input, builder| factors(input, builder, rope::width_per_head(input)?),
    emit: |input, builder, mut tensor| {
        let (query, key) = (tensor.name.ends_with("q_proj.weight"), tensor.name.ends_with("k_proj.weight"));
        if query || key {
            let heads = input.config.require_u32(&["num_attention_heads"])?;
            let kv_heads = input.config.u32(&["num_key_value_heads"])?.filter(|_| key).unwrap_or(heads);
            let turned = interleave_rotary(&tensor.name, tensor.expr, kv_heads);
            tensor.expr = turned.map_err(|problem| builder.invalid(problem))?;
        }
        builder.add(tensor)
    },
    ..TEXT
};

pub(super) const MINICPM3: Family = Family {
    names: &["MiniCPM3ForCausalLM"],
    arch: "minicpm3",
    vocab: vocab::sentencepiece_only,
    tensors: names::MINICPM3,
    keys: third_keys,
    generate: |input, builder| factors(input, builder, input.config.require_u32(&["qk_rope_head_dim"])?),
    ..TEXT
};

fn first_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    let get = |key: &str| config.require_f64(&[key]);
    let (depth, width) = (
        get("scale_depth")? / get("num_hidden_layers")?.sqrt(),
        get("hidden_size")? / get("dim_model_base")?,
    );
    if !depth.is_finite() || !width.is_finite() {
        return Err(config.invalid("num_hidden_layers or dim_model_base is 0"));
    }
    keys.set_f32("embedding_scale", Some(config.require_f32(&["scale_emb"])?));
    #[allow(clippy::cast_possible_truncation)]
    for (key, scale) in [("residual_scale", depth), ("logit_scale", width)] {
        keys.set_f32(key, Some(scale as f32));
    }
    Ok(())
}

fn third_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.values.set_u32("general.file_type", input.ftype as u32);
    keys.set_u32("context_length", get("max_position_embeddings")?);
    keys.set_u32("embedding_length", get("hidden_size")?);
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("feed_forward_length", get("intermediate_size")?);
    keys.set_u32("attention.head_count", get("num_attention_heads")?);
    keys.set_u32("attention.head_count_kv", get("num_key_value_heads")?);
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(config.require_f32(&["rms_norm_eps"])?));
    keys.set_u32("vocab_size", get("vocab_size")?);
    keys.set_u32("attention.q_lora_rank", config.u32(&["q_lora_rank"])?);
    keys.set_u32("attention.kv_lora_rank", get("kv_lora_rank")?);
    let rotated = config.require_u32(&["qk_rope_head_dim"])?;
    let sum = config.require_u32(&["qk_nope_head_dim"])?.checked_add(rotated);
    keys.set_u32(
        "attention.key_length",
        Some(sum.ok_or_else(|| config.invalid("qk_nope_head_dim is absurd"))?),
    );
    keys.set_u32("rope.dimension_count", Some(rotated));
    Ok(())
}

/// Factors for contexts up to and beyond the length that the model was trained with.
fn factors(input: &Input, builder: &mut Builder, dimensions: u32) -> Result<()> {
    #[allow(clippy::cast_possible_truncation)]
    let number = |value: &Json| value.as_f64().map(|value| value as f32);
    let list = |key: &str| match input.rope.get(&[key]) {
        None => Ok(Vec::new()),
        Some((_, value)) => {
            let list =
                value.as_array().and_then(|items| items.iter().map(number).collect::<Option<Vec<_>>>());
            list.ok_or_else(|| {
                input.config.invalid(format!("rope_parameters.{key}: expected a list of numbers"))
            })
        }
    };
    let (long, short) = (list("long_factor")?, list("short_factor")?);
    if long.is_empty() && short.is_empty() {
        return Ok(());
    }
    if long.len() != short.len() || long.len() as u64 * 2 != u64::from(dimensions) {
        return Err(input.config.invalid(format!(
            "rope_parameters: expected {dimensions} / 2 entries in long_factor and short_factor, found {} and {}",
            long.len(),
            short.len()
        )));
    }
    builder.add_as("rope_factors_long.weight".into(), None, TensorExpr::values(long))?;
    builder.add_as("rope_factors_short.weight".into(), None, TensorExpr::values(short))
}
