//! LLaDA's mixture of experts (`LLaDAMoEModel` of the reference).

use crate::arch::experts::NAMES;
use crate::arch::{Family, TEXT, keys, names};
use crate::gguf::Value;

pub(super) const LLADA_MOE: Family = Family {
    names: &["LLaDAMoEModel", "LLaDAMoEModelLM"],
    arch: "llada-moe",
    tensors: names::LLADA_MOE,
    keys: |input, keys| {
        keys::common(input, keys)?;
        keys.set_u32("expert_feed_forward_length", input.config.u32(&["expert_intermediate_size"])?);
        keys.values.set_u32("tokenizer.ggml.mask_token_id", MASK);
        keys.set("attention.causal", Value::Bool(false));
        keys.values.set_bool("diffusion.shift_logits", false);
        Ok(())
    },
    emit: |input, builder, tensor| {
        if tensor.name.contains("experts") {
            let count = input.config.require_u32(&["num_local_experts", "num_experts"])?;
            return builder.add_expert(tensor, count, &NAMES);
        }
        builder.add(tensor)
    },
    ..TEXT
};

/// The token in the place of what is to be filled in.
const MASK: u32 = 156_895;
