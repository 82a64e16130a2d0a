//! What sees in PaddleOCR-VL: SigLIP (`PaddleOCRVisionModel` of the reference).

use crate::arch::Keys;
use crate::error::Result;

use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const PADDLEOCR: Projector = Projector {
    names: &["PaddleOCRVisionModel"],
    prepare: |input| {
        let pixels = input.preprocessor.require_u32(&["max_pixels"])?;
        input.vision.set("image_size", pixels.isqrt());
        Ok(())
    },
    keys: key_values,
    rename: |name| {
        let seen = name.contains("vision_model") || name.contains("mlp_AR");
        let name = name.replace("visual.", "model.");
        let unused =
            ["packing_position_embedding", "vision_model.head"].iter().any(|part| name.contains(part));
        (seen && !unused).then_some(name)
    },
    ..PLAIN
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "paddleocr");
    for (key, setting) in [("max", "max_pixels"), ("min", "min_pixels")] {
        let pixels = input.preprocessor.require_u32(&[setting])?;
        keys.set_u32(&format!("vision.image_{key}_pixels"), Some(pixels));
    }
    keys.set_bool("use_gelu", Some(true));
    keys::epsilon(keys, &input.vision, &["rms_norm_eps"], 1e-6)
}
