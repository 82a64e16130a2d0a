//! What sees in DeepSeek V4 Flash (`DeepseekV4FlashVisionModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::error::Result;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const DEEPSEEK_V4: Projector = Projector {
    names: &["DeepseekV4ForCausalLM"],
    prepare,
    keys: key_values,
    rename: |name| {
        let seen = ["vision.", "aligner.", "image_"].iter().any(|prefix| name.starts_with(prefix));
        seen.then(|| name.to_owned())
    },
    emit,
    ..PLAIN
};

/// Settings are beside the text model's; which of them are usual ones.
const SETTINGS: [(&str, &str); 7] = [
    ("num_hidden_layers", "vision_n_layers"),
    ("hidden_size", "vision_dim"),
    ("num_attention_heads", "vision_n_heads"),
    ("intermediate_size", "vision_inter_dim"),
    ("patch_size", "vision_patch_size"),
    ("downsample_ratio", "vision_downsample_ratio"),
    ("min_pixels", "vision_min_pixels"),
];

/// What llama.cpp's code has for the number of tokens of an image, and for how oblong it may be.
const LIMITS: [(&str, u32); 2] = [("vision_max_n_token", 384), ("vision_max_wh_ratio", 8)];

fn prepare(input: &mut Input) -> Result<()> {
    let global = &input.global;
    if keys::u32_or(global, "vision_n_layers", 0)? == 0 {
        return Err(global.unsupported("vision_n_layers: expected more than 0; this model has no projector"));
    }
    let mut sizes = Vec::new();
    for (to, from) in SETTINGS {
        sizes.push((to, global.require_u32(&[from])?));
    }
    let (patch, ratio) =
        (global.require_u32(&["vision_patch_size"])?, global.require_u32(&["vision_downsample_ratio"])?);
    let cell = keys::times(global, "vision_patch_size", patch, ratio)?;
    sizes.push(("image_size", keys::times(global, "vision_patch_size", cell, 16)?));
    sizes.into_iter().for_each(|(key, size)| input.vision.set(key, size));
    for key in ["image_mean", "image_std"] {
        if !input.preprocessor.map().contains_key(key) {
            input.preprocessor.set(key, vec![crate::json::Value::Float(0.5); 3]);
        }
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "deepseek4v");
    keys.set_f32("vision.attention.layer_norm_epsilon", Some(1e-6));
    keys.set_bool("use_silu", Some(true));
    keys.set_u32("vision.projector.scale_factor", Some(input.vision.require_u32(&["downsample_ratio"])?));
    keys.set_u32("vision.image_min_pixels", Some(input.vision.require_u32(&["min_pixels"])?));
    for (key, expected) in LIMITS {
        let found = input.global.require_u32(&[key])?;
        if found != expected {
            let problem = format!("{key}: expected {expected}, as llama.cpp has it, found {found}");
            return Err(input.global.unsupported(problem));
        }
    }
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name == "vision.patch_embed.proj.weight" {
        let side = u64::from(input.vision.require_u32(&["patch_size"])?);
        let rows = tensor.expr.shape().first().copied().unwrap_or(0);
        tensor.expr = tensor.expr.reshape(&[rows, 3, side, side])?;
    }
    if !tensor.name.contains(".mlp.w1.") {
        return builder.add(tensor);
    }
    let (gate, up) = tensor.expr.halves(0)?;
    builder.add_named(tensor.name.replace("w1", "w1_gate"), tensor.layer, gate)?;
    builder.add_named(tensor.name.replace("w1", "w1_up"), tensor.layer, up)
}
