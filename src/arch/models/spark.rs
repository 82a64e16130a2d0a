//! Spark 2.5 (`Spark2_5Model` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;
use crate::gguf::Value;

pub(super) const SPARK2_5: Family = Family {
    names: &["Spark2_5ForCausalLM"],
    arch: "spark2_5",
    tensors: names::SPARK2_5,
    keys: key_values,
    emit,
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    keys::common(input, keys)?;
    let kinds = config.strings("layer_types")?.unwrap_or_default();
    let known = |kind: &&str| matches!(*kind, "sliding_attention" | "full_attention");
    if kinds.len() != input.layers as usize || !kinds.iter().all(known) {
        return Err(config.invalid(format!(
            "layer_types: expected sliding_attention or full_attention for each of {} layers",
            input.layers
        )));
    }
    let gated = config.map().get("headwise_attn_output_gate") == Some(&true.into());
    if !gated || config.str(&["gate_attn_act_mode"])? != Some("sigmoid") {
        return Err(config.unsupported("only sigmoid gates of attention by head can be converted"));
    }
    if config.str(&["hidden_act"])? != Some("gelu") {
        return Err(config.unsupported("hidden_act: only gelu can be converted"));
    }
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    keys.set_u32("attention.sliding_window", Some(config.require_u32(&["sliding_window"])?));
    let sliding = kinds.iter().map(|kind| *kind == "sliding_attention").collect();
    keys.set("attention.sliding_window_pattern", Value::Bools(sliding));
    let head = config.require_u32(&["head_dim"])?;
    for (key, kind) in [("", "full_attention"), ("_swa", "sliding_attention")] {
        let factor = input.rope.section(kind)?.require_f64(&["partial_rotary_factor"])?;
        let rotated = keys::fraction(input, head, factor)?;
        keys.set_u32(&format!("rope.dimension_count{key}"), Some(rotated));
    }
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let layer = || match tensor.layer {
        Some(layer) => Ok(layer),
        None => Err(builder.invalid(format!("{}: expected a layer's number in the name", tensor.name))),
    };
    if tensor.name.ends_with(".self_attn.q_k_v_proj.weight") {
        let name = format!("blk.{}.attn_qkv.weight", layer()?);
        return builder.add_as(name, tensor.layer, tensor.expr);
    }
    if tensor.name.ends_with(".self_attn.g_proj.weight") {
        layer()?;
        let heads = u64::from(input.config.require_u32(&["num_attention_heads"])?);
        if tensor.expr.shape().first() != Some(&heads) {
            let shape = tensor.expr.shape();
            return Err(builder.invalid(format!(
                "{}: expected a gate for each of {heads} heads, found shape {shape:?}",
                tensor.name
            )));
        }
    }
    builder.add(tensor)
}
