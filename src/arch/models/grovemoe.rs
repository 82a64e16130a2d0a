//! GroveMoE (`GroveMoeModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::{ExpertNames, NAMES};
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;

pub(super) const GROVEMOE: Family = Family {
    names: &["GroveMoeForCausalLM", "modeling_grove_moe.GroveMoeForCausalLM"],
    arch: "grovemoe",
    tensors: names::GROVEMOE,
    keys: key_values,
    emit: experts,
    ..TEXT
};

/// Experts that so many others share.
const ADJUGATE: ExpertNames = ExpertNames {
    one: "model.layers.{bid}.mlp.chunk_experts.{xid}.{matrix}.weight",
    stack: "model.layers.{bid}.mlp.chunk_experts.{matrix}.weight",
    ..NAMES
};
const PER_GROUP: u32 = 2;

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    keys.set_u32("expert_feed_forward_length", config.u32(&["moe_intermediate_size"])?);
    // These are constants in the model's code.
    let chunk = keys::nonzero(config, &["head_dim"])?.unwrap_or(128);
    keys.set_u32("expert_chunk_feed_forward_length", Some(chunk));
    keys.set_u32("experts_per_group", Some(PER_GROUP));
    keys.set_f32("expert_group_scale", Some(0.05));
    Ok(())
}

fn experts(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if tensor.name.ends_with(".expert_bias") {
        return Ok(()); // the model does not use it
    }
    if !tensor.name.contains("experts") {
        return builder.add(tensor);
    }
    let count = input.config.require_u32(&["num_local_experts", "num_experts"])?;
    match tensor.name.contains("chunk_experts") {
        true => builder.add_expert(tensor, count / PER_GROUP, &ADJUGATE),
        false => builder.add_expert(tensor, count, &NAMES),
    }
}
