//! gpt-oss (`GptOssModel` of the reference). Its experts are MXFP4 already and only change their order.

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::dtype::GgmlType;
use crate::error::Result;
use crate::tensor::{Leaf, TensorExpr};

pub(super) const GPT_OSS: Family = Family {
    names: &["GptOssForCausalLM"],
    arch: "gpt-oss",
    tensors: names::GPT_OSS,
    packed: &["mxfp4"],
    keys: key_values,
    rename: |_, name| Some(if name.contains("sinks") { format!("{name}.weight") } else { name.to_owned() }),
    generate: packed_experts,
    emit,
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys.set_u32("attention.sliding_window", Some(input.config.require_u32(&["sliding_window"])?));
    keys.set_u32("expert_feed_forward_length", Some(input.config.require_u32(&["intermediate_size"])?));
    Ok(())
}

/// Experts in MXFP4: `…_blocks` hold the codes, `…_scales` one byte for each block. Rows of gate and up take turns.
fn packed_experts(input: &Input, builder: &mut Builder) -> Result<()> {
    for (name, scales) in &input.tensors {
        let Some(stem) = name.strip_suffix("_scales").filter(|stem| stem.contains("mlp.experts.")) else {
            continue;
        };
        let parts: &[(&str, Option<u64>)] = match stem.rsplit('.').next() {
            Some("down_proj") => &[("down_proj", None)],
            Some("gate_up_proj") => &[("gate_proj", Some(0)), ("up_proj", Some(1))],
            _ => continue,
        };
        let blocks = input.tensors.get(&format!("{stem}_blocks"));
        let Some(blocks) = blocks else {
            return Err(builder.invalid(format!("{name} has no {stem}_blocks beside it")));
        };
        let (codes, shape) = (blocks.shape(), scales.shape());
        if shape.len() != 3 || codes.len() != 4 || codes.last() != Some(&16) || !codes.starts_with(shape) {
            return Err(builder.invalid(format!(
                "{stem}: expected blocks of experts × rows × blocks × 16 bytes and scales of experts × rows × \
                 blocks, found {codes:?} and {shape:?}"
            )));
        }
        let Some(Leaf::Source(source)) = scales.first_leaf() else { continue };
        for (matrix, first) in parts {
            let expr = match first {
                None => blocks.clone(),
                Some(_) if shape[1] % 2 != 0 => {
                    return Err(
                        builder.invalid(format!("{stem}: expected an even number of rows, found {shape:?}"))
                    );
                }
                Some(first) => pairs(blocks.clone(), 1)?.slice(2, *first, first + 1, 1)?.reshape(&[
                    codes[0],
                    codes[1] / 2,
                    codes[2],
                    codes[3],
                ])?,
            };
            let module = stem.rsplit_once('.').map_or(stem, |(module, _)| module);
            let resolved = builder.resolve(&format!("{module}.{matrix}.weight"))?;
            builder.add_typed(resolved, expr.mxfp4(source)?, GgmlType::MXFP4)?;
        }
    }
    Ok(())
}

/// Splits `axis` into pairs of neighbours.
fn pairs(expr: TensorExpr, axis: usize) -> Result<TensorExpr> {
    let mut shape = expr.shape().to_vec();
    if let Some(len) = shape.get_mut(axis) {
        *len /= 2;
        shape.insert(axis + 1, 2);
    }
    expr.reshape(&shape)
}

fn emit(_: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let (name, layer) = (tensor.name.clone(), tensor.layer);
    let packed = name.contains("_blocks") || name.contains("_scales");
    let bias = name.ends_with("_bias");
    let rank = tensor.expr.shape().len();
    if (name.contains("down_proj") || name.contains("gate_up_proj")) && packed && !bias {
        return Ok(());
    }
    if (name.contains("down_proj") || name.contains("gate_up_proj")) && !bias {
        if rank < 2 {
            return Err(
                builder.invalid(format!("{name}: expected matrices, found {:?}", tensor.expr.shape()))
            );
        }
        tensor.expr = tensor.expr.swap_axes(rank - 1, rank - 2)?;
    }
    if name.contains("down_proj") {
        tensor.name = match bias {
            true => name.replace("down_proj_bias", "down_proj.bias"),
            false => name.replace("down_proj", "down_proj.weight"),
        };
    }
    if !name.contains("gate_up_proj") {
        return builder.add(tensor);
    }
    let (old, kind, axis) = if bias {
        ("gate_up_proj_bias", "bias", rank.wrapping_sub(1))
    } else {
        ("gate_up_proj", "weight", 1)
    };
    let shape = tensor.expr.shape().to_vec();
    if !bias && rank != 3 {
        return Err(builder.invalid(format!("{name}: expected stacks of matrices, found shape {shape:?}")));
    }
    if shape.get(axis).is_none_or(|len| len % 2 != 0) {
        return Err(builder.invalid(format!("{name}: expected gate and up in turns, found shape {shape:?}")));
    }
    let halves = [("gate_proj", 0), ("up_proj", 1)];
    for (matrix, first) in halves {
        let mut half = shape.clone();
        half[axis] /= 2;
        let expr = pairs(tensor.expr.clone(), axis)?.slice(axis + 1, first, first + 1, 1)?.reshape(&half)?;
        builder.add(Tensor { name: name.replace(old, &format!("{matrix}.{kind}")), layer, expr })?;
    }
    Ok(())
}
