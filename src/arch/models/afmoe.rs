//! Arcee's mixture of experts (`AfmoeModel` of the reference).

use crate::arch::experts::{ExpertNames, NAMES};
use crate::arch::{Family, Input, Keys, names};
use crate::error::Result;

use super::llama::{self, LLAMA};

pub(super) const AFMOE: Family = Family {
    names: &["AfmoeForCausalLM"],
    arch: "afmoe",
    tensors: names::AFMOE,
    keys: key_values,
    rename: |input, name| {
        let name = match name.ends_with(".expert_bias") {
            true => name.replace(".expert_bias", ".expert_bias.bias"),
            false => name.to_owned(),
        };
        (LLAMA.rename)(input, &name)
    },
    emit: |input, builder, tensor| {
        if tensor.name.contains("mlp.experts") {
            let count = input.config.require_u32(&["num_local_experts", "num_experts"])?;
            return builder.add_expert(tensor, count, &EXPERTS);
        }
        builder.add(tensor)
    },
    ..LLAMA
};

const EXPERTS: ExpertNames = ExpertNames { matrices: &["gate_proj", "up_proj", "down_proj"], ..NAMES };

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    llama::key_values(input, keys)?;
    let config = input.config;
    keys.set_u32("expert_shared_count", config.u32(&["num_shared_experts"])?);
    keys.set_u32("expert_feed_forward_length", config.u32(&["moe_intermediate_size"])?);
    keys.set_u32("leading_dense_block_count", config.u32(&["num_dense_layers"])?);
    keys.set_bool("expert_weights_norm", config.bool(&["route_norm"])?);
    keys.set_f32("expert_weights_scale", config.f32(&["route_scale"])?);
    keys.set_u32("attention.sliding_window", config.u32(&["sliding_window"])?);
    Ok(())
}
