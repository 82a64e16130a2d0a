//! OLMo, OLMo 2 and 3, their mixture of experts, and Seed-OSS (`OlmoModel`, `Olmo2Model`, `OlmoeModel`,
//! `SeedOssModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::NAMES;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;

use super::llama::interleave_rotary;

pub(super) const OLMO: Family = Family {
    names: &["OLMoForCausalLM", "OlmoForCausalLM"],
    arch: "olmo",
    tensors: names::OLMO,
    keys: olmo_keys,
    emit: olmo,
    ..TEXT
};

pub(super) const OLMO2: Family = Family {
    names: &["Olmo2ForCausalLM", "Olmo3ForCausalLM"],
    arch: "olmo2",
    tensors: names::OLMO2,
    keys: olmo2_keys,
    ..TEXT
};

pub(super) const OLMOE: Family = Family {
    names: &["OlmoeForCausalLM"],
    arch: "olmoe",
    tensors: names::OLMOE,
    keys: olmoe_keys,
    emit: olmoe,
    ..TEXT
};

pub(super) const SEED_OSS: Family =
    Family { names: &["SeedOssForCausalLM"], arch: "seed_oss", tensors: names::SEED_OSS, ..TEXT };

fn olmo_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys.set_f32("attention.layer_norm_epsilon", Some(1e-5));
    keys.set_f32("attention.clamp_kqv", input.config.f32(&["clip_qkv"])?);
    Ok(())
}

fn olmo(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let (query, key) = (tensor.name.ends_with("q_proj.weight"), tensor.name.ends_with("k_proj.weight"));
    if query || key {
        let heads = input.config.require_u32(&["num_attention_heads"])?;
        let kv_heads = input.config.u32(&["num_key_value_heads"])?.filter(|_| key).unwrap_or(heads);
        tensor.expr =
            interleave_rotary(&tensor.name, tensor.expr, kv_heads).map_err(|p| builder.invalid(p))?;
    }
    builder.add(tensor)
}

fn olmo2_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    if !config.map().contains_key("sliding_window") {
        return Ok(());
    }
    keys.set_u32("attention.sliding_window", Some(config.require_u32(&["sliding_window"])?));
    if config.map().contains_key("layer_types") {
        return keys::sliding_pattern(config, keys);
    }
    let slides = (1..=config.require_u32(&["num_hidden_layers"])?).take(input.layers as usize);
    keys.set_bools("attention.sliding_window_pattern", slides.map(|layer| layer % 4 != 0).collect());
    Ok(())
}

fn olmoe_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(1e-5));
    Ok(())
}

fn olmoe(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if tensor.name.contains("experts") {
        let count = input.config.require_u32(&["num_local_experts", "num_experts"])?;
        return builder.add_expert(tensor, count, &NAMES);
    }
    builder.add(tensor)
}
