//! What sees in MiniCPM-V 4.6: SigLIP with a merger in the middle (`MiniCPMV4_6VisionModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::error::Result;
use crate::gguf::Value;
use crate::input::quoted;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const MINICPMV4_6: Projector = Projector {
    names: &["MiniCPMV4_6ForConditionalGeneration"],
    prepare,
    keys: key_values,
    rename: |name| {
        let text = ["lm_head.", "mtp"].iter().any(|prefix| name.starts_with(prefix));
        (!text).then(|| name.to_owned())
    },
    emit,
    ..PLAIN
};

/// Whether images shrink by 4 in all, and not by 16: then the merger has no use.
fn shrinks_less(input: &Input) -> Result<bool> {
    let images = &input.preprocessor;
    match images.map().get("downsample_mode").map_or(Some("16x"), |mode| mode.as_str()) {
        Some("4x") => Ok(true),
        Some("16x") => Ok(false),
        other => {
            let found = quoted(other.unwrap_or_default());
            Err(images.unsupported(format!("downsample_mode: expected \"4x\" or \"16x\", found {found}")))
        }
    }
}

fn prepare(input: &mut Input) -> Result<()> {
    shrinks_less(input)?;
    // The size in config.json is that of the grid of positions.
    if let Some(size) = input.preprocessor.u32(&["scale_resolution"])? {
        input.vision.set("image_size", size);
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "minicpmv4_6");
    let scale = if shrinks_less(input)? { 2 } else { 4 };
    keys.set_u32("vision.projector.scale_factor", Some(scale));
    let place = match input.global.map().contains_key("insert_layer_id") {
        true => input.global.require_u32(&["insert_layer_id"])?,
        false => keys::u32_or(&input.vision, "insert_layer_id", 6)?,
    };
    keys.set(
        "vision.wa_layer_indexes",
        Value::I32s(vec![keys::signed(&input.global, "insert_layer_id", place)?]),
    );
    keys.set_bool("use_gelu", Some(true));
    keys::epsilon(keys, &input.vision, &["layer_norm_eps"], 1e-6)
}

fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if tensor.name.contains(".vit_merger.") && shrinks_less(input)? {
        return Ok(());
    }
    builder.add(tensor)
}
