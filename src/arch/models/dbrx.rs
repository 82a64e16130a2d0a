//! DBRX (`DbrxModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, names};
use crate::error::Result;

pub(super) const DBRX: Family = Family {
    names: &["DbrxForCausalLM"],
    arch: "dbrx",
    tensors: names::DBRX,
    keys: key_values,
    emit,
    // All matrices, also those that others keep as they are.
    ggml_type: |input, _, _| Some(input.ftype.ggml_type()),
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let (experts, attention) = (config.section("ffn_config")?, config.section("attn_config")?);
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("context_length", Some(config.require_u32(&["max_seq_len"])?));
    keys.set_u32("embedding_length", Some(config.require_u32(&["d_model"])?));
    keys.set_u32("feed_forward_length", Some(experts.require_u32(&["ffn_hidden_size"])?));
    keys.set_u32("attention.head_count", Some(config.require_u32(&["n_heads"])?));
    keys.set_u32("attention.head_count_kv", Some(attention.require_u32(&["kv_n_heads"])?));
    keys.set_f32("rope.freq_base", Some(attention.require_f32(&["rope_theta"])?));
    keys.set_f32("attention.clamp_kqv", Some(attention.require_f32(&["clip_qkv"])?));
    keys.set_u32("expert_count", Some(experts.require_u32(&["moe_num_experts"])?));
    keys.set_u32("expert_used_count", Some(experts.require_u32(&["moe_top_k"])?));
    keys.set_f32("attention.layer_norm_epsilon", Some(1e-5));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

/// Experts' matrices lie below each other, the ones that lead back turned.
fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let is = |matrix: &str| tensor.name.contains(&format!("ffn.experts.mlp.{matrix}"));
    let turned = is("w2");
    if (turned || is("w1") || is("v1")) && !tensor.name.contains(".weight") {
        let experts = input.config.section("ffn_config")?;
        let sizes = [experts.require_u32(&["moe_num_experts"])?, experts.require_u32(&["ffn_hidden_size"])?];
        let shape = [sizes[0], sizes[1], input.config.require_u32(&["d_model"])?].map(u64::from);
        tensor.expr =
            tensor.expr.reshape(&shape).map_err(|e| builder.invalid(format!("{}: {e}", tensor.name)))?;
        if turned {
            tensor.expr = tensor.expr.swap_axes(1, 2)?;
        }
        tensor.name.push_str(".weight");
    }
    if tensor.name.ends_with(".bias") {
        return Err(builder.invalid(format!("{}: llama.cpp's dbrx has no biases", tensor.name)));
    }
    builder.add(tensor)
}
