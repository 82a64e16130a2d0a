//! Bailing 3, which is Ling 3: most layers have delta attention, the rest latent attention (`BailingMoeV3Model`,
//! `BailingMoeV3VLModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::NAMES;
use crate::arch::tensors::{Tensor, general_name};
use crate::arch::{Family, Input, Keys, Mtp, TEXT, keys, mtp, names};
use crate::config::{Config, Counts, truthy};
use crate::error::Result;
use crate::gguf::Value;
use crate::json::Value as Json;

use super::deepseek::split_latent;
use super::kimi_linear::convolution;

pub(super) const BAILING_MOE3: Family = Family {
    names: &["BailingMoeV3ForCausalLM"],
    arch: "bailingmoe3",
    tensors: names::BAILINGMOE3,
    mtp: true,
    layers: mtp::layers,
    keys: key_values,
    rename,
    emit,
    ..TEXT
};

pub(super) const BAILING_MOE3_VL: Family = Family {
    names: &["BailingMoeV3VLForConditionalGeneration"],
    keys: |input, keys| {
        key_values(input, keys)?;
        keys.set("rope.dimension_sections", Value::I32s(sections(input.config)?));
        Ok(())
    },
    rename: |input, name| if name.starts_with("linear_proj") { None } else { rename(input, name) },
    ..BAILING_MOE3
};

/// What a file of prediction layers alone holds besides.
const SHARED: [&str; 3] = ["model.word_embeddings.weight", "model.norm.weight", "lm_head.weight"];

fn rename(input: &Input, name: &str) -> Option<String> {
    let name = if name.ends_with(".expert_bias") { format!("{name}.bias") } else { name.to_owned() };
    let kept = match input.options.mtp {
        Mtp::Keep => true,
        Mtp::Drop => !mtp::predicts(input, &name),
        Mtp::Only => mtp::predicts(input, &name) || SHARED.contains(&general_name(&name).as_str()),
    };
    kept.then_some(name)
}

/// Which layers have latent attention: the last of each group, and those after the last whole group.
fn attends(config: &Config, layer: u64) -> Result<bool> {
    let count = u64::from(config.require_u32(&["num_hidden_layers"])?);
    let group = u64::from(config.require_u32(&["layer_group_size"])?);
    let groups =
        count.checked_div(group).ok_or_else(|| config.invalid("layer_group_size: expected at least 1"))?;
    Ok(layer >= count || (layer + 1).is_multiple_of(group) || layer >= groups * group)
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    let is = |key: &str| config.map().get(key).is_some_and(truthy);
    let gates = config.map().get("gated_attention_proj_granularity_type").and_then(Json::as_str);
    for (holds, what) in [
        (is("no_kda_lora"), "no_kda_lora is not true"),
        (is("kda_safe_gate"), "kda_safe_gate is not true"),
        (gates == Some("head_wise"), "gated_attention_proj_granularity_type is not \"head_wise\""),
    ] {
        if !holds {
            return Err(config.unsupported(what));
        }
    }
    keys::common_of(input, &config.replaced("num_key_value_heads", 1), keys)?;
    let heads = (0..input.layers).map(|layer| attends(config, layer.into()).map(i32::from));
    keys.set("attention.head_count_kv", Value::I32s(heads.collect::<Result<_>>()?));
    keys.set_u32("vocab_size", get("vocab_size")?);
    keys.set_u32("ssm.conv_kernel", get("short_conv_kernel_size")?);
    keys.set_u32("kda.head_dim", get("head_dim")?);
    keys.set_bool("kda.safe_gate", config.flag("kda_safe_gate")?);
    keys.set_f32("kda.gate_lower_bound", Some(config.require_f32(&["kda_lower_bound"])?));
    let (rank, rotated) =
        (config.require_u32(&["kv_lora_rank"])?, config.require_u32(&["qk_rope_head_dim"])?);
    let sum =
        |a: u32| a.checked_add(rotated).ok_or_else(|| config.invalid("qk_rope_head_dim is absurd")).map(Some);
    keys.set_u32("attention.q_lora_rank", config.u32(&["q_lora_rank"])?);
    keys.set_u32("attention.kv_lora_rank", Some(rank));
    keys.set_u32("rope.dimension_count", Some(rotated));
    keys.set_u32("attention.key_length", sum(rank)?);
    keys.set_u32("attention.key_length_mla", sum(config.require_u32(&["qk_nope_head_dim"])?)?);
    keys.set_u32("attention.value_length_mla", get("v_head_dim")?);
    keys.set_u32("expert_feed_forward_length", get("moe_intermediate_size")?);
    keys.set_u32("expert_shared_feed_forward_length", get("moe_shared_expert_intermediate_size")?);
    let shared =
        if config.map().contains_key("num_shared_experts") { get("num_shared_experts")? } else { Some(1) };
    keys.set_u32("expert_shared_count", shared);
    keys.set_u32("leading_dense_block_count", get("first_k_dense_replace")?);
    keys.set_f32("expert_weights_scale", Some(config.require_f32(&["routed_scaling_factor"])?));
    keys.set_bool("expert_weights_norm", config.flag("norm_topk_prob")?);
    limits(input, keys, "swiglu_clamp_exp", "expert_swiglu_limit_list")?;
    limits(input, keys, "swiglu_clamp_shexp", "share_expert_swiglu_limit_list")?;
    let more = keys::nonzero(config, &["num_nextn_predict_layers"])?;
    keys.set_u32("nextn_predict_layers", more.filter(|_| input.options.mtp != Mtp::Drop));
    Ok(())
}

/// How far activations may go in each layer; 0 is no limit.
#[allow(clippy::cast_possible_truncation)]
fn limits(input: &Input, keys: &mut Keys, key: &str, setting: &str) -> Result<()> {
    let config = input.config;
    let Some((_, given)) = config.get(&[setting]) else { return Ok(()) };
    let number =
        |limit: &Json| if limit.is_null() { Some(0.0) } else { limit.as_f64().map(|limit| limit as f32) };
    let given = given.as_array().and_then(|list| list.iter().map(number).collect::<Option<Vec<_>>>());
    let mut limits = given.ok_or_else(|| config.invalid(format!("{setting}: expected a list of numbers")))?;
    limits.resize(input.layers as usize, 0.0);
    keys.set(key, Value::F32s(limits));
    Ok(())
}

fn sections(config: &Config) -> Result<Vec<i32>> {
    const KEY: &str = "mrope_section";
    let Some(Counts::Each(mut sections)) = config.u32_or_list(&[KEY])? else {
        return Err(config.invalid(format!("{KEY}: expected a list of integers")));
    };
    sections.truncate(3);
    let sum: i64 = sections.iter().map(|section| i64::from(*section)).sum();
    let rotated = config.require_u32(&["qk_rope_head_dim"])?;
    if sum * 2 != i64::from(rotated) {
        let problem =
            format!("{KEY}: expected pairs of {rotated} dimensions (qk_rope_head_dim), found {sum}");
        return Err(config.invalid(problem));
    }
    sections.push(0);
    Ok(sections)
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let config = input.config;
    let layer = tensor.layer.unwrap_or(0);
    tensor = convolution(tensor)?;
    if tensor.name.ends_with(".A_log") {
        let elements = tensor.expr.elements();
        tensor.expr = tensor.expr.exp().reshape(&[elements, 1])?;
    } else if let Some(module) = tensor.name.strip_suffix(".dt_bias") {
        tensor.name = format!("{module}.dt_proj.bias");
    } else if tensor.name.ends_with(".attention.f_proj.weight") {
        if attends(config, layer)? {
            return Err(builder.invalid(format!("{}: layer {layer} has latent attention", tensor.name)));
        }
        tensor.name = format!("blk.{layer}.ssm_f_a.weight");
    } else if tensor.name.ends_with(".attention.g_proj.weight") {
        let kind = if attends(config, layer)? { "attn_gate" } else { "ssm_g_a" };
        tensor.name = format!("blk.{layer}.{kind}.weight");
    } else if tensor.name.contains(".mlp.experts.") {
        return builder.add_expert(tensor, config.require_u32(&["num_experts"])?, &NAMES);
    } else if tensor.name.ends_with(".attention.kv_b_proj.weight") {
        let size = |key: &str| config.require_u32(&[key]).map(u64::from);
        // By the name most models have.
        tensor.name = format!("model.layers.{layer}.self_attn.kv_b_proj.weight");
        let (heads, keys) = (size("num_attention_heads")?, size("qk_nope_head_dim")?);
        return split_latent(builder, tensor, heads, keys, size("v_head_dim")?);
    }
    builder.add(tensor)
}
