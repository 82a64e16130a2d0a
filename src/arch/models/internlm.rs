//! InternLM 2 and 3 (`InternLM2Model`, `InternLM3Model` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, TEXT, names};
use crate::error::Result;
use crate::tensor::TensorExpr;
use crate::vocab;

use super::llama::{self, interleave_rotary};

pub(super) const INTERNLM2: Family = Family {
    names: &["InternLM2ForCausalLM"],
    arch: "internlm2",
    vocab: vocab::internlm2,
    tensors: names::INTERNLM2,
    emit,
    ..TEXT
};

/// Llama, but for the tokenizer.
pub(super) const INTERNLM3: Family = Family {
    names: &["InternLM3ForCausalLM"],
    arch: "llama",
    vocab: vocab::internlm3,
    tensors: names::LLAMA,
    keys: llama::key_values,
    rename: |_, name| (!["mlp", "vision_model"].iter().any(|s| name.starts_with(s))).then(|| name.to_owned()),
    // Unlike the keys, the order of rows does not go by `n_heads` and `n_kv_heads` where those are there.
    emit: |input, builder, tensor| {
        llama::convert_with(input, builder, tensor, (&["num_attention_heads"], &["num_key_value_heads"]))
    },
    ..TEXT
};

fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let packed = |layer| tensor.name.contains(&format!("model.layers.{layer}.attention.wqkv"));
    match tensor.layer.filter(|layer| packed(*layer)) {
        Some(layer) => split(input, builder, &tensor, layer),
        None => builder.add(tensor),
    }
}

/// Rows: for each group its queries, the key and the value they share.
fn split(input: &Input, builder: &mut Builder, tensor: &Tensor, layer: u64) -> Result<()> {
    let config = input.config;
    let heads = config.require_u32(&["num_attention_heads"])?;
    let groups = config.require_u32(&["num_key_value_heads"])?;
    let width = u64::from(config.require_u32(&["hidden_size"])?);
    let shape = tensor.expr.shape();
    let problem = || {
        builder.invalid(format!(
            "{}: expected {heads} queries and {groups} keys and values of {width} columns, found shape {shape:?}",
            tensor.name
        ))
    };
    if groups == 0 || heads == 0 || heads % groups != 0 {
        return Err(problem());
    }
    let queries = u64::from(heads / groups);
    let head = width / u64::from(heads);
    let all =
        tensor.expr.clone().reshape(&[u64::from(groups), queries + 2, head, width]).map_err(|_| problem())?;
    let part = |from, to| -> Result<TensorExpr> {
        all.clone().slice(1, from, to, 1)?.reshape(&[u64::from(groups) * (to - from) * head, width])
    };
    let rotated = |expr, heads| interleave_rotary(&tensor.name, expr, heads).map_err(|p| builder.invalid(p));
    let query = rotated(part(0, queries)?, heads)?;
    let key = rotated(part(queries, queries + 1)?, groups)?;
    let value = part(queries + 1, queries + 2)?;
    for (name, expr) in [("attn_q", query), ("attn_k", key), ("attn_v", value)] {
        builder.add(Tensor { name: format!("blk.{layer}.{name}.weight"), layer: Some(layer), expr })?;
    }
    Ok(())
}
