//! Baichuan and XVERSE (`BaichuanModel`, `XverseModel` of the reference).
//!
//! The reference's own converter for Baichuan never ends (it calls itself for every tensor but the fused ones), so there
//! is nothing to compare with; what it means to do is done here, and llama.cpp loads the result.

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names, rope};
use crate::error::Result;
use crate::gguf::Value;
use crate::tensor::TensorExpr;
use crate::vocab;

use super::llama::interleave_rotary;

pub(super) const BAICHUAN: Family = Family {
    names: &["BaiChuanForCausalLM", "BaichuanForCausalLM"],
    arch: "baichuan",
    vocab: vocab::sentencepiece_only,
    tensors: names::BAICHUAN,
    keys: key_values,
    emit: unpack,
    ..TEXT
};

pub(super) const XVERSE: Family = Family {
    names: &["XverseForCausalLM"],
    arch: "xverse",
    vocab: vocab::xverse,
    tensors: names::XVERSE,
    keys: key_values,
    emit: |input, builder, mut tensor| {
        let query = tensor.name.ends_with("q_proj.weight");
        if query || tensor.name.ends_with("k_proj.weight") {
            let (heads, key_heads) = heads(input)?;
            tensor.expr =
                permuted(builder, &tensor, tensor.expr.clone(), if query { heads } else { key_heads })?;
        }
        builder.add(tensor)
    },
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys.set("tensor_data_layout", Value::String("Meta AI original pth".into()));
    keys.set_u32("rope.dimension_count", Some(rope::width_per_head(input)?));
    Ok(())
}

/// The numbers of heads that queries and keys are permuted with. That for keys is no number of heads where several
/// queries share one, but the reference's.
fn heads(input: &Input) -> Result<(u32, u32)> {
    let config = input.config;
    let heads = config.require_u32(&["num_attention_heads"])?;
    let key_heads = match config.u32(&["num_key_value_heads"])?.filter(|shared| *shared != heads) {
        Some(shared) => heads.checked_div(shared).unwrap_or(0),
        None => heads,
    };
    Ok((heads, key_heads))
}

fn permuted(builder: &Builder, tensor: &Tensor, expr: TensorExpr, heads: u32) -> Result<TensorExpr> {
    interleave_rotary(&tensor.name, expr, heads).map_err(|problem| builder.invalid(problem))
}

/// Takes the matrices of queries, keys and values apart, which are thirds of one.
fn unpack(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let Some(layer) =
        tensor.layer.filter(|layer| tensor.name == format!("model.layers.{layer}.self_attn.W_pack.weight"))
    else {
        return builder.add(tensor);
    };
    let rows = tensor.expr.shape().first().copied().unwrap_or(0) / 3;
    let (heads, key_heads) = heads(input)?;
    for (part, (matrix, heads)) in
        (0..).zip([("attn_q", Some(heads)), ("attn_k", Some(key_heads)), ("attn_v", None)])
    {
        let expr = tensor.expr.clone().rows(part * rows, (part + 1) * rows)?;
        let expr = match heads {
            Some(heads) => permuted(builder, &tensor, expr, heads)?,
            None => expr,
        };
        builder.add(Tensor { name: format!("blk.{layer}.{matrix}.weight"), layer: Some(layer), expr })?;
    }
    Ok(())
}
