//! GPT-2 and the Russian GPT-3 XL (`GPT2Model`, `RuGPT3XLModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;
use crate::tensor::TensorExpr;

pub(super) const GPT2: Family = Family {
    names: &["GPT2LMHeadModel"],
    arch: "gpt2",
    tensors: names::GPT2,
    keys: key_values,
    emit,
    ..TEXT
};

pub(super) const RU_GPT3_XL: Family =
    Family { names: &["RuGPT3XLForCausalLM"], keys: keys::common, emit: fuse, ..GPT2 };

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let width = config.require_u32(&["n_embd"])?;
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("context_length", Some(config.require_u32(&["n_ctx"])?));
    keys.set_u32("embedding_length", Some(width));
    keys.set_u32("feed_forward_length", Some(keys::times(config, 4, width)?));
    keys.set_u32("attention.head_count", Some(config.require_u32(&["n_head"])?));
    keys.set_f32("attention.layer_norm_epsilon", Some(config.require_f32(&["layer_norm_epsilon"])?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

fn emit(_: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    // Causal masks. The reference means to leave them out too, and stops instead.
    if [".attn.bias", ".attn.masked_bias"].iter().any(|mask| tensor.name.ends_with(mask)) {
        return Ok(());
    }
    // GPT-2's layers are called Conv1D and hold their matrices the other way round.
    if ["c_attn", "c_proj", "c_fc"].iter().any(|layer| tensor.name.ends_with(&format!(".{layer}.weight"))) {
        if tensor.expr.shape().len() != 2 {
            let shape = tensor.expr.shape();
            return Err(builder.invalid(format!("{}: expected a matrix, found shape {shape:?}", tensor.name)));
        }
        tensor.expr = tensor.expr.swap_axes(0, 1)?;
    }
    builder.add(tensor)
}

/// Joins query, key and value where the last of them stands.
fn fuse(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    const PARTS: [&str; 3] = [".self_attn.q_proj.", ".self_attn.k_proj.", ".self_attn.v_proj."];
    let Some(part) = PARTS.into_iter().find(|part| tensor.name.contains(part)) else {
        return builder.add(tensor);
    };
    let parts = PARTS.map(|other| tensor.name.replace(part, other));
    let mut last = 0;
    let mut exprs = Vec::with_capacity(parts.len());
    for part in &parts {
        let Some((index, _, expr)) = input.tensors.get_full(part) else {
            return Err(builder.invalid(format!("{part} is missing, but {} is there", tensor.name)));
        };
        last = last.max(index);
        exprs.push(expr.clone());
    }
    if input.tensors.get_index_of(&tensor.name) != Some(last) {
        return Ok(());
    }
    let Some(layer) = tensor.layer else {
        return Err(builder.invalid(format!("{}: expected a layer's number in the name", tensor.name)));
    };
    let kind = if tensor.name.ends_with(".weight") { "weight" } else { "bias" };
    let name = format!("blk.{layer}.attn_qkv.{kind}");
    builder.add(Tensor { name, layer: Some(layer), expr: TensorExpr::concat(exprs)? })
}
