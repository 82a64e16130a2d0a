//! Talkie (`TalkieModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, TEXT, contents, keys, names};
use crate::error::Result;
use crate::tensor::TensorExpr;

pub(super) const TALKIE: Family = Family {
    names: &["TalkieForCausalLM"],
    arch: "talkie",
    tensors: names::TALKIE,
    keys: |input, keys| {
        keys::common(input, keys)?;
        // torch's default for norms that are given none.
        keys.set_f32("attention.layer_norm_rms_epsilon", Some(f32::EPSILON));
        Ok(())
    },
    emit,
    ..TEXT
};

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let start = tensor.layer.map(|layer| format!("model.blocks.{layer}."));
    let part = start.as_ref().and_then(|start| tensor.name.strip_prefix(start)).unwrap_or(&tensor.name);
    match (part, tensor.layer) {
        ("attn_gain.a_g", Some(layer)) => {
            return builder.add_as(format!("blk.{layer}.attn_output.scale"), tensor.layer, tensor.expr);
        }
        ("mlp_gain.a_g", Some(layer)) => {
            return builder.add_as(format!("blk.{layer}.ffn_down.scale"), tensor.layer, tensor.expr);
        }
        ("lm_head_gain.w_g", _) => {
            let [scale] = contents::floats(input.checkpoint, &tensor.name, &tensor.expr)?[..] else {
                return Err(builder.invalid(format!("{}: expected one number", tensor.name)));
            };
            builder.early.set_f32("logit_scale", Some(scale));
            return Ok(());
        }
        ("attn.attn_query.weight" | "attn.attn_key.weight", _) => {
            tensor.expr = turned_back(input, builder, &tensor)?;
        }
        ("attn.head_gain.head_g", _) => {
            let shape = [tensor.expr.shape(), &[1]].concat();
            tensor.expr = tensor.expr.reshape(&shape)?;
        }
        _ => {}
    }
    if !tensor.name.ends_with(".weight") {
        tensor.name.push_str(".weight");
    }
    builder.add(tensor)
}

/// Its rotation goes the other way: the second half of each head changes its sign.
fn turned_back(input: &Input, builder: &Builder, tensor: &Tensor) -> Result<TensorExpr> {
    let head = u64::from(input.config.require_u32(&["head_dim"])?);
    let shape = tensor.expr.shape().to_vec();
    let heads = shape.first().and_then(|rows| rows.checked_div(head)).unwrap_or(0);
    let columns = shape.last().copied().unwrap_or(0);
    let turned = tensor.expr.clone().reshape(&[heads, head, columns]).and_then(|whole| {
        let first = whole.clone().slice(1, 0, head / 2, 1)?;
        let second = whole.slice(1, head / 2, head, 1)?.times(-1.0);
        TensorExpr::concat_along(1, vec![first, second])?.reshape(&shape)
    });
    turned.map_err(|_| {
        builder.invalid(format!("{}: expected heads of {head} rows, found shape {shape:?}", tensor.name))
    })
}
