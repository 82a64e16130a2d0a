//! What sees in dots.ocr (`DotsOCRVisionModel` of the reference).

use crate::arch::Keys;
use crate::error::Result;

use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const DOTS_OCR: Projector = Projector {
    names: &["DotsOCRForCausalLM"],
    prepare: |input| {
        // Images are of any size.
        input.vision.set("image_size", 0);
        Ok(())
    },
    keys: key_values,
    rename: |name| {
        if !name.starts_with("vision_tower.") {
            return None;
        }
        // GGUF's names are Qwen 2.5's, whose three matrices have other names.
        let feed_forward = name.contains("vision_tower.blocks.") && name.contains(".mlp.");
        let renamed = || {
            let pairs = [
                ("vision_tower.blocks.", "visual.blocks."),
                (".fc1", ".gate_proj"),
                (".fc2", ".down_proj"),
                (".fc3", ".up_proj"),
            ];
            pairs.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
        };
        Some(if feed_forward { renamed() } else { name.to_owned() })
    },
    ..PLAIN
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let vision = &input.vision;
    keys::kind(keys, "dots_ocr");
    for (key, setting) in [("min", "min_pixels"), ("max", "max_pixels")] {
        let pixels = input.preprocessor.require_u32(&[setting])?;
        keys.set_u32(&format!("vision.image_{key}_pixels"), Some(pixels));
    }
    keys.set_f32("vision.attention.layer_norm_epsilon", Some(vision.require_f32(&["rms_norm_eps"])?));
    keys.set_u32("vision.projector.scale_factor", Some(vision.require_u32(&["spatial_merge_size"])?));
    keys.set_bool("use_silu", Some(true));
    Ok(())
}
