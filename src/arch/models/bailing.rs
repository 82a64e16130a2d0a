//! Bailing, which is Ling and Ring, up to version 2, and Sarvam (`BailingMoeModel`, `BailingMoeV2Model`, `SarvamMoEModel`
//! of the reference).

use half::bf16;

use crate::arch::builder::Builder;
use crate::arch::experts::NAMES;
use crate::arch::tensors::{self, Tensor};
use crate::arch::{Family, Input, Keys, TEXT, contents, keys, names, rope};
use crate::config::truthy;
use crate::dtype::Dtype;
use crate::error::Result;
use crate::tensor::{Arithmetic, TensorExpr};

use super::llama::interleave_rotary;

pub(super) const BAILING_MOE: Family = Family {
    names: &["BailingMoeForCausalLM"],
    arch: "bailingmoe",
    tensors: names::BAILINGMOE,
    keys: first_keys,
    emit: first,
    ..TEXT
};

pub(super) const BAILING_MOE2: Family = Family {
    names: &["BailingMoeV2ForCausalLM"],
    arch: "bailingmoe2",
    tensors: names::BAILINGMOE2,
    layers: |config, _, _| keys::layers_and_more(config, config.u32(&PREDICT)?.unwrap_or(0)),
    keys: second_keys,
    rename: |_, name| {
        let bias = name.ends_with(".expert_bias");
        Some(if bias { name.replace(".expert_bias", ".expert_bias.bias") } else { name.to_owned() })
    },
    emit: |input, builder, tensor| {
        if tensor.name.contains("mlp.experts") {
            return builder.add_expert(tensor, input.config.require_u32(&EXPERTS)?, &NAMES);
        }
        builder.add(tensor)
    },
    ..TEXT
};

pub(super) const SARVAM_MOE: Family = Family {
    names: &["SarvamMoEForCausalLM", "modeling_sarvam_moe.SarvamMoEForCausalLM"],
    keys: |input, keys| {
        second_keys(input, keys)?;
        keys.set_u32("rope.dimension_count", Some(rope::dimension_count(input)?));
        Ok(())
    },
    emit: |input, builder, mut tensor| {
        if tensor.name.ends_with(".expert_bias.bias") {
            let mean = contents::mean(input.checkpoint, &tensor.name, &tensor.expr)?;
            tensor.expr = match tensors::source(input.checkpoint, &tensor.expr).map(|source| source.dtype) {
                Some(Dtype::BF16) => {
                    let mean = bf16::from_f32(mean).to_f32();
                    tensor.expr.plus(-mean).computed(&Arithmetic::Round(Dtype::BF16))
                }
                _ => tensor.expr.plus(-mean),
            };
        }
        (BAILING_MOE2.emit)(input, builder, tensor)
    },
    ..BAILING_MOE2
};

const PREDICT: [&str; 1] = ["num_nextn_predict_layers"];
const EXPERTS: [&str; 2] = ["num_local_experts", "num_experts"];

fn first_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.set_u32("rope.dimension_count", Some(rope::dimension_count(input)?));
    keys.set_u32("leading_dense_block_count", get("first_k_dense_replace")?);
    keys.set_u32("vocab_size", get("vocab_size")?);
    keys.set_u32("expert_feed_forward_length", get("moe_intermediate_size")?);
    keys.set_f32("expert_weights_scale", Some(1.0));
    keys.set_u32("expert_shared_count", get("num_shared_experts")?);
    keys.set_bool("expert_weights_norm", config.flag("norm_topk_prob")?);
    Ok(())
}

fn second_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    let rotated = keys::rotated(input, rope::dimension_count(input)?, 0.5)?;
    let length = config.require_u32(&["moe_intermediate_size"])?;
    let shared = config.require_u32(&["num_shared_experts"])?;
    let both = keys::times(config, shared, length)?;
    keys.set_u32("rope.dimension_count", Some(rotated));
    keys.set_u32("leading_dense_block_count", get("first_k_dense_replace")?);
    keys.set_u32("vocab_size", get("vocab_size")?);
    keys.set_u32("expert_feed_forward_length", Some(length));
    let own = config.u32(&["moe_shared_expert_intermediate_size"])?;
    keys.set_u32("expert_shared_feed_forward_length", Some(own.unwrap_or(both)));
    keys.set_f32("expert_weights_scale", Some(config.require_f32(&["routed_scaling_factor"])?));
    keys.set_u32("expert_shared_count", Some(shared));
    keys.set_bool("expert_weights_norm", config.flag("norm_topk_prob")?);
    keys.set_u32("nextn_predict_layers", config.u32(&PREDICT)?);
    Ok(())
}

fn first(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let config = input.config;
    let layer = tensor.layer.unwrap_or(0);
    if tensor.name.ends_with("attention.dense.weight") {
        return builder.add(Tensor { name: format!("blk.{layer}.attn_output.weight"), ..tensor });
    }
    if tensor.name.ends_with("query_key_value.weight") {
        return queries_and_keys(input, builder, &tensor, layer);
    }
    if tensor.name.contains("mlp.experts") {
        return builder.add_expert(tensor, config.require_u32(&EXPERTS)?, &NAMES);
    }
    if builder.resolve(&tensor.name)? == "output.weight" && config.map().get("norm_head").is_some_and(truthy)
    {
        let problem = "norm_head, whose last bits depend on the machine that normalizes the output matrix";
        return Err(config.unsupported(problem));
    }
    builder.add(tensor)
}

fn queries_and_keys(input: &Input, builder: &mut Builder, tensor: &Tensor, layer: u64) -> Result<()> {
    let config = input.config;
    let heads = config.require_u32(&["num_attention_heads"])?;
    let kv_heads = config.require_u32(&["num_key_value_heads"])?;
    let size = u64::from(rope::dimension_count(input)?);
    let [queries, keys] = [heads, kv_heads].map(|heads| u64::from(heads) * size);
    if tensor.expr.shape().first() != Some(&(queries + 2 * keys)) {
        let problem = format!(
            "{}: expected {queries} + 2 × {keys} rows, found shape {:?}",
            tensor.name,
            tensor.expr.shape()
        );
        return Err(builder.invalid(problem));
    }
    let rotated = |expr: TensorExpr, heads| {
        interleave_rotary(&tensor.name, expr, heads).map_err(|problem| builder.invalid(problem))
    };
    let rows = |from, to| tensor.expr.clone().rows(from, to);
    let parts = [
        ("attn_q", rotated(rows(0, queries)?, heads)?),
        ("attn_k", rotated(rows(queries, queries + keys)?, kv_heads)?),
        ("attn_v", rows(queries + keys, queries + 2 * keys)?),
    ];
    for (name, expr) in parts {
        builder.add(Tensor { name: format!("blk.{layer}.{name}.weight"), layer: tensor.layer, expr })?;
    }
    Ok(())
}
