//! Llama 4 (`Llama4Model` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, names};
use crate::error::Result;
use crate::vocab;

use super::llama::{self, LLAMA};

pub(super) const LLAMA4: Family = Family {
    names: &["Llama4ForCausalLM", "Llama4ForConditionalGeneration"],
    arch: "llama4",
    vocab: vocab::gpt2,
    tensors: names::LLAMA4,
    keys: key_values,
    emit,
    nvfp4: TEXT.nvfp4,
    ..LLAMA
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let of_experts = config.require_u32(&["intermediate_size"])?;
    let of_others = config.require_u32(&["intermediate_size_mlp"])?;
    llama::key_values_of(input, &config.replaced("intermediate_size", of_others), keys)?;
    let step = config.require_u32(&["interleave_moe_layer_step"])?;
    keys.set_u32("interleave_moe_layer_step", Some(step));
    keys.set_u32("expert_feed_forward_length", Some(of_experts));
    let kinds = config.strings("layer_types")?;
    if kinds.is_some_and(|kinds| kinds.iter().all(|kind| *kind == "full_attention")) {
        keys.set_u32("attention.sliding_window", Some(0));
    }
    Ok(())
}

/// Matrices of experts are stored transposed, gate and up side by side.
fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let (name, layer) = (tensor.name.clone(), tensor.layer);
    let joined = name.contains("gate_up_proj");
    if joined || name.ends_with("down_proj") {
        let rank = tensor.expr.shape().len();
        if rank < 2 {
            let shape = tensor.expr.shape();
            return Err(builder.invalid(format!("{name}: expected matrices, found shape {shape:?}")));
        }
        tensor.expr = tensor.expr.swap_axes(rank - 1, rank - 2)?;
        if joined {
            let (gate, up) = tensor.expr.halves(rank - 2)?;
            let named = |matrix: &str| name.replace("gate_up_proj", matrix);
            builder.add(Tensor { name: named("gate_proj.weight"), layer, expr: gate })?;
            return builder.add(Tensor { name: named("up_proj.weight"), layer, expr: up });
        }
        tensor.name.push_str(".weight");
    }
    llama::unpermuted(input, builder, tensor)
}
