//! What sees in DeepSeek-OCR, DeepSeek-OCR 2 and Unlimited OCR: two encoders, one behind the other
//! (`DeepseekOCRVisionModel`, `DeepseekOCR2VisionModel`, `UnlimitedOCRVisionModel` of the reference).

use crate::arch::Keys;
use crate::dtype::GgmlType;
use crate::error::Result;
use crate::json::Value as Json;

use super::gemma3::token_scale;
use super::whisper::with_ones_before;
use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const DEEPSEEK_OCR: Projector = Projector {
    names: &["DeepseekOCRForCausalLM"],
    prepare,
    keys: |input, keys| key_values(input, keys, "deepseekocr", 9),
    rename: |name| {
        let text = ["lm_head.", "model.embed_tokens.", "model.layers.", "model.norm."];
        let unsaid = ["pos_embed", "rel_pos_h", "rel_pos_w"].iter().any(|end| name.ends_with(end));
        let text = text.iter().any(|prefix| name.starts_with(prefix));
        (!text).then(|| if unsaid { format!("{name}.weight") } else { name.to_owned() })
    },
    emit: |_, builder, mut tensor| {
        if tensor.name.ends_with("view_seperator") {
            tensor.expr = with_ones_before(tensor.expr)?;
        }
        builder.add(tensor)
    },
    ggml_type: |_, source, _| EXACT.iter().any(|part| source.contains(part)).then_some(GgmlType::F32),
    ..PLAIN
};

pub(super) const UNLIMITED_OCR: Projector = Projector {
    names: &["UnlimitedOCRForCausalLM"],
    keys: |input, keys| key_values(input, keys, "deepseekocr", 32),
    ..DEEPSEEK_OCR
};

pub(super) const DEEPSEEK_OCR2: Projector = Projector {
    names: &["DeepseekOCR2ForCausalLM"],
    prepare: |input| {
        prepare(input)?;
        let width = input.vision.section("width")?.section("qwen2-0-5b")?.require_u32(&["dim"])?;
        input.vision.set("hidden_size", width);
        // The encoder is one of fixed sizes, which the file need not give.
        for (key, size) in
            [("layers", 24), ("patch_size", 16), ("intermediate_size", 4864), ("num_attention_heads", 14)]
        {
            if input.vision.get(&[key]).is_none() {
                input.vision.set(key, size);
            }
        }
        Ok(())
    },
    keys: |input, keys| {
        key_values(input, keys, "deepseekocr2", 6)?;
        keys.set_u32("vision.attention.head_count_kv", Some(2));
        Ok(())
    },
    ..DEEPSEEK_OCR
};

/// Parts of names of tensors that stay F32.
const EXACT: [&str; 6] = [".embeddings.", "pos_embed", ".rel_pos_h", ".rel_pos_w", ".neck.", ".net_"];

/// The section of `width` that is for CLIP, where there is one.
const CLIP: &str = "clip-l-14-224";

/// Settings of the two encoders are in `width`, each in a section of its own.
fn prepare(input: &mut Input) -> Result<()> {
    let vision = &mut input.vision;
    if vision.map().is_empty() {
        return Err(input.global.invalid("vision_config: expected an object, found nothing"));
    }
    let width = vision.section("width")?;
    let Some(sam) = width.map().get("sam_vit_b").filter(|sam| sam.is_object()).cloned() else {
        return Err(vision.invalid("width.sam_vit_b: expected an object"));
    };
    vision.set("sam", sam);
    if let Some(clip) = width.map().get(CLIP).filter(|clip| !clip.is_null()) {
        let Some(clip) = clip.as_object() else {
            return Err(vision.invalid(format!("width.{CLIP}: expected an object")));
        };
        for (key, value) in clip.clone() {
            vision.set(key, value);
        }
    }
    if let Some(width) = vision.map().get("width").filter(|width| matches!(width, Json::Int(_))).cloned() {
        vision.set("hidden_size", width);
    }
    if let Some(heads) = vision.u32(&["heads"])? {
        let size = keys::times(vision, "heads", heads, 4)?;
        vision.set("num_heads", heads);
        vision.set("intermediate_size", size);
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys, kind: &str, tiles: u32) -> Result<()> {
    keys::common(input, keys)?;
    let vision = &input.vision;
    keys::kind(keys, kind);
    keys::epsilon(keys, vision, &["layer_norm_eps"], 1e-6)?;
    keys.set_bool("use_gelu", Some(true));
    keys.set_u32("vision.projector.scale_factor", token_scale(input)?);
    keys.set_u32("vision.window_size", Some(keys::u32_or(vision, "window_size", 14)?));
    keys.set_u32("vision.preproc_min_tiles", Some(2));
    keys.set_u32("vision.preproc_max_tiles", Some(tiles));
    let sam = vision.section("sam")?;
    for (key, setting) in [("block_count", "layers"), ("embedding_length", "width"), ("head_count", "heads")]
    {
        keys.set_u32(&format!("vision.sam.{key}"), Some(sam.require_u32(&[setting])?));
    }
    Ok(())
}
