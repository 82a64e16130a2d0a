//! DeepSeek V4: attention to compressed keys, hyper-connections, experts in MXFP4, and tokens that are routed by a table
//! (`DeepseekV4Model` of the reference). Its drafts are in `deepseek4_draft.rs`.

use std::borrow::Cow;

use crate::arch::builder::Builder;
use crate::arch::mxfp4::{self, Pair};
use crate::arch::tensors::{self, Tensor};
use crate::arch::{Family, FileType, Input, Keys, Mtp, TEXT, keys, names};
use crate::config::{Config, Counts};
use crate::dtype::{Dtype, GgmlType};
use crate::error::{Error, Result};
use crate::gguf::Value;
use crate::input::quoted;
use crate::tensor::{Arithmetic, Leaf, Scale, TensorExpr};

pub(super) const DEEPSEEK4: Family = Family {
    names: &["DeepseekV4ForCausalLM"],
    arch: "deepseek4",
    tensors: names::DEEPSEEK4,
    mtp: true,
    settings: |config| with_raw(config).map(Cow::Owned),
    early: |input, keys| {
        keys.values.set_string("tokenizer.chat_template", template(input)?);
        Ok(())
    },
    layers: |config, options, _| {
        let more = if options.mtp == Mtp::Only { predicting(config)? } else { 0 };
        let own = config.require_u32(&["num_hidden_layers"])?;
        keys::bounded_layers(config, u64::from(own) + u64::from(more))
    },
    keys: |input, keys| {
        key_values(input, &compression(input)?, hashed(input)?, keys)?;
        let width = input.config.require_u32(&["hidden_size"])?;
        let width = keys::times(input.config, width, input.config.require_u32(&["hc_mult"])?)?;
        keys.set_u32("embedding_length_out", Some(width));
        let more = predicting(input.config)?;
        keys.set_u32("nextn_predict_layers", Some(more).filter(|more| *more > 0 && only_prediction(input)));
        Ok(())
    },
    rename,
    dequantize,
    file_type: |_| Ok(Some(FileType::Mxfp4Moe)),
    generate: |input, builder| {
        add_tables(input, builder)?;
        let first = if only_prediction(input) { own_layers(input)? } else { 0 };
        (first..input.layers).try_for_each(|layer| add_experts(input, builder, layer))?;
        (own_layers(input)?..input.layers).try_for_each(|layer| add_projection(input, builder, layer))
    },
    emit: |input, builder, tensor| {
        let layer = tensor.layer.unwrap_or(u64::MAX);
        let routed = tensor.name.ends_with(".ffn.gate.bias") && layer < u64::from(hashed(input)?);
        let joined = [E_PROJ, H_PROJ].iter().any(|part| tensor.name.ends_with(part));
        if routed || joined && layer >= own_layers(input)?.into() {
            return Ok(());
        }
        emit(input, builder, tensor, &[])
    },
    ggml_type,
    ..TEXT
};

/// Tensors by their names in the checkpoint and in the GGUF.
type Names = [(&'static str, &'static str)];

const ROOT: &Names = &[
    ("embed.weight", "token_embd.weight"),
    ("norm.weight", "output_norm.weight"),
    ("head.weight", "output.weight"),
    ("hc_head_fn", "output_hc_fn.weight"),
    ("hc_head_base", "output_hc_base.weight"),
    ("hc_head_scale", "output_hc_scale.weight"),
];

/// The same of a layer.
const LAYER: &Names = &[
    ("hc_attn_fn", "hc_attn_fn.weight"),
    ("hc_attn_base", "hc_attn_base.weight"),
    ("hc_attn_scale", "hc_attn_scale.weight"),
    ("hc_ffn_fn", "hc_ffn_fn.weight"),
    ("hc_ffn_base", "hc_ffn_base.weight"),
    ("hc_ffn_scale", "hc_ffn_scale.weight"),
    ("attn.attn_sink", "attn_sinks.weight"),
    ("attn.wq_a.weight", "attn_q_a.weight"),
    ("attn.wq_b.weight", "attn_q_b.weight"),
    ("attn.q_norm.weight", "attn_q_a_norm.weight"),
    ("attn.wkv.weight", "attn_kv.weight"),
    ("attn.kv_norm.weight", "attn_kv_a_norm.weight"),
    ("attn.wo_a.weight", "attn_output_a.weight"),
    ("attn.wo_b.weight", "attn_output_b.weight"),
    ("attn.compressor.ape", "attn_compressor_ape.weight"),
    ("attn.compressor.wkv.weight", "attn_compressor_kv.weight"),
    ("attn.compressor.wgate.weight", "attn_compressor_gate.weight"),
    ("attn.compressor.norm.weight", "attn_compressor_norm.weight"),
    ("attn.indexer.wq_b.weight", "indexer.attn_q_b.weight"),
    ("attn.indexer.weights_proj.weight", "indexer.proj.weight"),
    ("attn.indexer.compressor.ape", "indexer_compressor_ape.weight"),
    ("attn.indexer.compressor.wkv.weight", "indexer_compressor_kv.weight"),
    ("attn.indexer.compressor.wgate.weight", "indexer_compressor_gate.weight"),
    ("attn.indexer.compressor.norm.weight", "indexer_compressor_norm.weight"),
    ("attn_norm.weight", "attn_norm.weight"),
    ("ffn_norm.weight", "ffn_norm.weight"),
    ("ffn.gate.weight", "ffn_gate_inp.weight"),
    ("ffn.gate.bias", "exp_probs_b.bias"),
    ("ffn.gate.bias_vl", "exp_probs_b_vl.bias"),
    ("ffn.shared_experts.w1.weight", "ffn_gate_shexp.weight"),
    ("ffn.shared_experts.w2.weight", "ffn_down_shexp.weight"),
    ("ffn.shared_experts.w3.weight", "ffn_up_shexp.weight"),
    ("nextn.eh_proj.weight", "nextn.eh_proj.weight"),
    ("nextn.enorm.weight", "nextn.enorm.weight"),
    ("nextn.hnorm.weight", "nextn.hnorm.weight"),
    ("nextn.shared_head_norm.weight", "nextn.shared_head_norm.weight"),
    ("nextn.embed_tokens.weight", "nextn.embed_tokens.weight"),
    ("nextn.shared_head_head.weight", "nextn.shared_head_head.weight"),
];

const E_PROJ: &str = ".nextn.e_proj.weight";
const H_PROJ: &str = ".nextn.h_proj.weight";
const TABLE: &str = ".ffn.gate.tid2eid";

/// The settings of the class, and of the file those that the class does not keep.
pub(super) fn with_raw(config: &Config) -> Result<Config> {
    config.require_known_class()?;
    let mut all = config.clone();
    for (key, value) in config.bare()?.map() {
        if !all.map().contains_key(key) {
            all.set(key.clone(), value.clone());
        }
    }
    Ok(all)
}

/// The template for models that have none; one came later.
pub(super) fn template(input: &Input) -> Result<&'static str> {
    Ok(match input.checkpoint.dir.name()?.contains("0731") {
        true => include_str!("../../vocab/templates/deepseek-ai-DeepSeek-V4-Flash-0731.jinja"),
        false => include_str!("../../vocab/templates/deepseek-ai-DeepSeek-V4.jinja"),
    })
}

fn predicting(config: &Config) -> Result<u32> {
    Ok(config.u32(&["num_nextn_predict_layers"])?.unwrap_or(0))
}

fn only_prediction(input: &Input) -> bool {
    input.options.mtp == Mtp::Only
}

fn own_layers(input: &Input) -> Result<u32> {
    input.config.require_u32(&["num_hidden_layers"])
}

/// How many layers route tokens by a table.
fn hashed(input: &Input) -> Result<u32> {
    input.config.require_u32(&["num_hash_layers"])
}

/// How many tokens the keys of each layer stand for.
fn compression(input: &Input) -> Result<Vec<i32>> {
    match input.config.u32_or_list(&["compress_ratios"])? {
        Some(Counts::Each(ratios)) => Ok(ratios),
        _ => Err(input.config.invalid("compress_ratios: expected a list of integers")),
    }
}

/// The key-values of the model, or of a draft with other `ratios` and no `tables`.
pub(super) fn key_values(input: &Input, ratios: &[i32], tables: u32, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    let float = |key: &str| config.require_f32(&[key]);
    keys::common_with(input, config, &rope(input)?, keys)?;
    keys.set_u32("rope.dimension_count", get("qk_rope_head_dim")?);
    keys.set_u32("attention.q_lora_rank", get("q_lora_rank")?);
    keys.set_u32("attention.sliding_window", get("sliding_window")?);
    keys.set_u32("expert_feed_forward_length", get("moe_intermediate_size")?);
    keys.set_u32("expert_shared_count", get("n_shared_experts")?);
    keys.set_f32("expert_weights_scale", Some(float("routed_scaling_factor")?));
    let norm = config.flag("norm_topk_prob")?;
    keys.set_bool(
        "expert_weights_norm",
        Some(norm.ok_or_else(|| config.invalid("norm_topk_prob is missing"))?),
    );
    let limits = vec![float("swiglu_limit")?; input.layers as usize];
    keys.set("swiglu_clamp_exp", Value::F32s(limits.clone()));
    keys.set("swiglu_clamp_shexp", Value::F32s(limits));
    super::deepseek::indexer_keys(config, keys)?;
    keys.set_u32("attention.output_group_count", get("o_groups")?);
    keys.set_u32("attention.output_lora_rank", get("o_lora_rank")?);
    if !ratios.is_empty() {
        keys.set("attention.compress_ratios", Value::I32s(ratios.to_vec()));
    }
    keys.set_f32("attention.compress_rope_freq_base", Some(float("compress_rope_theta")?));
    keys.set_u32("hyper_connection.count", get("hc_mult")?);
    keys.set_u32("hyper_connection.sinkhorn_iterations", get("hc_sinkhorn_iters")?);
    keys.set_f32("hyper_connection.epsilon", Some(float("hc_eps")?));
    keys.set_u32("hash_layer_count", Some(tables));
    Ok(())
}

/// The settings of rope: the class keeps those of the file's `rope_scaling` for layers that compress, llama.cpp has them for
/// all.
fn rope(input: &Input) -> Result<Config> {
    let (mut rope, config) = (input.rope.clone(), input.config);
    let kind = |rope: &Config| rope.map().get("rope_type").is_some_and(|kind| !kind.is_null());
    let scaling = config.map().get("rope_scaling").filter(|scaling| !scaling.is_null());
    if let (false, Some(scaling)) = (kind(&keys::full_attention(&rope)?), scaling) {
        let scaling =
            scaling.as_object().ok_or_else(|| config.invalid("rope_scaling: expected an object"))?;
        if let Some(kind) = scaling.get("type").filter(|kind| !kind.is_null()) {
            rope.set("rope_type", kind.clone());
        }
        scaling.iter().for_each(|(key, value)| rope.set(key.clone(), value.clone()));
    }
    Ok(rope)
}

/// Leaves out what is not asked for, and gives layers that predict the names of layers that follow the model's own.
fn rename(input: &Input, name: &str) -> Option<String> {
    if name.starts_with("aligner.") || name.starts_with("image_") {
        return None;
    }
    if !only_prediction(input) {
        return (!name.starts_with("mtp.")).then(|| name.to_owned());
    }
    let Some(predicts) = name.strip_prefix("mtp.") else {
        let shared = ["embed.weight", "norm.weight", "head.weight", "head.scale"];
        return shared.contains(&name).then(|| name.to_owned());
    };
    // What cannot be told from the name keeps it, and is refused by it.
    let Some((number, rest)) = predicts.split_once('.') else { return Some(name.to_owned()) };
    let own = own_layers(input).ok()?;
    let layer = number.parse::<u32>().ok().filter(|_| tensors::is_decimal(number));
    let Some(layer) = layer.and_then(|layer| layer.checked_add(own)).filter(|layer| *layer < input.layers)
    else {
        return Some(name.to_owned());
    };
    Some(match rest {
        "hc_head_fn" | "hc_head_base" | "hc_head_scale" => rest.to_owned(),
        "norm.weight" => format!("layers.{layer}.nextn.shared_head_norm.weight"),
        "e_proj.weight" | "e_proj.scale" | "h_proj.weight" | "h_proj.scale" | "enorm.weight"
        | "hnorm.weight" => {
            format!("layers.{layer}.nextn.{rest}")
        }
        _ => format!("layers.{layer}.{rest}"),
    })
}

/// Multiplies matrices in FP8 by the powers of two of their blocks. That is all there is, whatever the configuration says.
pub(super) fn dequantize(input: &mut Input) -> Result<bool> {
    /// The sides of a block.
    const BLOCK: [u64; 2] = [128, 128];
    let stems = input.tensors.keys().filter_map(|name| name.strip_suffix(".scale"));
    let stems: Vec<String> = stems.map(str::to_owned).collect();
    let mut used = Vec::new();
    for stem in stems {
        let (name, own) = (format!("{stem}.weight"), format!("{stem}.scale"));
        let (Some(expr), Some(scales)) = (input.tensors.get(&name), input.tensors.get(&own)) else {
            continue;
        };
        let dtype = |expr| tensors::source(input.checkpoint, expr).map(|source| source.dtype);
        if !matches!(dtype(expr), Some(Dtype::F8E4M3 | Dtype::F8E5M2)) {
            continue;
        }
        let Some(Leaf::Source(source)) = scales.first_leaf() else { continue };
        let invalid =
            |problem: String| Error::invalid(&input.checkpoint.dir, format!("{}: {problem}", quoted(&own)));
        let mut scale = Scale::new(source, expr.shape(), scales.shape(), Some(&BLOCK)).map_err(invalid)?;
        match dtype(scales) {
            Some(Dtype::F8E8M0) => {}
            Some(Dtype::U8) => scale = scale.then(Arithmetic::Table(powers().into())),
            other => {
                let found = other.map_or("nothing", Dtype::name);
                return Err(invalid(format!("expected powers of two as F8_E8M0 or U8, found {found}")));
            }
        }
        let expr = expr.clone().scaled(scale);
        input.tensors.insert(name.clone(), expr);
        input.fp8.insert(name);
        used.push(own);
    }
    let used: std::collections::HashSet<String> = used.into_iter().collect();
    input.tensors.retain(|name, _| !used.contains(name));
    Ok(true)
}

/// Two to the power of a byte less 127.
fn powers() -> Vec<f32> {
    (0..=255).map(|exponent| 2f32.powi(exponent - 127)).collect()
}

/// Adds the tables by which the first layers route tokens.
fn add_tables(input: &Input, builder: &mut Builder) -> Result<()> {
    let name = |layer: u32| format!("layers.{layer}{TABLE}");
    let count = hashed(input)?;
    if only_prediction(input)
        && !(0..count.min(keys::MOST_LAYERS)).any(|at| input.tensors.contains_key(&name(at)))
    {
        return Ok(());
    }
    for layer in 0..count {
        let table = input.tensors.get(&name(layer));
        let Some(table) = table else {
            return Err(builder.invalid(format!("{} is missing", name(layer))));
        };
        builder.add_typed(format!("blk.{layer}.ffn_gate_tid2eid.weight"), table.clone(), GgmlType::I32)?;
    }
    Ok(())
}

/// Adds the experts of a layer, one kind of matrix after the other.
pub(super) fn add_experts(input: &Input, builder: &mut Builder, layer: u32) -> Result<()> {
    let count = input.config.require_u32(&["n_routed_experts"])?;
    for (matrix, stack) in [("w1", "gate"), ("w2", "down"), ("w3", "up")] {
        let pairs = (0..count).map(|expert| {
            let name = |kind: &str| format!("layers.{layer}.ffn.experts.{expert}.{matrix}.{kind}");
            Pair { codes: name("weight"), scales: name("scale") }
        });
        let stacked = mxfp4::stack(input, pairs)?;
        builder.add_typed(format!("blk.{layer}.ffn_{stack}_exps.weight"), stacked, GgmlType::MXFP4)?;
    }
    Ok(())
}

/// Adds the matrix that takes the embedding beside the last layer's output; checkpoints have two.
fn add_projection(input: &Input, builder: &mut Builder, layer: u32) -> Result<()> {
    let part = |part: &str| input.tensors.get(&format!("layers.{layer}{part}")).cloned();
    match (part(E_PROJ), part(H_PROJ)) {
        (None, None) => Ok(()),
        (Some(e), Some(h)) if e.shape().len() == 2 => {
            let joined = TensorExpr::concat_along(1, vec![e, h])?;
            builder.add_as(format!("blk.{layer}.nextn.eh_proj.weight"), Some(layer.into()), joined)
        }
        _ => Err(builder.invalid(format!("layers.{layer}: expected matrices{E_PROJ} and{H_PROJ}"))),
    }
}

/// Whether a tensor is of an expert.
fn is_expert(rest: &str) -> bool {
    let parts: Vec<&str> = rest.splitn(6, '.').collect();
    matches!(parts.as_slice(), ["ffn", "experts", number, "w1" | "w2" | "w3", "weight" | "scale"]
        if tensors::is_decimal(number))
}

/// Adds a tensor of one of the names here, or of `root`.
pub(super) fn emit(input: &Input, builder: &mut Builder, tensor: Tensor, root: &Names) -> Result<()> {
    let find = |names: &Names, name: &str| names.iter().find(|(own, _)| *own == name).map(|(_, gguf)| *gguf);
    let Tensor { name, layer, expr } = tensor;
    let rest = name.strip_prefix("layers.").and_then(|rest| rest.split_once('.'));
    let rest = rest.filter(|(number, _)| tensors::is_decimal(number)).map(|(_, rest)| rest);
    if name.ends_with(TABLE) || rest.is_some_and(is_expert) {
        return Ok(());
    }
    let (pattern, place) = match (rest, layer) {
        (Some(rest), Some(layer)) => {
            (find(LAYER, rest).map(|gguf| format!("blk.{{bid}}.{gguf}")), layer.to_string())
        }
        _ => (find(ROOT, &name).or_else(|| find(root, &name)).map(str::to_owned), String::new()),
    };
    let known = |pattern: &String| {
        let stem = pattern.rsplit_once('.').map_or(pattern.as_str(), |(stem, _)| stem);
        input.family.tensors.iter().any(|tensor| tensor.split('#').next() == Some(stem))
    };
    match pattern.filter(known) {
        Some(pattern) => builder.add_as(pattern.replace("{bid}", &place), layer, expr),
        None => Err(Error::unsupported(format!(
            "{} is no tensor that this architecture was published with",
            quoted(&name)
        ))
        .at(input.checkpoint.dir.path())
        .tensor(&name)),
    }
}

/// What is FP8 becomes Q8_0; what is F32 or BF16 stays so.
pub(super) fn ggml_type(input: &Input, source: &str, name: &str) -> Option<GgmlType> {
    if input.fp8.contains(source) || name.ends_with(".nextn.eh_proj.weight") {
        return Some(GgmlType::Q8_0);
    }
    let source = tensors::source(input.checkpoint, input.tensors.get(source)?)?;
    match source.dtype {
        Dtype::F32 => Some(GgmlType::F32),
        Dtype::BF16 => Some(GgmlType::BF16),
        _ => None,
    }
}
