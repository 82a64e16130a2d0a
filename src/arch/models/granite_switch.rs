//! Granite Switch: a dense Granite with adapters that tokens turn on (`GraniteSwitchModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, keys, names};
use crate::config::{Config, truthy};
use crate::error::Result;
use crate::gguf::Value;
use crate::tensor::TensorExpr;

use super::granite::{self, GRANITE};
use super::llama::interleave_rotary;

pub(super) const GRANITE_SWITCH: Family = Family {
    names: &["GraniteSwitchForCausalLM"],
    arch: "graniteswitch",
    tensors: names::GRANITE_SWITCH,
    // The layer that switches has no weights.
    layers: |config, _, _| {
        let layers = keys::layer_count(config)?;
        layers.checked_sub(1).ok_or_else(|| config.invalid("num_hidden_layers: expected at least 1, found 0"))
    },
    keys: key_values,
    emit,
    ..GRANITE
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    granite::moe_keys(input, keys)?;
    if !config.map().get("num_local_experts").is_some_and(truthy) {
        keys.set_u32("expert_used_count", Some(0));
    }
    keys.set_u32("adapters.count", Some(config.require_u32(&["num_adapters"])?));
    keys.set_u32("adapters.lora_rank", Some(config.require_u32(&["max_lora_rank"])?));
    for (key, name) in [("activate", "adapter_token_ids"), ("substitute", "adapter_substitute_token_ids")] {
        let ids = config.map().get(name).and_then(crate::json::Value::as_array);
        let ids: Option<Vec<i32>> =
            ids.and_then(|ids| ids.iter().map(|id| i32::try_from(id.as_i64()?).ok()).collect());
        let ids = ids.ok_or_else(|| config.invalid(format!("{name}: expected a list of token ids")))?;
        if !ids.is_empty() {
            keys.set(&format!("adapters.token_ids_{key}"), Value::I32s(ids));
        }
    }
    keys.set_f32("adapters.router_gain", Some(config.f32(&["control_token_gain"])?.unwrap_or(15.0)));
    Ok(())
}

/// Numbers of query heads and of key heads, and rows of each head.
fn heads(config: &Config) -> Result<(u32, u32, u32)> {
    let heads = config.require_u32(&["num_attention_heads"])?;
    let size =
        match keys::nonzero(config, &["projection_head_dim"])?.or(keys::nonzero(config, &["head_dim"])?) {
            Some(size) => size,
            None => config.require_u32(&["hidden_size"])?.checked_div(heads).unwrap_or(0),
        };
    Ok((heads, config.require_u32(&["num_key_value_heads"])?, size))
}

/// Matrices with adapters: their name, that of what lies below each other in them, and which of it is rotated.
const ADAPTED: [(&str, &[&str]); 4] = [
    ("self_attn.qkv_proj", &["attn_q", "attn_k", "attn_v"]),
    ("self_attn.o_proj", &["attn_output"]),
    ("shared_mlp.input_linear", &["ffn_gate", "ffn_up"]),
    ("shared_mlp.output_linear", &["ffn_down"]),
];

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let name = tensor.name.clone();
    let last = name.rsplit('.').next().unwrap_or_default();
    let switch = ["model.switch.", "switch."].iter().any(|start| name.starts_with(start));
    if switch || matches!(last, "adapter_token_ids" | "control_to_substitute_lut") || name == "lm_head.weight"
    {
        return Ok(());
    }
    let unknown = |builder: &Builder| builder.invalid(format!("graniteswitch has no tensor {name}"));
    let adapted = ADAPTED.iter().find(|(matrix, _)| name.contains(matrix));
    if let Some((layer, (_, parts))) = tensor.layer.zip(adapted) {
        let place = |part: &str, suffix: &str| format!("blk.{layer}.{part}.{suffix}");
        if name.ends_with("base_layer.weight") {
            return base(input, builder, tensor, parts, &place);
        }
        let slot = match (parts.len(), last) {
            (1, "lora_A" | "lora_B") => 0,
            (1, _) => return Err(unknown(builder)),
            _ => last.parse::<usize>().unwrap_or(usize::MAX),
        };
        let part = parts.get(slot).ok_or_else(|| unknown(builder))?;
        let (suffix, expr) = match () {
            () if name.contains("lora_A") => ("lora_a", adapters(builder, &tensor, None)?),
            () if name.contains("lora_B") => {
                let (queries, key_heads, _) = heads(input.config)?;
                let heads = [("attn_q", queries), ("attn_k", key_heads)];
                let heads = heads.iter().find(|(matrix, _)| matrix == part).map(|(_, heads)| *heads);
                ("lora_b", adapters(builder, &tensor, heads)?)
            }
            () => return Err(unknown(builder)),
        };
        return builder.add_as(place(part, suffix), tensor.layer, expr);
    }
    let layer = tensor.layer.filter(|_| name.contains(".layers."));
    tensor.name = match (layer, name.as_str()) {
        (Some(layer), name) if name.contains("input_layernorm") => format!("blk.{layer}.attn_norm.weight"),
        (Some(layer), name) if name.contains("post_attention_layernorm") => {
            format!("blk.{layer}.ffn_norm.weight")
        }
        (_, "model.embed_tokens.weight" | "embed_tokens.weight") => "token_embd.weight".into(),
        (_, "model.norm.weight" | "norm.weight") => "output_norm.weight".into(),
        _ => return Err(unknown(builder)),
    };
    builder.add_as(tensor.name, tensor.layer, tensor.expr)
}

/// Adds a matrix itself. Queries and keys are rotated otherwise, but stay where they are.
fn base(
    input: &Input,
    builder: &mut Builder,
    tensor: Tensor,
    parts: &[&str],
    place: &dyn Fn(&str, &str) -> String,
) -> Result<()> {
    let sizes = match parts {
        ["attn_q", ..] => {
            let (queries, key_heads, size) = heads(input.config)?;
            vec![
                u64::from(queries) * u64::from(size),
                u64::from(key_heads) * u64::from(size),
                u64::from(key_heads) * u64::from(size),
            ]
        }
        ["ffn_gate", ..] => vec![u64::from(input.config.require_u32(&["shared_intermediate_size"])?); 2],
        [part, ..] => return builder.add_as(place(part, "weight"), tensor.layer, tensor.expr),
        [] => return Ok(()),
    };
    let rows = tensor.expr.shape().first().copied().unwrap_or(0);
    if sizes.iter().sum::<u64>() != rows {
        return Err(builder.invalid(format!("{}: expected {sizes:?} rows, found {rows}", tensor.name)));
    }
    let (mut at, mut exprs) = (0, Vec::new());
    for size in sizes {
        exprs.push(tensor.expr.clone().rows(at, at + size)?);
        at += size;
    }
    if parts.len() == 2 {
        for (part, expr) in parts.iter().zip(exprs) {
            builder.add_as(place(part, "weight"), tensor.layer, expr)?;
        }
        return Ok(());
    }
    let (queries, key_heads, _) = heads(input.config)?;
    for (expr, heads) in exprs.iter_mut().zip([queries, key_heads]) {
        *expr = interleave_rotary(&tensor.name, expr.clone(), heads)
            .map_err(|problem| builder.invalid(problem))?;
    }
    builder.add_as(place("attn_qkv", "weight"), tensor.layer, TensorExpr::concat(exprs)?)
}

/// A matrix for each adapter, after one of zeros for none; their rows as those of queries or keys if there are `heads`.
fn adapters(builder: &Builder, tensor: &Tensor, heads: Option<u32>) -> Result<TensorExpr> {
    let problem = |what: &str| {
        builder.invalid(format!("{}: expected {what}, found shape {:?}", tensor.name, tensor.expr.shape()))
    };
    let &[count, 1, rows, columns] = tensor.expr.shape() else {
        return Err(problem("a matrix for each adapter, [adapters, 1, rows, columns]"));
    };
    let expr = match heads.map(u64::from) {
        None => tensor.expr.clone().reshape(&[count, rows, columns])?,
        Some(heads) => {
            let half = rows.checked_div(heads).unwrap_or(0) / 2;
            let split = tensor.expr.clone().reshape(&[count, heads, 2, half, columns]);
            let split = split.map_err(|_| problem(&format!("even parts for {heads} heads")))?;
            split.swap_axes(2, 3)?.reshape(&[count, rows, columns])?
        }
    };
    TensorExpr::concat(vec![TensorExpr::zeros(&[1, rows, columns]), expr])
}
