//! Command R and its successors (`CommandR2Model`, `Cohere2Model`, `Cohere2MoeModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::contents;
use crate::arch::experts::NAMES;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names, rope};
use crate::error::Result;
use crate::gguf::Value;

pub(super) const COMMAND_R: Family = Family {
    names: &["CohereForCausalLM"],
    arch: "command-r",
    tensors: names::COMMAND_R,
    keys: command_r_keys,
    ..TEXT
};

pub(super) const COHERE2: Family = Family {
    names: &["Cohere2ForCausalLM"],
    arch: "cohere2",
    tensors: names::COHERE2,
    keys: cohere2_keys,
    emit: without_biases,
    ..TEXT
};

pub(super) const COHERE2_MOE: Family = Family {
    names: &["Cohere2MoeForCausalLM"],
    arch: "cohere2moe",
    tensors: names::COHERE2MOE,
    layers: |config, _, _| {
        keys::layers_and_more(config, config.u32(&["num_nextn_predict_layers"])?.unwrap_or(0))
    },
    keys: cohere2_moe_keys,
    emit: experts,
    ..TEXT
};

fn command_r_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    // `max_position_embeddings` is 8192 in models that were trained with more.
    let context = input.config.require_u32(&["model_max_length", "max_position_embeddings"])?;
    keys::common_of(input, &input.config.replaced("max_position_embeddings", context), keys)?;
    keys.set_f32("logit_scale", Some(input.config.require_f32(&["logit_scale"])?));
    keys.set("rope.scaling.type", Value::String("none".into()));
    Ok(())
}

fn cohere2_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    keys.set_f32("logit_scale", Some(config.require_f32(&["logit_scale"])?));
    keys.set_u32("attention.sliding_window", Some(config.require_u32(&["sliding_window"])?));
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    let rotary = config.require_f64(&["rotary_pct"])?;
    let rotated = keys::fraction(input, rope::width_per_head(input)?, rotary)?;
    keys.set_u32("rope.dimension_count", Some(rotated));
    keys.set("rope.scaling.type", Value::String("none".into()));
    Ok(())
}

fn cohere2_moe_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    let length = config.require_u32(&["intermediate_size"])?;
    keys.set_f32("logit_scale", Some(config.require_f32(&["logit_scale"])?));
    keys.set_u32("attention.sliding_window", Some(config.require_u32(&["sliding_window"])?));
    keys::sliding_pattern(config, keys)?;
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    keys.set_u32("expert_feed_forward_length", Some(length));
    let dense = match config.strings("mlp_layer_types")? {
        Some(kinds) => kinds.iter().take_while(|kind| **kind == "dense").count().try_into().ok(),
        None => Some(config.u32(&["first_k_dense_replace"])?.unwrap_or(0)),
    };
    keys.set_u32("leading_dense_block_count", dense);
    keys.set_bool("expert_weights_norm", Some(config.bool(&["norm_topk_prob"])?.unwrap_or(false)));
    let shared = config.u32(&["num_shared_experts"])?.filter(|shared| *shared > 0);
    if let Some(shared) = shared {
        if config.str(&["shared_expert_combination_strategy"])?.is_some_and(|how| how != "average") {
            return Err(config.unsupported("shared experts that are not averaged"));
        }
        let length = length.checked_mul(shared).ok_or_else(|| config.invalid("too many shared experts"))?;
        keys.set_u32("expert_shared_count", Some(shared));
        keys.set_u32("expert_shared_feed_forward_length", Some(length));
    }
    keys.set_u32(
        "nextn_predict_layers",
        config.u32(&["num_nextn_predict_layers"])?.filter(|layers| *layers > 0),
    );
    keys.set_u32("rope.dimension_count", Some(config.require_u32(&["head_dim"])?));
    keys.set("rope.scaling.type", Value::String("none".into()));
    Ok(())
}

/// llama.cpp has no biases for these models; checkpoints that have some have zeros.
fn without_biases(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if !tensor.name.ends_with(".bias") {
        return builder.add(tensor);
    }
    match contents::floats(input.checkpoint, &tensor.name, &tensor.expr)?.iter().all(|value| *value == 0.0) {
        true => Ok(()),
        false => Err(input.config.unsupported(format!(
            "{} is not zero, and llama.cpp has no biases for this architecture",
            tensor.name
        ))),
    }
}

fn experts(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let is_expert = |name: &str| {
        let rest = name.strip_prefix("model.layers.")?.split_once(".mlp.experts.")?.1;
        let matrix = rest.strip_suffix(".weight")?.split_once('.')?.1;
        NAMES.matrices.contains(&matrix).then_some(())
    };
    if is_expert(&tensor.name).is_some() {
        let count = input.config.require_u32(&["num_experts"])?;
        return builder.add_expert(tensor, count, &NAMES);
    }
    without_biases(input, builder, tensor)
}
