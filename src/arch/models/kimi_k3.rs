//! Kimi K3: Kimi Linear with residuals across layers, experts of a width of their own, and those in MXFP4 (`KimiK3Model` of
//! the reference).

use std::collections::BTreeMap;

use crate::arch::builder::Builder;
use crate::arch::mxfp4::{self, Pair};
use crate::arch::tensors::{Tensor, is_decimal};
use crate::arch::{Family, FileType, Input, Keys, keys, names};
use crate::config::truthy;
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::input::quoted;
use crate::json::Object;
use crate::tensor::{GridAxis, Scale};
use crate::vocab::{SpecialVocab, TokenizerFiles};

use super::deepseek::split_latent;
use super::kimi_linear::{self, EXPERTS, KIMI_LINEAR, convolution};

pub(super) const KIMI_K3: Family = Family {
    names: &["KimiK3ForConditionalGeneration"],
    arch: "kimi-k3",
    vocab,
    tensors: names::KIMI_K3,
    keys: key_values,
    dequantize: |input| Ok(is_packed(input) && only_experts(input)?),
    file_type: |input| Ok(is_packed(input).then_some(FileType::Mxfp4Moe)),
    generate: |input, builder| match is_packed(input) {
        true => add_packed(input, builder),
        false => Ok(()),
    },
    emit,
    ..KIMI_LINEAR
};

/// How many special tokens its code makes.
const SPECIAL: u32 = 256;

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]);
    let linear = kimi_linear::first_keys(input, keys)?;
    keys.set_u32("ssm.conv_kernel", Some(linear.require_u32(&["short_conv_kernel_size"])?));
    keys.set_u32("kda.head_dim", Some(linear.require_u32(&["head_dim"])?));
    keys.set_f32("kda.gate_lower_bound", linear.f32(&["gate_lower_bound"])?);
    keys.set_u32("attention.q_lora_rank", config.u32(&["q_lora_rank"])?);
    let (rank, rotated) = (get("kv_lora_rank")?, get("qk_rope_head_dim")?);
    let sum = |a: u32| a.checked_add(rotated).ok_or_else(|| config.invalid("qk_rope_head_dim is absurd"));
    keys.set_u32("attention.kv_lora_rank", Some(rank));
    if !config.map().get("mla_use_nope").is_some_and(truthy) {
        return Err(config.unsupported("latent attention with positions (mla_use_nope)"));
    }
    keys.set_u32("rope.dimension_count", Some(rotated));
    keys.set_u32("attention.key_length", Some(sum(rank)?));
    keys.set_u32("attention.value_length", Some(rank));
    keys.set_u32("attention.key_length_mla", Some(sum(get("qk_nope_head_dim")?)?));
    keys.set_u32("attention.value_length_mla", Some(get("v_head_dim")?));
    keys.set_u32("expert_feed_forward_length", Some(get("moe_intermediate_size")?));
    keys.set_u32("expert_shared_count", Some(get("num_shared_experts")?));
    keys.set_u32("leading_dense_block_count", Some(get("first_k_dense_replace")?));
    keys.set_f32("expert_weights_scale", Some(config.require_f32(&["routed_scaling_factor"])?));
    let norm = config.flag("moe_renormalize")?.ok_or_else(|| config.invalid("moe_renormalize is missing"))?;
    keys.set_bool("expert_weights_norm", Some(norm));
    for (key, expected) in [("moe_router_activation_func", "sigmoid"), ("hidden_act", "situ")] {
        if config.str(&[key])? != Some(expected) {
            return Err(config.unsupported(format!("{key} is not {}", quoted(expected))));
        }
    }
    keys.set_u32("expert_gating_func", Some(keys::SIGMOID));
    keys.set_u32("expert_latent_length", config.u32(&["routed_expert_hidden_size"])?);
    keys.set_f32("activation.situ_beta", Some(config.require_f32(&["activation_situ_beta"])?));
    keys.set_f32("activation.situ_linear_beta", Some(config.require_f32(&["activation_situ_linear_beta"])?));
    keys.set_u32("attn_res.block_size", Some(get("attn_res_block_size")?));
    Ok(())
}

/// Whether experts are stored in MXFP4 by compressed-tensors. Asked for each of half a million tensors.
fn is_packed(input: &Input) -> bool {
    let is = |key: &str, expected: &str| {
        let config = input.config.get(&["quantization_config"]);
        config.and_then(|(_, config)| config.get(key)?.as_str()) == Some(expected)
    };
    is("quant_method", "compressed-tensors") && is("format", "mxfp4-pack-quantized")
}

/// Layer, expert and matrix of a tensor of codes.
fn codes(name: &str) -> Option<(u32, u32, &str)> {
    let rest = name.strip_prefix("model.layers.")?.strip_suffix(".weight_packed")?;
    let (layer, rest) = rest.split_once(".block_sparse_moe.experts.")?;
    let (expert, matrix) = rest.split_once('.')?;
    let number = |part: &str| part.parse().ok().filter(|_| is_decimal(part));
    Some((number(layer)?, number(expert)?, matrix)).filter(|_| ["w1", "w2", "w3"].contains(&matrix))
}

/// Makes sure that nothing but experts is packed.
fn only_experts(input: &Input) -> Result<bool> {
    let mut packed = input.tensors.keys().filter(|name| name.ends_with(".weight_packed"));
    match packed.find(|name| codes(name).is_none()) {
        None => Ok(true),
        Some(stray) => {
            let problem = format!("{}: matrices in MXFP4 that are of no expert", quoted(stray));
            Err(input.config.unsupported(problem))
        }
    }
}

fn add_packed(input: &Input, builder: &mut Builder) -> Result<()> {
    let count = input.config.require_u32(&["num_experts"])?;
    let mut found: BTreeMap<(u32, &str), u32> = BTreeMap::new();
    for (layer, _, matrix) in input.tensors.keys().filter_map(|name| codes(name)) {
        *found.entry((layer, matrix)).or_default() += 1;
    }
    for ((layer, matrix), found) in found {
        if found != count {
            return Err(
                builder.invalid(format!("layer {layer}, {matrix}: expected {count} experts, found {found}"))
            );
        }
        let pairs = (0..count).map(|expert| {
            let name = |kind: &str| {
                format!("model.layers.{layer}.block_sparse_moe.experts.{expert}.{matrix}.weight_{kind}")
            };
            Pair { codes: name("packed"), scales: name("scale") }
        });
        let kind = match matrix {
            "w1" => "gate",
            "w2" => "down",
            _ => "up",
        };
        let stacked = mxfp4::stack(input, pairs)?;
        builder.add_typed(format!("blk.{layer}.ffn_{kind}_exps.weight"), stacked, GgmlType::MXFP4)?;
    }
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let packed = tensor.name.strip_suffix("_scale").map(|stem| format!("{stem}_packed"));
    if is_packed(input) && codes(packed.as_ref().unwrap_or(&tensor.name)).is_some() {
        return Ok(());
    }
    if let Some((module, whole)) = residual(&tensor) {
        return add_residual(builder, tensor, &module, whole);
    }
    let heads = u64::from(input.config.require_u32(&["num_attention_heads"])?);
    tensor = convolution(tensor)?;
    if tensor.name.ends_with(".A_log") {
        let found = tensor.expr.shape().first().copied().unwrap_or(1);
        tensor.expr = tensor.expr.widen().neg_exp().rows(0, heads.min(found))?;
    }
    if let Some(module) = tensor.name.strip_suffix(".dt_bias") {
        tensor.name = format!("{module}.dt_proj.bias");
    }
    if let (true, Some(layer)) = (tensor.name.ends_with(".self_attn.g_proj.weight"), tensor.layer) {
        let linear = input.config.section("linear_attn_config")?;
        let attends = kimi_linear::full_layers(&linear)?.iter().any(|at| at.as_u64() == layer.checked_add(1));
        let gate = if attends { "attn_gate" } else { "ssm_g" };
        return builder.add_as(format!("blk.{layer}.{gate}.weight"), tensor.layer, tensor.expr);
    }
    if tensor.name.contains(".block_sparse_moe.experts.") {
        return builder.add_expert(tensor, input.config.require_u32(&["num_experts"])?, &EXPERTS);
    }
    if tensor.name.ends_with("kv_b_proj.weight") {
        let size = |key: &str| input.config.require_u32(&[key]).map(u64::from);
        let (keys, values) = (size("qk_nope_head_dim")?, size("v_head_dim")?);
        return split_latent(builder, tensor, size("num_key_value_heads")?, keys, values);
    }
    builder.add(tensor)
}

/// The module that weighs what earlier layers gave, if a tensor is one of its two, and the name of their product.
fn residual(tensor: &Tensor) -> Option<(String, String)> {
    let stem = ["_norm.weight", "_proj.weight"].iter().find_map(|end| tensor.name.strip_suffix(end))?;
    let of_layer = |name: &str| Some(format!("blk.{}.{name}.weight", tensor.layer?));
    let whole = if stem.ends_with("self_attention_res") {
        of_layer("attn_res_score")?
    } else if stem.ends_with("mlp_res") {
        of_layer("ffn_res_score")?
    } else {
        stem.ends_with("output_attn_res").then(|| "output_res_score.weight".to_owned())?
    };
    Some((stem.to_owned(), whole))
}

/// Adds the product of norm and projection, of which nothing else is used, once both are there.
fn add_residual(builder: &mut Builder, tensor: Tensor, module: &str, whole: String) -> Result<()> {
    let (name, layer) = (tensor.name.clone(), tensor.layer);
    let parts = ["norm", "proj"].map(|part| format!("{module}_{part}.weight"));
    let Some(parts) = builder.gather(&whole, tensor, &parts) else { return Ok(()) };
    let [norm, projection] = parts.as_slice() else { return Ok(()) };
    let count = norm.elements();
    let (Some(_), Some(source), true) =
        (norm.whole_source(), projection.whole_source(), projection.elements() == count)
    else {
        return Err(builder
            .invalid(format!("{name}: expected as many weights as of its partner, as they were trained")));
    };
    let scale = Scale::of(source, vec![GridAxis { len: count, block: 1, stride: 1 }]);
    builder.add_as(whole, layer, norm.clone().scaled(scale).reshape(&[count])?)
}

/// Kimi Linear's, with the end of a turn that the configuration has, and a template for models without one.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    kimi_linear::vocab(kv, files, config, SPECIAL)?;
    if let Some(end) = config.get("eos_token_id").filter(|end| !end.is_null()) {
        let number = end.as_u64().and_then(|end| u32::try_from(end).ok());
        let problem =
            || Error::invalid(files.dir.join("config.json"), "eos_token_id: expected the number of a token");
        kv.set_u32("tokenizer.ggml.eos_token_id", number.ok_or_else(problem)?);
    }
    if SpecialVocab::load(files, false, &[], None)?.chat_template.is_none() {
        kv.set_string("tokenizer.chat_template", include_str!("../../vocab/templates/Kimi-K3.jinja"));
    }
    Ok(())
}
