//! Maple (`MapleModel` of the reference).

use crate::arch::experts::NAMES;
use crate::arch::{Family, Input, Keys, TEXT, keys, names, rope};
use crate::config::truthy;
use crate::error::Result;
use crate::gguf::Value;

pub(super) const MAPLE: Family = Family {
    names: &["MapleForCausalLM"],
    arch: "maple",
    tensors: names::MAPLE,
    keys: key_values,
    emit: |input, builder, tensor| {
        if tensor.name.contains("mlp.experts") {
            return builder.add_expert(tensor, input.config.require_u32(&["num_experts"])?, &NAMES);
        }
        builder.add(tensor)
    },
    ..TEXT
};

/// What gate and up are limited to, in the model's code.
const LIMIT: f32 = 7.0;

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    let holds = |key: &str, default: bool| config.map().get(key).map_or(default, truthy);
    let shared = config.u32(&["num_shared_experts"])?.unwrap_or(0) != 0;
    let known = config.str(&["hidden_act"])? == Some("silu")
        && !shared
        && holds("norm_topk_prob", true)
        && holds("nope_on_global_attention", false);
    if !known {
        let problem = "expected silu, no shared experts, norm_topk_prob and nope_on_global_attention";
        return Err(config.unsupported(problem));
    }
    let rotated = keys::rotated(input, rope::dimension_count(input)?, 1.0)?;
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    keys.set_u32("rope.dimension_count", Some(rotated));
    keys.set_u32("attention.sliding_window", Some(config.require_u32(&["sliding_window"])?));
    keys::sliding_pattern(config, keys)?;
    keys.set_u32("expert_feed_forward_length", Some(config.require_u32(&["moe_intermediate_size"])?));
    keys.set("swiglu_clamp_exp", Value::F32s(vec![LIMIT; input.layers as usize]));
    Ok(())
}
