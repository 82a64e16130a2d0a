//! What sees in LFM2-VL: SigLIP 2 (`LFM2VLModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::error::Result;
use crate::gguf::Value;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys, patches};

pub(super) const LFM2_VL: Projector = Projector {
    names: &["Lfm2VlForConditionalGeneration"],
    prepare: |input| {
        // Images are of any size; llama.cpp wants one.
        input.vision.set("image_size", 256);
        Ok(())
    },
    keys: key_values,
    rename: |name| {
        let name = name.replace("model.vision_tower.", "vision_tower.");
        Some(name.replace("model.multi_modal_projector.", "multi_modal_projector."))
    },
    emit: |_, builder, tensor| emit(builder, tensor),
    ..PLAIN
};

const PATCH_SIZE: u64 = 16;

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let (vision, global) = (&input.vision, &input.global);
    keys::kind(keys, "lfm2");
    let epsilon = vision.require_f32(&["layer_norm_eps"])?;
    keys.set_f32("vision.attention.layer_norm_epsilon", Some(epsilon));
    let scale = keys::u32_or(global, "downsample_factor", 2)?;
    keys.set_u32("vision.projector.scale_factor", Some(scale));
    keys.set_bool("use_gelu", Some(true));
    // Which layer's output is taken, counted from the end as Python does.
    let last = match global.map().get("vision_feature_layer") {
        None => Some(-1),
        Some(value) => value.as_i64(),
    };
    let layers = i64::from(vision.require_u32(&keys::LAYERS)?);
    let kept = last.and_then(|last| layers.checked_add(last)?.checked_add(1));
    let kept = kept.and_then(|kept| u32::try_from(kept).ok());
    let kept = kept.ok_or_else(|| global.invalid("vision_feature_layer: expected a layer, from the end"))?;
    keys.set("vision.block_count", Value::U32(kept));
    Ok(())
}

fn emit(builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name.contains("patch_embedding.weight") {
        tensor.expr = patches::of_linear(builder, &tensor, PATCH_SIZE, 3)?;
    }
    builder.add(tensor)
}
