//! HRM-Text (`HrmTextModel` of the reference): two stacks of layers, one of which plans (H) and one of which works (L),
//! that are run several times.

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names, rope};
use crate::config::{Config, truthy};
use crate::error::Result;

pub(super) const HRM_TEXT: Family = Family {
    names: &["HrmTextForCausalLM"],
    arch: "hrm_text",
    tensors: names::HRM_TEXT,
    layers: |config, _, _| {
        let [high, low] = cycles(config)?.map(u64::from);
        let runs = u64::from(per_stack(config)?).checked_mul(high).and_then(|n| n.checked_mul(low + 1));
        keys::bounded_layers(config, runs.unwrap_or(u64::MAX))
    },
    keys: key_values,
    emit,
    ..TEXT
};

fn per_stack(config: &Config) -> Result<u32> {
    match keys::nonzero(config, &["num_layers_per_stack"])? {
        Some(layers) => Ok(layers),
        None => config.require_u32(&["num_hidden_layers"]),
    }
}

/// How often the stacks are run.
fn cycles(config: &Config) -> Result<[u32; 2]> {
    Ok([config.require_u32(&["H_cycles"])?, config.require_u32(&["L_cycles"])?])
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    keys::common(input, keys)?;
    let head = match keys::nonzero(config, &["head_dim"])? {
        Some(head) => head,
        None => rope::width_per_head(input)?,
    };
    let [high, low] = cycles(config)?;
    keys.set_u32("rope.dimension_count", Some(head));
    keys.set_f32("embedding_scale", Some(config.require_f32(&["embedding_scale"])?));
    keys.set_u32("hrm.layers_per_stack", Some(per_stack(config)?));
    keys.set_u32("hrm.h_cycles", Some(high));
    keys.set_u32("hrm.l_cycles", Some(low));
    keys.set_bool("hrm.prefix_lm", Some(config.map().get("prefix_lm").is_some_and(truthy)));
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let known = match tensor.name.as_str() {
        "model.embed_tokens.weight" => Some("token_embd.weight"),
        "lm_head.weight" => Some("output.weight"),
        "model.z_L_init" => Some("hrm.z_l_init"),
        _ => None,
    };
    if let Some(name) = known {
        return builder.add_as(name.into(), tensor.layer, tensor.expr);
    }
    let Some((layer, part)) = place(&tensor.name, per_stack(input.config)?) else {
        return Err(builder.invalid(format!("hrm_text has no tensor {}", tensor.name)));
    };
    let parts: &[&str] = match part.as_str() {
        "attn.gqkv_proj.weight" => &["attn_gate", "attn_q", "attn_k", "attn_v"],
        "mlp.gate_up_proj.weight" => &["ffn_gate", "ffn_up"],
        _ => {
            let part = part.strip_prefix("attn.").map_or(part.clone(), |rest| format!("self_attn.{rest}"));
            tensor.name = format!("model.layers.{layer}.{part}");
            tensor.layer = Some(layer);
            return builder.add(tensor);
        }
    };
    let (rows, count) = (tensor.expr.shape().first().copied().unwrap_or(0), parts.len() as u64);
    if !rows.is_multiple_of(count) {
        return Err(
            builder.invalid(format!("{}: expected {count} equal parts, found {rows} rows", tensor.name))
        );
    }
    for (at, matrix) in (0..).zip(parts) {
        let expr = tensor.expr.clone().rows(at * rows / count, (at + 1) * rows / count)?;
        builder.add_as(format!("blk.{layer}.{matrix}.weight"), Some(layer), expr)?;
    }
    Ok(())
}

/// The layer that a tensor belongs to, the stack that plans after the other, and its name there.
fn place(name: &str, per_stack: u32) -> Option<(u64, String)> {
    let (stack, rest) = name.strip_prefix("model.")?.split_once("_module.layers.")?;
    let (number, part) = rest.split_once('.')?;
    let first = match stack {
        "L" => 0,
        "H" => u64::from(per_stack),
        _ => return None,
    };
    let number = number.parse::<u64>().ok().filter(|_| crate::arch::tensors::is_decimal(number))?;
    Some((number.checked_add(first)?, part.to_owned()))
}
