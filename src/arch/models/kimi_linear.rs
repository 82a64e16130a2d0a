//! Kimi Linear: most layers have delta attention, the rest latent attention (`KimiLinearModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::ExpertNames;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, keys, names};
use crate::config::Config;
use crate::error::Result;
use crate::gguf::{KeyValues, Value};
use crate::json::{Object, Value as Json};
use crate::vocab::{self, TokenizerFiles};

use super::deepseek::{DEEPSEEK2, KIMI_SPECIAL, split_latent};

pub(super) const KIMI_LINEAR: Family = Family {
    names: &["KimiLinearForCausalLM", "KimiLinearModel"],
    arch: "kimi-linear",
    vocab: |kv, files, config| vocab(kv, files, config, KIMI_SPECIAL),
    tensors: names::KIMI_LINEAR,
    variant: |_| Ok(None),
    keys: key_values,
    rename: |_, name| Some(name.to_owned()),
    emit,
    ..DEEPSEEK2
};

pub(super) const EXPERTS: ExpertNames = ExpertNames {
    one: "model.layers.{bid}.block_sparse_moe.experts.{xid}.{matrix}.weight",
    stack: "model.layers.{bid}.block_sparse_moe.experts.{matrix}.weight",
    matrices: &["w1", "w2", "w3"],
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    let linear = first_keys(input, keys)?;
    keys.set_u32("ssm.conv_kernel", linear.u32(&["short_conv_kernel_size"])?);
    keys.set_u32("kda.head_dim", linear.u32(&["head_dim"])?);
    keys.set_u32("attention.q_lora_rank", config.u32(&["q_lora_rank", "n_lora_q"])?);
    let rank = config.require_u32(&["kv_lora_rank", "n_lora_kv"])?;
    let rotated = config.require_u32(&["qk_rope_head_dim", "n_rot"])?;
    let sum = |a: u32| a.checked_add(rotated).ok_or_else(|| config.invalid("qk_rope_head_dim is absurd"));
    keys.set_u32("attention.kv_lora_rank", Some(rank));
    keys.set_u32("rope.dimension_count", Some(rotated));
    keys.set_u32("attention.key_length", Some(sum(rank)?));
    let both = match config.u32(&["n_embd_head_k_mla"])? {
        Some(both) => Some(both),
        None => config.u32(&["qk_nope_head_dim"])?.map(sum).transpose()?,
    };
    keys.set_u32("attention.key_length_mla", both);
    keys.set_u32(
        "attention.value_length_mla",
        config.u32(&["n_embd_head_v_mla"])?.or(config.u32(&["v_head_dim"])?),
    );
    keys.set_u32("expert_feed_forward_length", get("moe_intermediate_size")?);
    keys.set_u32("expert_shared_count", get("num_shared_experts")?);
    keys.set_u32("leading_dense_block_count", get("first_k_dense_replace")?);
    keys.set_f32("expert_weights_scale", Some(config.require_f32(&["routed_scaling_factor"])?));
    Ok(())
}

/// The first key-values: what all models have, and which layers have keys of the usual kind. Answers the settings of delta
/// attention.
pub(super) fn first_keys(input: &Input, keys: &mut Keys) -> Result<Config> {
    let config = input.config;
    keys::common_of(input, &config.replaced("num_key_value_heads", 1), keys)?;
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    let linear = config.section("linear_attn_config")?;
    let full = full_layers(&linear)?;
    let attends = |layer: u32| full.iter().any(|at| at.as_u64() == Some(u64::from(layer)));
    // Of the number that the reference reads here, whatever else the layers are counted by.
    let layers = keys::bounded_layers(config, config.require_u32(&["num_hidden_layers"])?.into())?;
    let heads = (1..=layers).map(|layer| i32::from(attends(layer))).collect();
    keys.set("attention.head_count_kv", Value::I32s(heads));
    Ok(linear)
}

/// The layers with attention of the usual kind, counted from one.
pub(super) fn full_layers(linear: &Config) -> Result<&[Json]> {
    let full = linear.map().get("full_attn_layers").and_then(Json::as_array);
    full.map(Vec::as_slice).ok_or_else(|| linear.invalid("full_attn_layers: expected a list"))
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    tensor = convolution(tensor)?;
    if tensor.name.ends_with(".A_log") {
        tensor.expr = tensor.expr.neg_exp();
    }
    if let Some(module) = tensor.name.strip_suffix(".dt_bias") {
        tensor.name = format!("{module}.dt_proj.bias");
    }
    if tensor.name.contains("block_sparse_moe.experts") {
        let count = input.config.require_u32(&["num_local_experts", "num_experts"])?;
        return builder.add_expert(tensor, count, &EXPERTS);
    }
    if tensor.name.ends_with("kv_b_proj.weight") {
        let size = |keys: &[&str]| input.config.require_u32(keys).map(u64::from);
        let values = size(&["n_embd_head_v_mla", "v_head_dim"])?;
        return split_latent(
            builder,
            tensor,
            size(&["num_key_value_heads"])?,
            size(&["qk_nope_head_dim"])?,
            values,
        );
    }
    builder.add(tensor)
}

/// Convolutions with the axes that llama.cpp has besides: one for each sequence, one between channels and steps.
pub(super) fn convolution(mut tensor: Tensor) -> Result<Tensor> {
    if ["q", "k", "v"].iter().any(|kind| tensor.name.ends_with(&format!(".{kind}_conv1d.weight")))
        && let [inner, steps] | [inner, _, steps] = *tensor.expr.shape()
    {
        tensor.expr = tensor.expr.reshape(&[1, inner, 1, steps])?;
    }
    Ok(tensor)
}

/// Kimi's tiktoken with so many special tokens, whose end counts for more than that of the configuration; or BPE.
pub(super) fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object, special: u32) -> Result<()> {
    match vocab::kimi(kv, files, config, special)? {
        Some(end) => {
            kv.set_u32("tokenizer.ggml.eos_token_id", end);
            Ok(())
        }
        None => vocab::gpt2(kv, files, config),
    }
}
