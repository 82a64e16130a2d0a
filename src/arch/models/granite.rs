//! Granite, dense and with experts (`GraniteModel`, `GraniteSWAModel`, `GraniteMoeSWAModel`, `GraniteMoeModel` of
//! the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, keys, names, rope};
use crate::config::truthy;
use crate::error::Result;
use crate::gguf::Value;
use crate::tensor::TensorExpr;

use super::granite_vision;
use super::llama::{self, LLAMA};

pub(super) const GRANITE: Family = Family {
    names: &["GraniteForCausalLM"],
    arch: "granite",
    tensors: names::GRANITE,
    variant,
    keys: key_values,
    rename: |_, name| rename(name),
    ..LLAMA
};

pub(super) const GRANITE_SWA: Family = Family {
    names: &["GraniteSWAForCausalLM"],
    arch: "granite_swa",
    tensors: names::GRANITE_SWA,
    keys: sliding_keys,
    rename: |_, name| {
        rename(&if name.ends_with("sinks") { format!("{name}.weight") } else { name.to_owned() })
    },
    ..GRANITE
};

pub(super) const GRANITE_MOE_SWA: Family = Family {
    names: &["GraniteMoeSWAForCausalLM"],
    keys: |input, keys| {
        sliding_keys(input, keys)?;
        shared_length(input, keys)
    },
    emit: keep_fused,
    ..GRANITE_SWA
};

pub(super) const GRANITE_MOE: Family = Family {
    names: &["GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"],
    arch: "granitemoe",
    tensors: names::GRANITE_MOE,
    keys: moe_keys,
    emit: split_fused,
    ..GRANITE
};

pub(super) fn variant(input: &Input) -> Result<Option<&'static Family>> {
    llama::refuse_drafts(input)?;
    Ok(None)
}

/// Leaves out what belongs to pictures and speech.
pub(super) fn rename(name: &str) -> Option<String> {
    let other = ["image_", "layerwise_projectors", "spatial_projectors"];
    let text = !name.starts_with("encoder.") && !other.iter().any(|part| name.contains(part));
    text.then(|| name.replace("text_model.", ""))
}

pub(super) fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    keys::common(input, keys)?;
    // `head_dim` is ignored, says the reference.
    for key in ["key_length", "value_length"] {
        keys.values.remove(&format!("{}.attention.{key}", keys.arch));
    }
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    keys.set_u32("rope.dimension_count", Some(rope::width_per_head(input)?));
    for (key, multiplier) in [
        ("attention.scale", "attention_multiplier"),
        ("embedding_scale", "embedding_multiplier"),
        ("residual_scale", "residual_multiplier"),
        ("logit_scale", "logits_scaling"),
    ] {
        keys.set_f32(key, config.f32(&[multiplier])?.filter(|multiplier| *multiplier != 0.0));
    }
    granite_vision::deepstack(input, keys)
}

fn shared_length(input: &Input, keys: &mut Keys) -> Result<()> {
    let length = keys::nonzero(input.config, &["shared_intermediate_size"])?;
    keys.set_u32("expert_shared_feed_forward_length", length);
    Ok(())
}

pub(super) fn moe_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    key_values(input, keys)?;
    shared_length(input, keys)
}

fn sliding_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    key_values(input, keys)?;
    let window = match config.map().contains_key("sliding_window") {
        true => config.require_u32(&["sliding_window"])?,
        false => 128,
    };
    keys.set_u32("attention.sliding_window", Some(window));
    let list = |key: &str| config.map().get(key).filter(|value| truthy(value));
    let sliding = match list("layer_types") {
        Some(kinds) => bools(input, "layer_types", kinds, |kind| kind == "sliding_attention")?,
        None => (0..input.layers).map(|layer| layer % 4 != 0).collect(),
    };
    keys.set("attention.sliding_window_pattern", Value::Bools(sliding));
    if let Some(layers) = list("no_rope_layers") {
        keys.set("attention.rope_pattern", Value::Bools(bools(input, "no_rope_layers", layers, truthy)?));
    }
    Ok(())
}

/// One boolean for each layer.
fn bools(
    input: &Input,
    key: &str,
    list: &crate::json::Value,
    is: impl Fn(&crate::json::Value) -> bool,
) -> Result<Vec<bool>> {
    match list.as_array().filter(|list| list.len() == input.layers as usize) {
        Some(list) => Ok(list.iter().map(is).collect()),
        None => Err(input.config.invalid(format!("{key}: expected a list of {} layers", input.layers))),
    }
}

/// The two halves of a matrix that gates and enlarges, `length` rows each (in each expert).
fn gate_and_up(
    input: &Input,
    builder: &Builder,
    tensor: &Tensor,
    keys: &[&str],
) -> Result<(TensorExpr, TensorExpr)> {
    let length = u64::from(input.config.require_u32(keys)?);
    let shape = tensor.expr.shape();
    let axis =
        shape.len().checked_sub(2).filter(|axis| length > 0 && shape.get(*axis) == Some(&(2 * length)));
    let Some(axis) = axis else {
        let key = keys.first().copied().unwrap_or_default();
        return Err(builder.invalid(format!(
            "{}: expected 2 × {length} rows, as {key} says, found shape {shape:?}",
            tensor.name
        )));
    };
    tensor.expr.clone().halves(axis)
}

pub(super) fn split_fused(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let experts = input.config.map().get("num_local_experts").is_some_and(truthy);
    let (sizes, gate, up) = if tensor.name.ends_with("block_sparse_moe.input_linear.weight") {
        (["intermediate_size"], "ffn_gate_exps", "ffn_up_exps")
    } else if tensor.name.ends_with("shared_mlp.input_linear.weight") {
        match experts {
            true => (["shared_intermediate_size"], "ffn_gate_shexp", "ffn_up_shexp"),
            false => (["shared_intermediate_size"], "ffn_gate", "ffn_up"),
        }
    } else if !experts && tensor.name.ends_with("shared_mlp.output_linear.weight") {
        return rename_to(builder, tensor, "ffn_down");
    } else {
        return llama::emit(input, builder, tensor);
    };
    let halves = gate_and_up(input, builder, &tensor, &sizes)?;
    for (name, expr) in [(gate, halves.0), (up, halves.1)] {
        rename_to(builder, Tensor { name: tensor.name.clone(), layer: tensor.layer, expr }, name)?;
    }
    Ok(())
}

/// llama.cpp reads these matrices as they are.
fn keep_fused(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let shared = match input.config.map().contains_key("shared_intermediate_size") {
        true => "shared_intermediate_size",
        false => "intermediate_size",
    };
    for (suffix, name, size) in [
        ("block_sparse_moe.experts.gate_up_proj", "ffn_gate_up_exps", Some("intermediate_size")),
        ("block_sparse_moe.experts.down_proj", "ffn_down_exps", None),
        ("block_sparse_moe.input_linear.weight", "ffn_gate_up_exps", Some("intermediate_size")),
        ("shared_mlp.input_linear.weight", "ffn_up_shexp", Some(shared)),
        ("shared_mlp.output_linear.weight", "ffn_down_shexp", None),
    ] {
        if tensor.name.ends_with(suffix) {
            if let Some(size) = size {
                gate_and_up(input, builder, &tensor, &[size])?;
            }
            return rename_to(builder, tensor, name);
        }
    }
    llama::emit(input, builder, tensor)
}

/// Adds a tensor under the name that its layer has for `matrix`.
fn rename_to(builder: &mut Builder, mut tensor: Tensor, matrix: &str) -> Result<()> {
    let Some(layer) = tensor.layer else {
        return Err(builder.invalid(format!("{}: expected a layer's number in the name", tensor.name)));
    };
    tensor.name = format!("blk.{layer}.{matrix}.weight");
    builder.add(tensor)
}
