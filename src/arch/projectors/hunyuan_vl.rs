//! What sees in HunyuanOCR and HunyuanVL (`HunyuanVLVisionModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::error::Result;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const HUNYUAN_VL: Projector = Projector {
    names: &["HunYuanVLForConditionalGeneration"],
    prepare: |input| {
        if !input.vision.map().contains_key("image_size") {
            let size = keys::u32_or(&input.vision, "max_image_size", 2048)?;
            input.vision.set("image_size", size);
        }
        Ok(())
    },
    keys: key_values,
    rename: |name| name.starts_with("vit.").then(|| name.to_owned()),
    emit,
    ggml_type: |input, _, name| {
        let projects = name.contains("mm.0.") || name.contains("mm.2.");
        (projects && name.ends_with(".weight")).then(|| keys::exact(input))
    },
    ..PLAIN
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "hunyuanvl");
    keys.set_bool("use_gelu", Some(true));
    keys::epsilon(keys, &input.vision, &["rms_norm_eps"], 1e-5)?;
    keys.set_u32("vision.spatial_merge_size", Some(keys::u32_or(&input.vision, "spatial_merge_size", 2)?));
    for (key, setting) in [("min", "min_pixels"), ("max", "max_pixels")] {
        let pixels = input.preprocessor.require_u32(&[setting])?;
        keys.set_u32(&format!("vision.image_{key}_pixels"), Some(pixels));
    }
    Ok(())
}

/// The position of the class token, which comes first, has no use.
fn emit(_: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name.contains("position_embedding") {
        let rows = tensor.expr.shape().first().copied().unwrap_or(0);
        if rows < 2 {
            return Err(builder.invalid(format!("{}: expected at least 2 rows, found {rows}", tensor.name)));
        }
        tensor.expr = tensor.expr.rows(1, rows)?;
    }
    builder.add(tensor)
}
