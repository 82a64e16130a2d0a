//! BLOOM (`BloomModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::{Tensor, is_decimal};
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;

pub(super) const BLOOM: Family = Family {
    names: &["BloomForCausalLM", "BloomModel"],
    arch: "bloom",
    tensors: names::BLOOM,
    keys: key_values,
    emit,
    ..TEXT
};

const WIDTH: [&str; 2] = ["hidden_size", "n_embed"];
const HEADS: [&str; 2] = ["n_head", "num_attention_heads"];

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let width = config.require_u32(&WIDTH)?;
    let heads = config.require_u32(&HEADS)?;
    let context =
        if config.map().contains_key("seq_length") { config.require_u32(&["seq_length"])? } else { width };
    keys.set_u32("context_length", Some(context));
    keys.set_u32("embedding_length", Some(width));
    keys.set_u32("feed_forward_length", Some(keys::times(config, 4, width)?));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("attention.head_count", Some(heads));
    keys.set_u32("attention.head_count_kv", Some(heads));
    keys.set_f32("attention.layer_norm_epsilon", Some(config.require_f32(&["layer_norm_epsilon"])?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    tensor.name = tensor.name.replace("transformer.", "");
    let Some(kind) = query_key_value(&tensor.name) else {
        return builder.add(tensor);
    };
    // Rows: for each head its query, key and value. GGUF wants all queries, then all keys, then all values.
    let width = u64::from(input.config.require_u32(&WIDTH)?);
    let heads = u64::from(input.config.require_u32(&HEADS)?);
    let Some(head) = width.checked_div(heads) else {
        return Err(input.config.invalid("n_head: expected at least 1, found 0"));
    };
    let (split, whole) = match kind {
        Kind::Weight => (vec![heads, 3, head, width], vec![3 * heads * head, width]),
        Kind::Bias => (vec![heads, 3, head], vec![3 * heads * head]),
    };
    let shape = tensor.expr.shape().to_vec();
    tensor.expr =
        tensor.expr.reshape(&split).and_then(|expr| expr.swap_axes(0, 1)?.reshape(&whole)).map_err(|_| {
            let name = &tensor.name;
            builder
                .invalid(format!("{name}: expected {split:?} elements, as config.json says, found {shape:?}"))
        })?;
    builder.add(tensor)
}

enum Kind {
    Weight,
    Bias,
}

fn query_key_value(name: &str) -> Option<Kind> {
    let (layer, rest) = name.strip_prefix("h.")?.split_once('.')?;
    match rest.strip_prefix("self_attention.query_key_value.").filter(|_| is_decimal(layer))? {
        rest if rest.starts_with("weight") => Some(Kind::Weight),
        rest if rest.starts_with("bias") => Some(Kind::Bias),
        _ => None,
    }
}
