//! Falcon (`FalconModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;
use crate::gguf::Value;
use crate::tensor::TensorExpr;

pub(super) const FALCON: Family = Family {
    names: &["FalconForCausalLM", "RWForCausalLM"],
    arch: "falcon",
    tensors: names::FALCON,
    keys: key_values,
    emit,
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let width = config.require_u32(&["hidden_size"])?;
    let heads = match config.u32(&["num_attention_heads"])? {
        Some(heads) => heads,
        None => config.require_u32(&["n_head"])?,
    };
    let kv_heads = match config.u32(&["num_kv_heads"])? {
        Some(heads) => heads,
        None if config.map().contains_key("n_head_kv") => config.require_u32(&["n_head_kv"])?,
        None => 1,
    };
    keys.set_u32("context_length", Some(2048));
    keys.set("tensor_data_layout", Value::String("jploski".into()));
    keys.set_u32("embedding_length", Some(width));
    keys.set_u32("feed_forward_length", Some(keys::times(config, 4, width)?));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("attention.head_count", Some(heads));
    keys.set_u32("attention.head_count_kv", Some(kv_heads));
    keys.set_f32("attention.layer_norm_epsilon", Some(config.require_f32(&["layer_norm_epsilon"])?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name.contains("query_key_value") {
        tensor.expr = regroup(input, builder, &tensor)?;
    }
    builder.add(tensor)
}

/// Rows: for each group its queries, the key and the value they share. GGUF wants all queries, then all
/// keys, then all values.
fn regroup(input: &Input, builder: &Builder, tensor: &Tensor) -> Result<TensorExpr> {
    let config = input.config;
    let heads = u64::from(config.require_u32(&["num_attention_heads", "n_head"])?);
    let groups = u64::from(keys::nonzero(config, &["num_kv_heads", "n_head_kv"])?.unwrap_or(1));
    let width = u64::from(config.require_u32(&["hidden_size"])?);
    let shape = tensor.expr.shape();
    let problem = || {
        builder.invalid(format!(
            "{}: expected {heads} queries and {groups} keys and values of {width} columns, found shape {shape:?}",
            tensor.name
        ))
    };
    let head = width.checked_div(heads).filter(|head| *head > 0).ok_or_else(problem)?;
    let queries = heads / groups;
    let columns = head * heads;
    let split = tensor.expr.clone().reshape(&[groups, queries + 2, head, columns]).map_err(|_| problem())?;
    if queries * groups != heads {
        return Err(problem());
    }
    let part =
        |from, to| split.clone().slice(1, from, to, 1)?.reshape(&[groups * (to - from) * head, columns]);
    TensorExpr::concat(vec![part(0, queries)?, part(queries, queries + 1)?, part(queries + 1, queries + 2)?])?
        .reshape(shape)
}
