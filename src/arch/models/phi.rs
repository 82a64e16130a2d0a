//! Phi 2, 3 and 4 and the mixture of experts (`Phi2Model`, `Phi3MiniModel`, `PhiMoeModel` of the reference).

use crate::json::Value as Json;
use crate::vocab;

use crate::arch::builder::Builder;
use crate::arch::experts::ExpertNames;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;
use crate::input::quoted;
use crate::tensor::TensorExpr;

pub(super) const PHI2: Family =
    Family { names: &["PhiForCausalLM"], arch: "phi2", tensors: names::PHI2, keys: phi2_keys, ..TEXT };

pub(super) const PHI3: Family = Family {
    names: &["Phi3ForCausalLM", "Phi4ForCausalLMV"],
    arch: "phi3",
    vocab: vocab::phi3,
    tensors: names::PHI3,
    keys: phi3_keys,
    generate: long_rope,
    ..TEXT
};

pub(super) const PHI_MOE: Family = Family {
    names: &["PhiMoEForCausalLM"],
    arch: "phimoe",
    tensors: names::PHIMOE,
    keys: |input, keys| {
        phi3_keys(input, keys)?;
        let used = input.config.require_u32(&["num_experts_per_tok", "num_experts_per_token"])?;
        keys.set_u32("expert_used_count", Some(used));
        keys.set_u32("expert_count", Some(input.config.require_u32(&EXPERT_COUNT)?));
        Ok(())
    },
    emit: |input, builder, tensor| {
        if tensor.name.contains("block_sparse_moe.experts") {
            return builder.add_expert(tensor, input.config.require_u32(&EXPERT_COUNT)?, &EXPERTS);
        }
        builder.add(tensor)
    },
    ..PHI3
};

const EXPERTS: ExpertNames = ExpertNames {
    one: "model.layers.{bid}.block_sparse_moe.experts.{xid}.{matrix}.weight",
    stack: "model.layers.{bid}.block_sparse_moe.experts.{matrix}.weight",
    matrices: &["w1", "w2", "w3"],
};

const WIDTH: [&str; 2] = ["hidden_size", "n_embd"];
const HEADS: [&str; 2] = ["num_attention_heads", "n_head"];
const CONTEXT: [&str; 2] = ["n_positions", "max_position_embeddings"];
const EXPERT_COUNT: [&str; 2] = ["num_local_experts", "num_experts"];

fn phi2_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let (width, heads) = (config.require_u32(&WIDTH)?, config.require_u32(&HEADS)?);
    keys.set_u32("context_length", Some(config.require_u32(&CONTEXT)?));
    keys.set_u32("embedding_length", Some(width));
    let wide =
        width.checked_mul(4).ok_or_else(|| config.invalid(format!("hidden_size {width} is absurd")))?;
    keys.set_u32("feed_forward_length", Some(wide));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("attention.head_count", Some(heads));
    keys.set_u32("attention.head_count_kv", Some(heads));
    let epsilon = config.require_f32(&["layer_norm_epsilon", "layer_norm_eps"])?;
    keys.set_f32("attention.layer_norm_epsilon", Some(epsilon));
    let factor = input.rope.require_f64(&["partial_rotary_factor"])?;
    keys.set_u32("rope.dimension_count", Some(rotated(input, factor)?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    keys.values.set_bool("tokenizer.ggml.add_bos_token", false);
    Ok(())
}

/// Dimensions of each head that are rotated.
fn rotated(input: &Input, factor: f64) -> Result<u32> {
    let part = keys::fraction(input, input.config.require_u32(&WIDTH)?, factor)?;
    let none = || input.config.invalid("num_attention_heads: expected at least 1, found 0");
    part.checked_div(input.config.require_u32(&HEADS)?).ok_or_else(none)
}

fn phi3_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |keys: &[&str]| config.require_u32(keys).map(Some);
    let factor = input.rope.f64(&["partial_rotary_factor"])?.unwrap_or(1.0);
    keys.set_u32("context_length", get(&CONTEXT)?);
    let original = input.rope.require_u32(&["original_max_position_embeddings"])?;
    keys.set_u32("rope.scaling.original_context_length", Some(original));
    keys.set_u32("embedding_length", get(&WIDTH)?);
    keys.set_u32("feed_forward_length", get(&["intermediate_size"])?);
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("attention.head_count", get(&HEADS)?);
    keys.set_u32("attention.head_count_kv", get(&["num_key_value_heads", "n_head_kv"])?);
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(config.require_f32(&["rms_norm_eps"])?));
    keys.set_u32("rope.dimension_count", Some(rotated(input, factor)?));
    keys.set_f32("rope.freq_base", Some(keys::full_attention(&input.rope)?.require_f32(&["rope_theta"])?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    // Zero tells Phi 4 from others.
    keys.set_u32("attention.sliding_window", Some(config.u32(&["sliding_window"])?.unwrap_or(0)));
    Ok(())
}

/// Factors for contexts up to and beyond the length that the model was trained with.
fn long_rope(input: &Input, builder: &mut Builder) -> Result<()> {
    let (config, rope) = (input.config, &input.rope);
    let factor = rope.f64(&["partial_rotary_factor"])?.unwrap_or(1.0);
    let (dimensions, context) = (rotated(input, factor)?, config.require_u32(&CONTEXT)?);
    let original = rope.require_u32(&["original_max_position_embeddings"])?;
    let Some(long) = factors(input, "long_factor")?.filter(|factors| !factors.is_empty()) else {
        return Ok(());
    };
    let short = factors(input, "short_factor")?.unwrap_or_default();
    let count = u64::from(dimensions);
    if long.len() != short.len() || long.len() as u64 * 2 != count {
        return Err(config.invalid(format!(
            "rope_parameters: expected {count} / 2 entries in long_factor and short_factor, found {} and {}",
            long.len(),
            short.len()
        )));
    }
    let scale = f64::from(context) / f64::from(original);
    let attention = match rope.str(&["rope_type"])?.map(str::to_lowercase).as_deref() {
        _ if original <= 1 => return Err(config.invalid("original_max_position_embeddings is absurd")),
        Some("su" | "longrope" | "yarn") if scale <= 1.0 => 1.0,
        Some("su" | "longrope") => (1.0 + scale.ln() / f64::from(original).ln()).sqrt(),
        Some("yarn") => 0.1 * scale.ln() + 1.0,
        other => {
            let kind = other.unwrap_or_default();
            return Err(config.unsupported(format!("long_factor with rope type {}", quoted(kind))));
        }
    };
    #[allow(clippy::cast_possible_truncation)]
    builder.early.set_f32("rope.scaling.attn_factor", Some(attention as f32));
    builder.add_as("rope_factors_long.weight".into(), None, TensorExpr::values(long))?;
    builder.add_as("rope_factors_short.weight".into(), None, TensorExpr::values(short))
}

fn factors(input: &Input, key: &str) -> Result<Option<Vec<f32>>> {
    let Some((_, value)) = input.rope.get(&[key]) else { return Ok(None) };
    #[allow(clippy::cast_possible_truncation)]
    let number = |value: &Json| value.as_f64().map(|value| value as f32);
    let list = value.as_array().and_then(|items| items.iter().map(number).collect::<Option<Vec<_>>>());
    let problem = || input.config.invalid(format!("rope_parameters.{key}: expected a list of numbers"));
    list.map(Some).ok_or_else(problem)
}
