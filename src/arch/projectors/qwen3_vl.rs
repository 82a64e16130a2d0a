//! What sees in Qwen 3 VL, 3.5 and 4 Exp, GLM-4V, GLM-OCR and GLM-5 Next (`Qwen3VLVisionModel`, `Glm4VVisionModel`,
//! `Glm5NextVisionModel`, `Qwen4ExpVisionModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::error::Result;
use crate::gguf::Value;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys, patches};

pub(super) const QWEN3_VL: Projector = Projector {
    names: &[
        "Qwen3VLForConditionalGeneration",
        "Qwen3VLMoeForConditionalGeneration",
        "Qwen3_5ForConditionalGeneration",
        "Qwen3_5MoeForConditionalGeneration",
        "Qwen4ExpForConditionalGeneration",
    ],
    prepare,
    keys: key_values,
    rename: |name| {
        let name = match name.strip_prefix("model.visual.") {
            Some(rest) => format!("visual.{rest}"),
            None => name.to_owned(),
        };
        name.starts_with("visual.").then_some(name)
    },
    emit,
    ..PLAIN
};

pub(super) const GLM4V: Projector = Projector {
    names: &[
        "Glm4vForConditionalGeneration",
        "Glm4vMoeForConditionalGeneration",
        "GlmOcrForConditionalGeneration",
    ],
    keys: |input, keys| glm_keys(input, keys, "glm4v"),
    emit: |input, builder, tensor| match tensor.name.starts_with("visual.merger.") {
        true => builder.add(tensor),
        false => emit(input, builder, tensor),
    },
    ..QWEN3_VL
};

pub(super) const GLM5_NEXT: Projector =
    Projector { names: &["Glm5NextForConditionalGeneration"], keys: glm5_keys, ..GLM4V };

/// Settings that `config.json` may leave out where no class has defaults for them.
const POSITIONS: u32 = 2304;
const PATCH_SIZE: u32 = 16;

pub(super) fn prepare(input: &mut Input) -> Result<()> {
    let vision = &mut input.vision;
    if !vision.map().contains_key("image_size") {
        let positions = keys::u32_or(vision, "num_position_embeddings", POSITIONS)?;
        let patch = keys::u32_or(vision, "patch_size", PATCH_SIZE)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let size = (f64::from(positions).sqrt() * f64::from(patch)) as u32;
        vision.set("image_size", size);
    }
    for (to, from) in [("num_attention_heads", "num_heads"), ("num_hidden_layers", "depth")] {
        let value = vision.map().get(from).cloned().unwrap_or_default();
        vision.set(to, value);
    }
    deepstack(input).map(|_| ())
}

/// Which layers' results go on beside the last one's, if the file says so.
fn deepstack(input: &Input) -> Result<Vec<u32>> {
    const KEY: &str = "deepstack_visual_indexes";
    if input.vision.map().get(KEY).is_some_and(crate::json::Value::is_null) {
        return Err(input.vision.invalid(format!("{KEY}: expected a list of layers, found null")));
    }
    let layers = input.vision.u32s(KEY)?.unwrap_or_default();
    let depth = input.vision.require_u32(&["num_hidden_layers"])?;
    match layers.iter().find(|layer| **layer >= depth) {
        None => Ok(layers),
        Some(layer) => {
            Err(input.vision.invalid(format!("{KEY}: expected layers below {depth}, found {layer}")))
        }
    }
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "qwen3vl_merger");
    keys.set_bool("use_gelu", Some(true));
    keys.set_u32("vision.spatial_merge_size", input.vision.u32(&["spatial_merge_size"])?);
    let text = input.global.optional_section("text_config")?;
    keys::epsilon(keys, &text, &["rms_norm_eps"], 1e-6)?;
    let taken = deepstack(input)?;
    let layers = (0..input.layers).map(|layer| taken.contains(&layer)).collect();
    keys.set_bools("vision.is_deepstack_layers", layers);
    Ok(())
}

fn glm_keys(input: &Input, keys: &mut Keys, kind: &str) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, kind);
    keys::activation_if_known(keys, &input.vision)?;
    keys::epsilon(keys, &input.vision, &["rms_norm_eps"], 1e-5)
}

fn glm5_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    glm_keys(input, keys, "glm5v")?;
    keys.set_u32("vision.spatial_merge_size", Some(keys::u32_or(&input.vision, "spatial_merge_size", 2)?));
    keys.set_f32("vision.swiglu_clamp", input.vision.f32(&["swiglu_limit"])?);
    let images = &input.preprocessor;
    let side = u64::from(keys::u32_or(images, "patch_size", 14)?)
        * u64::from(keys::u32_or(images, "merge_size", 2)?);
    for (key, setting) in [("min", "min_image_tokens"), ("max", "max_image_tokens")] {
        if let Some(tokens) = images.u32(&[setting])? {
            let pixels = keys::pixels(images, setting, tokens, side)?;
            keys.set(&format!("vision.image_{key}_pixels"), Value::U32(pixels));
        }
    }
    Ok(())
}

pub(super) fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let layer = tensor.layer;
    if let Some(rest) = tensor.name.strip_prefix("visual.deepstack_merger_list.") {
        let name = deepstack_name(input, rest).ok_or_else(|| builder.unknown(&tensor.name))?;
        return builder.add_named(name, layer, tensor.expr);
    }
    if let Some(rest) = tensor.name.strip_prefix("visual.merger.") {
        let name = [("linear_fc1.", "mm.0."), ("linear_fc2.", "mm.2."), ("norm.", "v.post_ln.")]
            .iter()
            .find_map(|(from, to)| Some(format!("{to}{}", rest.strip_prefix(from)?)));
        let name = name.ok_or_else(|| builder.unknown(&tensor.name))?;
        return builder.add_as(name, layer, tensor.expr);
    }
    match tensor.name.as_str() {
        "visual.patch_embed.proj.weight" => patches::pair(builder, &tensor),
        "visual.patch_embed.proj.bias" => builder.add_as("v.patch_embd.bias", layer, tensor.expr),
        _ => builder.add(tensor),
    }
}

/// The GGUF name of what is called `rest` in the list of mergers: they count up, GGUF has the layers' numbers.
fn deepstack_name(input: &Input, rest: &str) -> Option<String> {
    let (number, part) = rest.split_once('.')?;
    let layer = *deepstack(input).ok()?.get(number.parse::<usize>().ok()?)?;
    let parts = [("norm.", "norm."), ("linear_fc1.", "fc1."), ("linear_fc2.", "fc2.")];
    let (from, to) = parts.iter().find(|(from, _)| part.starts_with(from))?;
    Some(format!("v.deepstack.{layer}.{to}{}", part.strip_prefix(from)?))
}
