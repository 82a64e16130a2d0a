//! SmallThinker (`SmallThinkerModel` of the reference).

use crate::arch::experts::ExpertNames;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::config::truthy;
use crate::error::Result;
use crate::json::Value;

pub(super) const SMALLTHINKER: Family = Family {
    names: &["SmallThinkerForCausalLM"],
    arch: "smallthinker",
    tensors: names::SMALLTHINKER,
    keys: key_values,
    emit: |input, builder, tensor| {
        if tensor.name.contains("experts") {
            let count = match keys::nonzero(input.config, &["moe_num_primary_experts"])? {
                Some(count) => count,
                None => input.config.require_u32(&["num_local_experts", "num_experts"])?,
            };
            return builder.add_expert(tensor, count, &EXPERTS);
        }
        builder.add(tensor)
    },
    ..TEXT
};

const EXPERTS: ExpertNames = ExpertNames {
    one: "model.layers.{bid}.block_sparse_moe.experts.{xid}.{matrix}.weight",
    stack: "model.layers.{bid}.block_sparse_moe.experts.{matrix}.weight",
    matrices: &["down", "gate", "up"],
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    keys.set_u32("expert_count", config.u32(&["moe_num_primary_experts"])?);
    keys.set_u32("expert_used_count", config.u32(&["moe_num_active_primary_experts"])?);
    let length = config.u32(&["moe_ffn_hidden_size"])?;
    keys.set_u32("expert_feed_forward_length", length);
    keys.set_u32("feed_forward_length", length);
    let softmax = config.map().get("moe_primary_router_apply_softmax").is_some_and(truthy);
    keys.set_u32("expert_gating_func", Some(if softmax { keys::SOFTMAX } else { keys::SIGMOID }));
    let layout = config.map().get("sliding_window_layout").and_then(Value::as_array);
    if layout.is_some_and(|layout| layout.iter().any(|slides| slides.as_f64() != Some(0.0))) {
        keys.set_u32("attention.sliding_window", keys::nonzero(config, &["sliding_window_size"])?);
    }
    Ok(())
}
