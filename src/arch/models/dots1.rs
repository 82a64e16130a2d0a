//! dots.llm1 (`Dots1Model` of the reference).

use std::borrow::Cow;

use crate::arch::{Family, names};
use crate::json::Value;

use super::qwen::{QWEN2_MOE, expert_keys_of, experts_of};

pub(super) const DOTS1: Family = Family {
    names: &["Dots1ForCausalLM"],
    arch: "dots1",
    tensors: names::DOTS1,
    settings: |config| {
        config.require_known_class()?;
        let experts = config.map().get("n_routed_experts").cloned().unwrap_or(Value::Null);
        Ok(Cow::Owned(config.replaced("num_experts", experts)))
    },
    keys: |input, keys| {
        let config = input.config;
        expert_keys_of(input, config, keys)?;
        let get = |key: &str| config.require_u32(&[key]).map(Some);
        keys.set_u32("leading_dense_block_count", get("first_k_dense_replace")?);
        keys.set_u32("expert_shared_count", get("n_shared_experts")?);
        keys.set_f32("expert_weights_scale", Some(config.require_f32(&["routed_scaling_factor"])?));
        keys.set_bool("expert_weights_norm", config.flag("norm_topk_prob")?);
        Ok(())
    },
    emit: |input, builder, tensor| {
        if tensor.name.contains("shared_experts") {
            return builder.add(tensor);
        }
        experts_of(input, builder, tensor, &["num_local_experts", "n_routed_experts"])
    },
    ..QWEN2_MOE
};
