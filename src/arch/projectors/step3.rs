//! What sees in Step3-VL and Step 3.7 (`Step3VLVisionModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::error::Result;
use crate::json::Value as Json;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const STEP3: Projector = Projector {
    names: &["Step3p7ForConditionalGeneration", "StepVLForConditionalGeneration"],
    prepare,
    keys: key_values,
    rename: |name| {
        let text = ["model.", "lm_head."].iter().any(|prefix| name.starts_with(prefix));
        (!text).then(|| name.to_owned())
    },
    emit,
    ggml_type: |input, _, name| match name {
        name if name.contains(".position_embd.") => Some(crate::dtype::GgmlType::F32),
        name if (name.contains("mm.0.") || name.contains("mm.1.")) && name.ends_with(".weight") => {
            Some(keys::exact(input))
        }
        _ => None,
    },
    ..PLAIN
};

/// The only sizes that llama.cpp's code was tried with: stride, image, width, layers.
const KNOWN: [u32; 4] = [2, 728, 1536, 47];
/// Larger images are made smaller.
const LARGEST_IMAGE: u32 = 3024;

fn prepare(input: &mut Input) -> Result<()> {
    let vision = &mut input.vision;
    if !vision.map().get("intermediate_size").is_some_and(Json::is_truthy) {
        let width =
            ["hidden_size", "width"].iter().find(|key| vision.map().get(**key).is_some_and(Json::is_truthy));
        let width = vision.require_u32(&[width.copied().unwrap_or("hidden_size")])?;
        let ratio = vision.f64(&["mlp_ratio"])?.unwrap_or(8960.0 / 1536.0);
        let size = keys::rounded(vision, "mlp_ratio", f64::from(width) * ratio)?;
        vision.set("intermediate_size", size);
    }
    for (key, numbers) in [("image_mean", keys::MISTRAL_MEAN), ("image_std", keys::MISTRAL_STD)] {
        if !input.preprocessor.map().contains_key(key) {
            let numbers: Vec<Json> = numbers.iter().map(|n| Json::Float(f64::from(*n))).collect();
            input.preprocessor.set(key, numbers);
        }
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let (vision, global) = (&input.vision, &input.global);
    let found = [
        global.u32(&["understand_projector_stride"])?,
        vision.u32(&["image_size"])?,
        vision.u32(&["hidden_size", "width"])?,
        vision.u32(&["num_hidden_layers", "layers"])?,
    ];
    if found != KNOWN.map(Some) {
        return Err(global.unsupported(format!(
            "expected understand_projector_stride, image_size, hidden_size and num_hidden_layers to be {KNOWN:?}, as \
             llama.cpp has them, found {found:?}"
        )));
    }
    keys::kind(keys, "step3vl");
    keys::epsilon(keys, vision, &["layer_norm_eps"], 1e-5)?;
    keys.set_u32("vision.projector.scale_factor", Some(KNOWN[0] * KNOWN[0]));
    keys.set_u32("vision.preproc_image_size", Some(LARGEST_IMAGE));
    Ok(())
}

fn emit(_: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if let Some(rest) = tensor.name.strip_prefix("vision_model.vit_downsampler") {
        let parts =
            rest.split_once('.').filter(|(_, kind)| kind.starts_with("weight") || kind.starts_with("bias"));
        let number = parts.and_then(|(number, _)| number.parse::<u32>().ok()?.checked_sub(1));
        let (Some(number), Some((_, kind))) = (number, parts) else {
            return Err(builder.unknown(&tensor.name));
        };
        let kind = if kind.starts_with("weight") { "weight" } else { "bias" };
        return builder.add_as(format!("mm.{number}.{kind}"), tensor.layer, tensor.expr);
    }
    if tensor.name == "vit_large_projector.weight" {
        return builder.add_as("mm.model.fc.weight", tensor.layer, tensor.expr);
    }
    if !tensor.name.starts_with("vision_model.") {
        return Ok(());
    }
    if tensor.name == "vision_model.positional_embedding" {
        tensor.name.push_str(".weight");
    } else if let Some(stem) = tensor.name.strip_suffix(".gamma").filter(|stem| stem.contains(".ls_")) {
        tensor.name = format!("{stem}.weight");
    }
    for kind in ["weight", "bias"] {
        tensor.name = tensor.name.replace(&format!("attn.in_proj_{kind}"), &format!("attn.in_proj.{kind}"));
    }
    builder.add(tensor)
}
