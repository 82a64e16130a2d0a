//! What sees in Gemma 3: SigLIP (`Gemma3VisionModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::dtype::GgmlType;
use crate::error::Result;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const GEMMA3: Projector = Projector {
    names: &["Gemma3ForConditionalGeneration"],
    keys: key_values,
    rename,
    emit,
    ggml_type: |_, source, _| match source {
        source if source.contains("input_projection") => Some(GgmlType::F16),
        source if source.contains(".embeddings.") => Some(GgmlType::F32),
        _ => None,
    },
    ..PLAIN
};

const PREFIXES: [&str; 4] =
    ["multi_modal_projector.", "vision_tower.", "multimodal_projector.", "vision_model."];

/// Into how many tokens an image is made where the preprocessor does not say.
const TOKENS: u32 = 256;
/// The scale that llama.cpp takes where the file gives none.
const DEFAULT_SCALE: u32 = 4;

fn rename(name: &str) -> Option<String> {
    let seen = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    (seen && !name.contains("vision_model.head.")).then(|| name.replace("_weight", ".weight"))
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = &input.vision;
    keys::kind(keys, "gemma3");
    keys::epsilon(keys, config, &["layer_norm_eps"], 1e-6)?;
    keys.set_bool("use_gelu", Some(true));
    keys.set_u32("vision.projector.scale_factor", token_scale(input)?);
    Ok(())
}

/// How many patches side by side become one token, where that is not what llama.cpp takes for granted.
pub(super) fn token_scale(input: &Input) -> Result<Option<u32>> {
    let config = &input.vision;
    let tokens = keys::u32_or(&input.preprocessor, "image_seq_length", TOKENS)?.isqrt();
    let patches = config.require_u32(&["image_size"])?.checked_div(config.require_u32(&["patch_size"])?);
    let scale = patches.and_then(|patches| patches.checked_div(tokens));
    let scale = scale.ok_or_else(|| config.invalid("patch_size, or image_seq_length, is 0"))?;
    Ok((scale > 0 && scale != DEFAULT_SCALE).then_some(scale))
}

/// The norm of the projector is Gemma's, which counts from 1.
fn emit(_: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name.contains("soft_emb_norm.weight") {
        tensor.expr = tensor.expr.plus(1.0);
    }
    builder.add(tensor)
}
