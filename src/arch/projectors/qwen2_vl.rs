//! What sees in Qwen 2 VL, Qwen 2.5 VL, Sarashina 2.2 Vision and EXAONE 4.5 (`Qwen2VLVisionModel`,
//! `Sarashina2VLVisionModel`, `Exaone4_5VisionModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::config::Config;
use crate::dtype::GgmlType;
use crate::error::Result;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys, patches, qkv};

pub(super) const QWEN2_VL: Projector = Projector {
    names: &["Qwen2VLForConditionalGeneration", "Qwen2VLModel", "Qwen2_5_VLForConditionalGeneration"],
    prepare,
    keys: key_values,
    rename: |name| name.starts_with("visual.").then(|| name.to_owned()),
    emit,
    ggml_type: position_type,
    ..PLAIN
};

pub(super) const SARASHINA2: Projector = Projector {
    names: &["Sarashina2VisionForCausalLM"],
    prepare: |input| {
        input.global.set("model_type", "qwen2_vl");
        prepare(input)
    },
    ..QWEN2_VL
};

pub(super) const EXAONE4_5: Projector = Projector {
    names: &["Exaone4_5_ForConditionalGeneration"],
    keys: exaone_keys,
    rename: |name| {
        let name = name.replacen("model.visual.", "visual.", 1);
        name.starts_with("visual.").then_some(name)
    },
    emit: |input, builder, tensor| match tensor.name.contains(".qkv.") {
        true => builder.add(tensor),
        false => emit(input, builder, tensor),
    },
    ..QWEN2_VL
};

/// Image size where `config.json` gives none.
const IMAGE_SIZE: u32 = 560;

fn prepare(input: &mut Input) -> Result<()> {
    let vision = &mut input.vision;
    if !vision.map().contains_key("image_size") {
        vision.set("image_size", IMAGE_SIZE);
    }
    let mut same = vec![("num_attention_heads", "num_heads"), ("num_hidden_layers", "depth")];
    if vision.map().contains_key("embed_dim") {
        same.extend([("intermediate_size", "hidden_size"), ("hidden_size", "embed_dim")]);
    }
    for (to, from) in same {
        let value = vision.map().get(from).cloned().unwrap_or_default();
        vision.set(to, value);
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    match input.global.str(&["model_type"])? {
        Some("qwen2_vl") => keys::kind(keys, "qwen2vl_merger"),
        Some("qwen2_5_vl") => {
            keys::kind(keys, "qwen2.5vl_merger");
            windows(input, keys)?;
        }
        other => {
            let found = crate::input::quoted(other.unwrap_or_default());
            return Err(input.global.unsupported(format!("model_type {found} is not one of Qwen 2 VL's")));
        }
    }
    keys::epsilon(keys, &input.global, &["rms_norm_eps"], 1e-6)
}

/// What Qwen 2.5 VL has over Qwen 2 VL: most layers look at windows of the image.
pub(super) fn windows(input: &Input, keys: &mut Keys) -> Result<()> {
    keys.set_bool("use_silu", Some(true));
    let period = window_period(&input.vision)?;
    let missing = || input.vision.invalid("fullatt_block_indexes: expected a list of layers, found nothing");
    keys.set_u32("vision.n_wa_pattern", Some(period.ok_or_else(missing)?));
    Ok(())
}

/// Every how manyth layer looks at the whole image, if the file says which do.
fn window_period(vision: &Config) -> Result<Option<u32>> {
    let Some(layers) = vision.u32s("fullatt_block_indexes")?.filter(|layers| !layers.is_empty()) else {
        return Ok(None);
    };
    let period = layers.first().and_then(|first| first.checked_add(1));
    let even = layers.windows(2).all(|pair| pair[1].checked_sub(pair[0]) == period);
    match period.filter(|_| even) {
        Some(period) => Ok(Some(period)),
        None => {
            Err(vision.unsupported(format!("fullatt_block_indexes: layers {layers:?} are not evenly spaced")))
        }
    }
}

fn exaone_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "exaone4_5");
    keys.set_bool("use_silu", Some(true));
    for (key, setting) in [("image_min_pixels", "min_pixels"), ("image_max_pixels", "max_pixels")] {
        keys.set_u32(&format!("vision.{key}"), Some(input.preprocessor.require_u32(&[setting])?));
    }
    keys.set_u32("vision.attention.head_count_kv", input.vision.u32(&["num_key_value_heads"])?);
    let own = input.vision.map().contains_key("rms_norm_eps");
    keys::epsilon(keys, if own { &input.vision } else { &input.global }, &["rms_norm_eps"], 1e-6)?;
    keys.set_u32("vision.window_size", input.vision.u32(&["window_size"])?);
    keys.set_u32("vision.n_wa_pattern", window_period(&input.vision)?);
    Ok(())
}

pub(super) fn emit(_: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if tensor.name.contains(".qkv.") {
        return qkv::split(builder, &tensor, "qkv", ["q", "k", "v"]);
    }
    if tensor.name.contains("patch_embed.proj.weight") {
        return patches::pair(builder, &tensor);
    }
    builder.add(tensor)
}

/// Learned positions stay F32.
pub(super) fn position_type(_: &Input, _: &str, name: &str) -> Option<GgmlType> {
    name.contains(".position_embd.").then_some(GgmlType::F32)
}
