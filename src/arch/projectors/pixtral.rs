//! What sees in Pixtral, Mistral Small 3.1 and LightOnOCR (`LlavaVisionModel`, `PixtralModel`, `LightOnOCRVisionModel` of
//! the reference).

use crate::arch::Keys;
use crate::arch::models::interleave_rotary;
use crate::arch::tensors::Tensor;
use crate::config::read_json;
use crate::error::{Error, Result};
use crate::gguf::Value;
use crate::input::quoted;
use crate::json::Value as Json;
use crate::vocab::{TokenizerFile, special_tekken_token};

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const LLAVA: Projector = Projector {
    names: &["LlavaForConditionalGeneration", "Mistral3ForConditionalGeneration"],
    prepare: |input| {
        check_class(input)?;
        let id = added_token(input, true)?;
        input.vision.set(BREAK, id);
        Ok(())
    },
    keys: key_values,
    emit,
    ..PLAIN
};

pub(super) const LIGHTON_OCR: Projector = Projector {
    names: &["LightOnOCRForConditionalGeneration"],
    prepare: |input| {
        check_class(input)?;
        input.vision.set(BREAK, 0);
        Ok(())
    },
    keys: |input, keys| {
        key_values(input, keys)?;
        keys::kind(keys, "lightonocr");
        Ok(())
    },
    rename: |name| {
        let name = name.replace("model.vision_encoder.", "vision_tower.");
        Some(name.replace("model.vision_projection.", "multi_modal_projector."))
    },
    ..LLAVA
};

pub(super) const PIXTRAL: Projector = Projector {
    vision_config: &["vision_encoder"],
    prepare: prepare_mistral,
    keys: mistral_keys,
    emit: |input, builder, mut tensor| {
        for (from, to) in [("w_in", "mm.1"), ("w_out", "mm.2")] {
            for kind in ["weight", "bias"] {
                if tensor.name == format!("vision_language_adapter.{from}.{kind}") {
                    return builder.add_as(format!("{to}.{kind}"), tensor.layer, tensor.expr);
                }
            }
        }
        emit_named(input, builder, &mut tensor)
    },
    ..PLAIN
};

/// The id of the token that ends a row of an image; 0 if none does.
const BREAK: &str = "image_break_token_id";
const BREAK_TOKEN: &str = "[IMG_BREAK]";

/// What the names of tensors that belong to it start with.
const PREFIXES: [&str; 6] = [
    "multi_modal_projector.",
    "vision_tower.",
    "vision_encoder.",
    "vision_language_adapter.",
    "patch_merger.",
    "pre_mm_projector_norm",
];

fn check_class(input: &Input) -> Result<()> {
    match input.vision.str(&["model_type"])? {
        Some("pixtral") => Ok(()),
        other => {
            let found = quoted(other.unwrap_or_default());
            Err(input
                .global
                .unsupported(format!("vision_config.model_type: expected \"pixtral\", found {found}")))
        }
    }
}

fn prepare_mistral(input: &mut Input) -> Result<()> {
    if input.vision.map().is_empty() {
        return Err(input
            .global
            .unsupported("vision_encoder: expected an object; this model has no projector"));
    }
    let epsilon = input.global.require_f64(&["norm_eps"])?;
    input.vision.set("norm_eps", epsilon);
    let given = input.vision.map().get(BREAK).and_then(Json::as_i64);
    let given = given.ok_or_else(|| input.vision.invalid(format!("{BREAK}: expected an integer")))?;
    if given < 0 {
        let id = match input.dir.exists("tekken.json")? {
            true => special_tekken_token(input.dir, BREAK_TOKEN)?,
            false => None,
        };
        let id = id.map_or_else(|| added_token(input, false), |id| Ok(signed(id)))?;
        input.vision.set(BREAK, id);
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "pixtral");
    keys::epsilon(keys, &input.vision, &["layer_norm_eps"], 1e-5)?;
    keys::activation(keys, &input.vision)?;
    if input.global.map().contains_key("spatial_merge_size") {
        let size = input.global.require_u32(&["spatial_merge_size"])?;
        keys.set_u32("vision.spatial_merge_size", Some(size));
    }
    Ok(())
}

fn mistral_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let vision = &input.vision;
    keys::kind(keys, "pixtral");
    keys::epsilon(keys, vision, &["norm_eps"], 0.0)?;
    keys.set("rope.freq_base", Value::F32(vision.require_f32(&["rope_theta"])?));
    keys.set_bool("use_silu", Some(true));
    if vision.str(&["mm_projector_id"])? == Some("patch_merge") {
        keys.set_u32("vision.spatial_merge_size", Some(vision.require_u32(&["spatial_merge_size"])?));
    }
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let is = |matrix: &str| {
        ["weight", "bias"].iter().any(|kind| tensor.name.ends_with(&format!("{matrix}.{kind}")))
    };
    if PREFIXES.iter().any(|prefix| tensor.name.starts_with(prefix)) && (is("q_proj") || is("k_proj")) {
        let heads = input.vision.require_u32(&["num_attention_heads"])?;
        tensor.expr = interleave_rotary(&tensor.name, tensor.expr, heads).map_err(|p| builder.invalid(p))?;
    }
    emit_named(input, builder, &mut tensor)
}

/// Adds a tensor of the vision part, and of the text model's embeddings what stands for the end of a row of an image.
fn emit_named(input: &Input, builder: &mut Builder, tensor: &mut Tensor) -> Result<()> {
    let Tensor { name, layer, expr } = tensor;
    if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return builder.add_named(name.clone(), *layer, expr.clone());
    }
    let embedding = if input.mistral_format { "tok_embeddings.weight" } else { "embed_tokens.weight" };
    let id = input.vision.map().get(BREAK).and_then(Json::as_u64).unwrap_or(0);
    if id == 0 || !name.contains(embedding) {
        return Ok(());
    }
    let shape = expr.shape().to_vec();
    let [rows, columns] = *shape else {
        return Err(builder.invalid(format!("{name}: expected a matrix, found shape {shape:?}")));
    };
    if id >= rows {
        return Err(builder
            .invalid(format!("{name}: expected a row for token {id} ({BREAK_TOKEN}), found {rows} rows")));
    }
    let row = expr.clone().rows(id, id + 1)?.reshape(&[columns])?;
    builder.add_as("v.token_embd.img_break", *layer, row)
}

/// An id as settings hold it. Those beyond are the row of no matrix.
fn signed(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// The id of the token in `tokenizer_config.json` if `configured`, or else in `tokenizer.json`.
fn added_token(input: &Input, configured: bool) -> Result<i64> {
    if configured {
        let config = read_json(input.dir, "tokenizer_config.json")?;
        let decoder = config.get("added_tokens_decoder").and_then(Json::as_object);
        let mut entries = decoder.into_iter().flatten();
        let is_break = |token: &Json| token.get("content").and_then(Json::as_str) == Some(BREAK_TOKEN);
        if let Some((id, _)) = entries.find(|(_, token)| is_break(token)) {
            let problem = || Error::invalid(input.dir.join("tokenizer_config.json"), "an id is no number");
            return id.trim().parse().map_err(|_| problem());
        }
    }
    TokenizerFile::new(input.dir).require_id(BREAK_TOKEN).map(signed)
}
