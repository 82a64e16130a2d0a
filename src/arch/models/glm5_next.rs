//! GLM 5 Next: delta attention in most layers, latent attention with a pooled indexer in the rest, and hyper-connections
//! (`Glm5NextModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::NAMES;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, Mtp, keys, names};
use crate::config::{Config, truthy};
use crate::dtype::GgmlType;
use crate::error::Result;
use crate::gguf::Value;
use crate::json::Value as Json;

use super::deepseek::{indexer_keys, split_latent};
use super::glm::GLM4_MOE;
use super::kimi_linear::convolution;

pub(super) const GLM5_NEXT: Family = Family {
    names: &["Glm5NextForConditionalGeneration"],
    arch: "glm5-next",
    tensors: names::GLM5_NEXT,
    keys: key_values,
    emit,
    ggml_type: |_, _, name| {
        let exact = ["hc_attn_", "hc_ffn_", "indexer_compressor_", "ssm_a", "ssm_dt", "exp_probs_b"];
        let place = name.starts_with("blk.") || name.starts_with("output_hc");
        (place && exact.iter().any(|part| name.contains(part))).then_some(GgmlType::F32)
    },
    ..GLM4_MOE
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = &input.config.replaced("head_dim", Json::Null);
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys::common_of(input, config, keys)?;
    let kinds = config.strings("layer_types")?.ok_or_else(|| config.invalid("layer_types is missing"))?;
    let count = config.require_u32(&["num_hidden_layers"])?;
    if kinds.len() != count as usize {
        return Err(config.invalid(format!("layer_types: expected {count} entries, found {}", kinds.len())));
    }
    let mut heads: Vec<i32> = kinds.iter().map(|kind| i32::from(*kind != "linear_attention")).collect();
    heads.resize(input.layers as usize, 1);
    keys.set("attention.head_count_kv", Value::I32s(heads));
    keys.set_u32("vocab_size", get("vocab_size")?);
    keys.set_f32("attention.layer_norm_epsilon", Some(1e-6));
    let more = keys::nonzero(config, &["num_nextn_predict_layers"])?;
    keys.set_u32("nextn_predict_layers", more.filter(|_| input.options.mtp != Mtp::Drop));
    let linear = config.section("linear_attn_config")?;
    if linear.require_u32(&["num_heads"])? != config.require_u32(&["num_attention_heads"])? {
        return Err(config.unsupported("linear_attn_config.num_heads is not num_attention_heads"));
    }
    keys.set_u32("ssm.conv_kernel", Some(linear.require_u32(&["short_conv_kernel_size"])?));
    keys.set_u32("kda.head_dim", Some(linear.require_u32(&["head_dim"])?));
    keys.set_f32("kda.gate_lower_bound", linear.f32(&["gate_lower_bound"])?);
    if !config.map().get("mla_use_nope").is_some_and(truthy) || get("qk_rope_head_dim")? != Some(0) {
        return Err(config.unsupported("latent attention with positions: mla_use_nope, qk_rope_head_dim"));
    }
    for (key, setting) in [
        ("attention.q_lora_rank", "q_lora_rank"),
        ("attention.kv_lora_rank", "kv_lora_rank"),
        ("rope.dimension_count", "qk_rope_head_dim"),
        ("attention.key_length", "kv_lora_rank"),
        ("attention.value_length", "kv_lora_rank"),
        ("attention.key_length_mla", "qk_nope_head_dim"),
        ("attention.value_length_mla", "v_head_dim"),
    ] {
        keys.set_u32(key, get(setting)?);
    }
    indexer_keys(config, keys)?;
    keys.set_u32("attention.indexer.kpool", get("index_kpool")?);
    let tail = config.bool(&["index_kpool_always_select_tail"])?.unwrap_or(true);
    keys.set_bool("attention.indexer.kpool_select_tail", Some(tail));
    if let Some(kinds) = config.strings("indexer_types")? {
        keys.set_bools("attention.indexer.types", kinds.iter().map(|kind| *kind == "full").collect());
    }
    if config.map().get("mhc").is_some_and(|value| !truthy(value)) {
        return Err(config.unsupported("mhc is not true"));
    }
    keys.set_u32("hyper_connection.count", get("hc_mult")?);
    keys.set_u32("hyper_connection.sinkhorn_iterations", get("hc_sinkhorn_iters")?);
    keys.set_f32("hyper_connection.epsilon", Some(config.require_f32(&["hc_eps"])?));
    feed_forward(input, config, keys)
}

/// Keys of dense layers and of experts.
fn feed_forward(input: &Input, config: &Config, keys: &mut Keys) -> Result<()> {
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.set_u32("leading_dense_block_count", get("first_k_dense_replace")?);
    keys.set_u32("expert_feed_forward_length", get("moe_intermediate_size")?);
    keys.set_u32("expert_shared_count", get("n_shared_experts")?);
    keys.set_f32("expert_weights_scale", Some(config.require_f32(&["routed_scaling_factor"])?));
    keys.set_bool("expert_weights_norm", config.flag("norm_topk_prob")?);
    if let Some(limit) = config.f32(&["swiglu_limit"])? {
        let limits = vec![limit; input.layers as usize];
        keys.set("swiglu_clamp_exp", Value::F32s(limits.clone()));
        keys.set("swiglu_clamp_shexp", Value::F32s(limits));
    }
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let config = input.config;
    let size = |key: &str| config.require_u32(&[key]).map(u64::from);
    if tensor.name == "lm_head.weight" && config.map().get("tie_word_embeddings").is_some_and(truthy) {
        return Ok(());
    }
    if tensor.name.contains(".mlp.experts.") {
        return builder.add_expert(tensor, config.require_u32(&["n_routed_experts"])?, &NAMES);
    }
    if tensor.name.ends_with("kv_b_proj.weight") {
        let (heads, keys) = (size("num_attention_heads")?, size("qk_nope_head_dim")?);
        return split_latent(builder, tensor, heads, keys, size("v_head_dim")?);
    }
    tensor = convolution(tensor)?;
    if tensor.name.ends_with(".A_log") {
        let (heads, elements) = (size("num_attention_heads")?, tensor.expr.elements());
        tensor.expr = tensor.expr.widen().reshape(&[elements])?.rows(0, heads.min(elements))?.neg_exp();
    }
    if let Some(module) = tensor.name.strip_suffix(".dt_bias") {
        tensor.name = format!("{module}.dt_proj.bias");
    }
    let exact = ["hc_attn_fn", "hc_attn_base", "hc_attn_scale", "hc_ffn_fn", "hc_ffn_base", "hc_ffn_scale"];
    let pooled = ["index_kpool_compress_ape", "index_kpool_compress_gate"];
    if exact.iter().chain(&pooled).any(|part| tensor.name.ends_with(&format!(".{part}"))) {
        let name = builder.resolve(&tensor.name)? + ".weight";
        return builder.add_as(name, tensor.layer, tensor.expr);
    }
    builder.add(tensor)
}
