//! Mellum 2 (`MellumModel` of the reference).

use crate::arch::experts::NAMES;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;
use crate::json::Value;

pub(super) const MELLUM: Family = Family {
    names: &["MellumForCausalLM"],
    arch: "mellum",
    tensors: names::MELLUM,
    keys: key_values,
    emit: |input, builder, tensor| {
        if tensor.name.contains("experts") {
            let count = input.config.require_u32(&["num_local_experts", "num_experts"])?;
            return builder.add_expert(tensor, count, &NAMES);
        }
        builder.add(tensor)
    },
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    keys.set_u32("expert_feed_forward_length", config.u32(&["moe_intermediate_size"])?);
    let used = config.get(&["use_sliding_window"]).is_none_or(|(_, used)| *used == Value::Bool(true));
    if let Some(window) = config.u32(&["sliding_window"])?.filter(|_| used) {
        keys.set_u32("attention.sliding_window", Some(window));
        keys::sliding_pattern(config, keys)?;
    }
    Ok(())
}
