//! What sees in MiniMax M3 (`MiniMaxM3VisionModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::error::Result;
use crate::tensor::TensorExpr;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys, patches};

pub(super) const MINIMAX_M3: Projector = Projector {
    names: &["MiniMaxM3SparseForConditionalGeneration"],
    keys: key_values,
    rename: |name| {
        let seen = ["vision_tower.", "multi_modal_projector.", "patch_merge_mlp."];
        seen.iter().any(|prefix| name.starts_with(prefix)).then(|| name.to_owned())
    },
    emit,
    ..PLAIN
};

/// The width of a head that llama.cpp's code is written for.
const HEAD: u64 = 80;
/// How many rows of each half of a head are rotated by time, and as many by height and by width.
const AXIS: u64 = 13;

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "minimax_m3");
    keys.set_bool("use_gelu", Some(true));
    keys::epsilon(keys, &input.vision, &["layer_norm_eps"], 1e-5)?;
    let compression = input.vision.section("img_token_compression_config")?;
    let merge = keys::u32_or(&compression, "spatial_merge_size", 2)?;
    keys.set_u32("vision.spatial_merge_size", Some(merge));
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if tensor.name == "vision_tower.vision_model.embeddings.patch_embedding.weight" {
        return patches::per_image(builder, &tensor);
    }
    let name = builder.resolve(&tensor.name)?;
    let expr = match name.contains(".attn_q.") || name.contains(".attn_k.") {
        true => by_axis(input, builder, &tensor)?,
        false => tensor.expr,
    };
    builder.add_as(name, tensor.layer, expr)
}

/// From halves of a head with rows for time, height and width each, to time, height and width with rows of both halves.
fn by_axis(input: &Input, builder: &Builder, tensor: &Tensor) -> Result<TensorExpr> {
    let heads = u64::from(input.vision.require_u32(&["num_attention_heads"])?);
    let shape = tensor.expr.shape().to_vec();
    if heads == 0 || shape.first().copied() != heads.checked_mul(HEAD) {
        let problem =
            format!("{}: expected {HEAD} rows for each of {heads} heads, found shape {shape:?}", tensor.name);
        return Err(builder.invalid(problem));
    }
    let split = [&[heads, HEAD], shape.get(1..).unwrap_or_default()].concat();
    let split = tensor.expr.clone().reshape(&split)?;
    let rows = |start: u64, count: u64| split.clone().slice(1, start, start + count, 1);
    let half = 3 * AXIS;
    let mut parts = Vec::new();
    for axis in 0..3 {
        parts.push(rows(axis * AXIS, AXIS)?);
        parts.push(rows(half + axis * AXIS, AXIS)?);
    }
    parts.push(rows(2 * half, HEAD - 2 * half)?);
    TensorExpr::concat_along(1, parts)?.reshape(&shape)
}
