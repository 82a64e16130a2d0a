//! MiMo V2: some layers with a sliding window and heads of their own number, three layers that predict, and experts in MXFP4
//! (`MimoV2Model` of the reference).

use std::collections::{BTreeMap, HashSet};

use crate::arch::builder::Builder;
use crate::arch::experts::ExpertNames;
use crate::arch::mxfp4::{self, Pair};
use crate::arch::tensors::{Tensor, is_decimal};
use crate::arch::{Family, FileType, Input, Keys, Mtp, TEXT, keys, names};
use crate::config::Counts;
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::gguf::Value;
use crate::input::quoted;
use crate::tensor::{GridAxis, Leaf, Scale, TensorExpr};

pub(super) const MIMO2: Family = Family {
    names: &["MiMoV2FlashForCausalLM", "MiMoV2ForCausalLM"],
    arch: "mimo2",
    tensors: names::MIMO2,
    mtp: true,
    layers: |config, options, _| {
        let own = config.require_u32(&["num_hidden_layers"])?;
        keys::bounded_layers(config, u64::from(own) + u64::from(predicting(options.mtp)))
    },
    keys: key_values,
    rename: |input, name| {
        let predicts = name.starts_with(PREDICTS);
        let shared = ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"];
        match input.options.mtp {
            Mtp::Drop if predicts => return None,
            Mtp::Only if !predicts && !shared.contains(&name) => return None,
            _ => {}
        }
        let sink = name.contains("attention_sink") && !name.ends_with(".weight");
        Some(if sink { format!("{name}.weight") } else { name.to_owned() })
    },
    dequantize: |input| scale_by_rank(input).map(|()| false),
    file_type: |input| Ok(is_packed(input)?.then_some(FileType::Mxfp4Moe)),
    generate: |input, builder| match is_packed(input)? {
        true => add_packed(input, builder),
        false => Ok(()),
    },
    emit,
    ..TEXT
};

const PREDICTS: &str = "model.mtp.layers.";

/// How many layers predict. No setting says so; all that were published have so many.
fn predicting(mtp: Mtp) -> u32 {
    if mtp == Mtp::Drop { 0 } else { 3 }
}

const EXPERTS: ExpertNames = ExpertNames {
    one: "model.layers.{bid}.mlp.experts.{xid}.{matrix}.weight",
    stack: "model.layers.{bid}.mlp.experts.{matrix}.weight",
    matrices: &["gate_proj", "up_proj", "down_proj"],
};

/// For each layer whether it has a sliding window, 1 or 0; those that predict have.
fn windows(input: &Input) -> Result<Vec<i32>> {
    let Some(Counts::Each(mut pattern)) = input.config.u32_or_list(&["hybrid_layer_pattern"])? else {
        return Err(input.config.invalid("hybrid_layer_pattern: expected a list of 0 and 1"));
    };
    pattern.extend(std::iter::repeat_n(1, predicting(input.options.mtp) as usize));
    Ok(pattern)
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]);
    for key in ["head_dim", "num_attention_heads", "v_head_dim"] {
        if get(key)? != get(&format!("swa_{key}"))? {
            return Err(config.unsupported(format!("swa_{key} is not {key}")));
        }
    }
    if config.str(&["topk_method"])? != Some("noaux_tc") {
        return Err(config.unsupported("topk_method is not \"noaux_tc\""));
    }
    let windows = windows(input)?;
    let (heads, own) =
        (keys::signed(config, "num_key_value_heads")?, keys::signed(config, "swa_num_key_value_heads")?);
    let heads = windows.iter().map(|window| if *window == 1 { own } else { heads }).collect();
    keys.set("attention.head_count_kv", Value::I32s(heads));
    keys.set_u32("attention.sliding_window", Some(get("sliding_window")?));
    keys.set("attention.sliding_window_pattern", Value::I32s(windows));
    keys.set_u32("attention.value_length", Some(get("v_head_dim")?));
    keys.set_u32("expert_count", Some(get("n_routed_experts")?));
    keys.set_u32("expert_feed_forward_length", Some(get("moe_intermediate_size")?));
    keys.set_u32("rope.dimension_count", Some(keys::rotated_part(input, get("head_dim")?)?));
    let epsilon = match config.map().contains_key("layernorm_epsilon") {
        true => config.require_f32(&["layernorm_epsilon"])?,
        false => 1e-5,
    };
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(epsilon));
    keys.set_f32("attention.value_scale", config.f32(&["attention_value_scale"])?);
    keys.set_u32("nextn_predict_layers", Some(predicting(input.options.mtp)).filter(|more| *more > 0));
    Ok(())
}

/// Whether experts are stored in MXFP4.
fn is_packed(input: &Input) -> Result<bool> {
    let config = input.config.optional_section("quantization_config")?;
    if config.get(&["store_dtype"]).and_then(|(_, kind)| kind.as_str()) != Some("mxfp4") {
        return Ok(false);
    }
    match config.u32(&["mxfp4_block_size"])?.unwrap_or(32) {
        32 => Ok(true),
        other => Err(input.config.unsupported(format!("MXFP4 in blocks of {other}; llama.cpp's are of 32"))),
    }
}

/// Layer, expert and matrix of an expert's weights.
fn expert(name: &str) -> Option<(u32, u32, &str)> {
    let rest = name.strip_prefix("model.layers.")?.strip_suffix("_proj.weight")?;
    let (layer, rest) = rest.split_once(".mlp.experts.")?;
    let (expert, matrix) = rest.split_once('.')?;
    let number = |part: &str| part.parse().ok().filter(|_| is_decimal(part));
    Some((number(layer)?, number(expert)?, matrix)).filter(|_| ["down", "gate", "up"].contains(&matrix))
}

fn add_packed(input: &Input, builder: &mut Builder) -> Result<()> {
    let stray = |name: &&String| {
        name.strip_suffix("_scale").is_some_and(|own| own.ends_with(".weight") && expert(own).is_none())
    };
    if let Some(stray) = input.tensors.keys().find(stray) {
        return Err(input
            .config
            .unsupported(format!("{}: a scale of MXFP4 that is of no expert", quoted(stray))));
    }
    let count = input.config.require_u32(&["n_routed_experts"])?;
    let mut found: BTreeMap<(u32, &str), u32> = BTreeMap::new();
    for (layer, _, matrix) in input.tensors.keys().filter_map(|name| expert(name)) {
        *found.entry((layer, matrix)).or_default() += 1;
    }
    for ((layer, matrix), found) in found {
        if found != count {
            return Err(builder
                .invalid(format!("layer {layer}, {matrix}_proj: expected {count} experts, found {found}")));
        }
        let pairs = (0..count).map(|expert| {
            let codes = format!("model.layers.{layer}.mlp.experts.{expert}.{matrix}_proj.weight");
            Pair { scales: format!("{codes}_scale"), codes }
        });
        let stacked = mxfp4::stack(input, pairs)?;
        builder.add_typed(format!("blk.{layer}.ffn_{matrix}_exps.weight"), stacked, GgmlType::MXFP4)?;
    }
    Ok(())
}

/// Multiplies joined queries, keys and values in FP8 by their scales, which count blocks anew for each of the machines the
/// model was trained on, and puts all queries first, then keys, then values.
fn scale_by_rank(input: &mut Input) -> Result<()> {
    let method = input.config.optional_section("quantization_config")?;
    if method.str(&["quant_method"])? != Some("fp8") {
        return Ok(());
    }
    let mut used = HashSet::new();
    let mut whole = Vec::new();
    for (name, scales) in &input.tensors {
        let Some(weight) = name.strip_suffix("_scale_inv") else { continue };
        let (Some(window), Some(expr)) = (has_window(input, weight)?, input.tensors.get(weight)) else {
            continue;
        };
        whole.push((weight.to_owned(), by_rank(input, weight, expr, scales, window)?));
        used.insert(name.clone());
    }
    input.tensors.retain(|name, _| !used.contains(name));
    for (name, expr) in whole {
        input.fp8.insert(name.clone());
        input.tensors.insert(name, expr);
    }
    Ok(())
}

/// Whether the layer has a sliding window of which `name` is the joined matrix; none if it is none's.
fn has_window(input: &Input, name: &str) -> Result<Option<bool>> {
    let Some(rest) = name.strip_prefix("model.") else { return Ok(None) };
    let (predicts, rest) = rest.strip_prefix("mtp.").map_or((false, rest), |rest| (true, rest));
    let number =
        rest.strip_prefix("layers.").and_then(|rest| rest.strip_suffix(".self_attn.qkv_proj.weight"));
    let Some(number) = number.filter(|number| is_decimal(number)) else { return Ok(None) };
    if predicts {
        return Ok(Some(true));
    }
    let windows = windows(input)?;
    let window = number.parse().ok().and_then(|at: usize| windows.get(at));
    let problem = || input.config.invalid(format!("hybrid_layer_pattern has no layer {number}"));
    Ok(Some(*window.ok_or_else(problem)? == 1))
}

fn by_rank(
    input: &Input,
    name: &str,
    weight: &TensorExpr,
    scales: &TensorExpr,
    window: bool,
) -> Result<TensorExpr> {
    const SIDE: u64 = 128;
    let config = input.config;
    let size = |key: &str| config.require_u32(&[key]).map(u64::from);
    let kv = size(if window { "swa_num_key_value_heads" } else { "num_key_value_heads" })?;
    let (head, value) = (size("head_dim")?, size("v_head_dim")?);
    let sizes = [size("num_attention_heads")? * head, kv * head, kv * value];
    let invalid = |problem: &str| {
        let (weight, scales) = (weight.shape(), scales.shape());
        Error::invalid(
            &input.checkpoint.dir,
            format!("{}: {problem}; found {weight:?} and {scales:?}", quoted(name)),
        )
    };
    let (&[rows, columns], &[lines, blocks]) = (weight.shape(), scales.shape()) else {
        return Err(invalid("expected a matrix and one of scales"));
    };
    if sizes.iter().sum::<u64>() != rows || blocks.saturating_mul(SIDE) < columns {
        return Err(invalid(&format!(
            "expected {} + {} + {} rows, and scales of blocks of {SIDE}",
            sizes[0], sizes[1], sizes[2]
        )));
    }
    let fits = |ranks: &u64| rows % ranks == 0 && ranks * (rows / ranks).div_ceil(SIDE) == lines;
    let ranks = [8, 4].into_iter().find(fits).filter(|ranks| sizes.iter().all(|size| size % ranks == 0));
    let (Some(ranks), Some(Leaf::Source(source))) = (ranks, scales.first_leaf()) else {
        return Err(invalid("expected scales for each of 8 or 4 parts"));
    };
    let each = rows / ranks;
    let grid = vec![
        GridAxis { len: ranks, block: 1, stride: each.div_ceil(SIDE) * blocks },
        GridAxis { len: each, block: SIDE, stride: blocks },
        GridAxis { len: columns, block: SIDE, stride: 1 },
    ];
    let scaled = weight.clone().scaled(Scale::of(source, grid));
    let mut parts = Vec::new();
    let mut before = 0;
    for part in sizes.map(|size| size / ranks) {
        for rank in 0..ranks {
            let first = rank * each + before;
            parts.push(scaled.clone().rows(first, first + part)?);
        }
        before += part;
    }
    TensorExpr::concat(parts)
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let own = tensor.name.strip_suffix("_scale").unwrap_or(&tensor.name);
    if expert(own).is_some() && is_packed(input)? {
        return Ok(());
    }
    let mut layer = tensor.layer;
    let predicts = tensor.name.strip_prefix(PREDICTS).and_then(|rest| rest.split_once('.'));
    if let Some((number, rest)) = predicts.filter(|(number, _)| is_decimal(number)) {
        let number = number.parse().ok().filter(|number: &u32| *number < predicting(input.options.mtp));
        let problem =
            || builder.invalid(format!("{}: expected three layers that predict", quoted(&tensor.name)));
        let place = input.config.require_u32(&["num_hidden_layers"])? + number.ok_or_else(problem)?;
        layer = Some(place.into());
        tensor.name = format!("model.layers.{place}.{rest}");
    }
    if tensor.name.contains(".mlp.experts.") && tensor.name.ends_with(".weight") {
        let count = input.config.require_u32(&["n_routed_experts"])?;
        return builder.add_expert(Tensor { layer, ..tensor }, count, &EXPERTS);
    }
    builder.add(tensor)
}
