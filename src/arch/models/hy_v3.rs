//! Hy 3 (`HYV3Model` of the reference).

use crate::arch::experts::NAMES;
use crate::arch::{Family, Input, Keys, Mtp, TEXT, keys, mtp, names};
use crate::error::Result;

pub(super) const HY_V3: Family = Family {
    names: &["HYV3ForCausalLM"],
    arch: "hy_v3",
    tensors: names::HY_V3,
    mtp: true,
    mtp_file_name: false,
    layers: mtp::layers,
    keys: key_values,
    rename: |input, name| {
        let name = mtp::rename(input, name)?;
        Some(match mtp::predicts(input, &name) {
            true => name.replace(".final_layernorm.", ".shared_head.norm."),
            false => name,
        })
    },
    emit: |input, builder, tensor| {
        if tensor.name.starts_with("model.layers.") && tensor.name.contains(".mlp.experts.") {
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
    let length = config.require_u32(&["moe_intermediate_size"])?;
    let shared = config.u32(&["num_shared_experts"])?.unwrap_or(1);
    keys.set_u32("expert_feed_forward_length", Some(length));
    keys.set_u32("expert_shared_feed_forward_length", Some(keys::times(config, shared, length)?));
    keys.set_bool("expert_weights_norm", Some(config.flag("route_norm")?.unwrap_or(true)));
    keys.set_f32("expert_weights_scale", Some(config.f32(&["router_scaling_factor"])?.unwrap_or(1.0)));
    keys.set_u32("expert_gating_func", Some(keys::SIGMOID));
    let more = keys::nonzero(config, &["num_nextn_predict_layers"])?;
    keys.set_u32("nextn_predict_layers", more.filter(|_| input.options.mtp != Mtp::Drop));
    Ok(())
}
