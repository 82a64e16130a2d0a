//! What sees in Muse Glimmer (`MuseGlimmerVisionModel` of the reference).

use crate::arch::Keys;
use crate::arch::models::interleave_rotary;
use crate::arch::tensors::Tensor;
use crate::error::Result;
use crate::tensor::TensorExpr;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const MUSE_GLIMMER: Projector = Projector {
    names: &["MuseGlimmerForConditionalGeneration"],
    prepare: |input| {
        let vision = &input.vision;
        let mut size = vision.require_u32(&["pos_emb_height"])?;
        for key in ["patch_size", "merge_size"] {
            size = keys::times(vision, key, size, vision.require_u32(&[key])?)?;
        }
        input.vision.set("image_size", size);
        Ok(())
    },
    keys: key_values,
    rename: |name| {
        let seen = ["model.vision_tower.", "model.vision_adapter.", "model.vision_projection."];
        seen.iter().any(|prefix| name.starts_with(prefix)).then(|| name.to_owned())
    },
    emit,
    ..PLAIN
};

/// The three layers of the projector.
const LAYERS: [&str; 3] = ["model.vision_adapter.fc1", "model.vision_adapter.fc2", "model.vision_projection"];

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "muse-glimmer");
    let epsilon = input.vision.require_f32(&["layer_norm_eps"])?;
    keys.set_f32("vision.attention.layer_norm_epsilon", Some(epsilon));
    keys.set_u32("vision.spatial_merge_size", Some(input.vision.require_u32(&["merge_size"])?));
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if [".attn.q_proj.", ".attn.k_proj."].iter().any(|part| tensor.name.contains(part)) {
        let heads = input.vision.require_u32(&["num_attention_heads"])?;
        tensor.expr = interleave_rotary(&tensor.name, tensor.expr, heads).map_err(|p| builder.invalid(p))?;
    }
    if tensor.name.ends_with("patch_embedder.patch_embedding.weight") {
        tensor.expr = one_image(input, builder, &tensor)?;
    }
    let (stem, kind) = tensor.name.rsplit_once('.').unwrap_or((&tensor.name, ""));
    match LAYERS.iter().position(|layer| *layer == stem) {
        Some(number) => builder.add_as(format!("mm.{number}.{kind}"), tensor.layer, tensor.expr),
        None => builder.add(tensor),
    }
}

/// Patches reach through two images, which are the same one here.
fn one_image(input: &Input, builder: &Builder, tensor: &Tensor) -> Result<TensorExpr> {
    const CHANNELS: u64 = 3;
    let side = u64::from(input.vision.require_u32(&["patch_size"])?);
    let images = input.vision.require_u32(&["patch_temporal"])?;
    let area = side.checked_mul(side).and_then(|area| area.checked_mul(CHANNELS)).unwrap_or(0);
    match *tensor.expr.shape() {
        [n, columns] if images == 2 && area > 0 && Some(columns) == area.checked_mul(2) => {
            tensor.expr.clone().sum_of_halves(area)?.reshape(&[n, CHANNELS, side, side])
        }
        ref shape => Err(builder.invalid(format!(
            "{}: expected rows of 2 × {CHANNELS} × {side} × {side} elements, found shape {shape:?} for {images} images",
            tensor.name
        ))),
    }
}
