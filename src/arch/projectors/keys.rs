//! Key-values, number of layers and element types that projectors share (`MmprojModel` of the reference).

use crate::arch::Keys;
use crate::arch::keys::bounded_layers;
use crate::config::Config;
use crate::dtype::GgmlType;
use crate::error::Result;
use crate::gguf::Value;
use crate::json::Value as Json;

use super::Input;
use crate::arch::FileType;

/// The number of layers, by any of its names.
pub(super) const LAYERS: [&str; 8] = [
    "n_layers",
    "num_hidden_layers",
    "n_layer",
    "num_layers",
    "depth",
    "layers",
    "encoder_layers",
    "vt_num_hidden_layers",
];

/// Tensors of projectors that both see and hear may belong to this many layers.
const LAYERS_OF_BOTH: u32 = 128;

/// How images are normalized for models in Mistral's own format.
pub(super) const MISTRAL_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
pub(super) const MISTRAL_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// Number of layers that tensors may belong to.
///
/// # Errors
/// If there is none, or it is absurd.
pub(super) fn layers(input: &Input) -> Result<u32> {
    if input.projector.vision && input.projector.audio {
        return Ok(LAYERS_OF_BOTH);
    }
    let config = input.encoder();
    bounded_layers(config, config.require_u32(&LAYERS)?.into())
}

/// Adds the keys that all projectors have.
///
/// # Errors
/// If a setting is missing or of the wrong type.
pub(super) fn common(input: &Input, keys: &mut Keys) -> Result<()> {
    keys.values.set_u32("general.file_type", input.ftype as u32);
    if input.projector.vision {
        vision(input, keys)?;
    }
    if input.hears {
        audio(input, keys)?;
    }
    Ok(())
}

fn vision(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = &input.vision;
    keys.set_bool("has_vision_encoder", Some(true));
    keys.set_u32("vision.projection_dim", Some(input.text_width()?));
    let sizes: [(&str, &[&str]); 6] = [
        ("vision.image_size", &["image_size"]),
        ("vision.patch_size", &["patch_size"]),
        ("vision.embedding_length", &["hidden_size", "width", "vt_hidden_size"]),
        ("vision.feed_forward_length", &["intermediate_size", "vt_intermediate_size"]),
        ("vision.block_count", &LAYERS),
        (
            "vision.attention.head_count",
            &["num_attention_heads", "num_heads", "heads", "vt_num_attention_heads"],
        ),
    ];
    for (key, settings) in sizes {
        keys.set_u32(key, Some(config.require_u32(settings)?));
    }
    if input.mistral_format {
        keys.set("vision.image_mean", Value::F32s(MISTRAL_MEAN.to_vec()));
        keys.set("vision.image_std", Value::F32s(MISTRAL_STD.to_vec()));
        return Ok(());
    }
    for setting in ["image_mean", "image_std"] {
        let numbers = input.preprocessor.numbers(setting)?;
        let numbers = numbers.ok_or_else(|| {
            let problem = format!("{setting}: expected a list of numbers, found nothing");
            input.preprocessor.invalid(problem).hint("get all of the model's files")
        })?;
        set_numbers(keys, &input.preprocessor, &format!("vision.{setting}"), &numbers)?;
    }
    Ok(())
}

fn audio(input: &Input, keys: &mut Keys) -> Result<()> {
    keys.set_bool("has_audio_encoder", Some(true));
    keys.set_u32("audio.projection_dim", Some(input.text_width()?));
    let sizes: [(&str, &[&str]); 4] = [
        ("audio.embedding_length", &["hidden_size"]),
        ("audio.feed_forward_length", &["intermediate_size"]),
        ("audio.block_count", &LAYERS),
        ("audio.attention.head_count", &["num_attention_heads"]),
    ];
    for (key, settings) in sizes {
        keys.set_u32(key, Some(input.audio.require_u32(settings)?));
    }
    Ok(())
}

/// Sets a list of numbers, which must be all of one kind, as Python tells them apart; an empty one is left out.
pub(super) fn set_numbers(keys: &mut Keys, config: &Config, key: &str, numbers: &[Json]) -> Result<()> {
    let integers = numbers.iter().map(|n| i32::try_from(n.as_i64()?).ok()).collect::<Option<Vec<_>>>();
    #[allow(clippy::cast_possible_truncation)]
    let floats = numbers.iter().map(|n| match n {
        Json::Float(float) => Some(*float as f32),
        _ => None,
    });
    match (integers, floats.collect::<Option<Vec<_>>>()) {
        _ if numbers.is_empty() => {}
        (_, Some(floats)) => keys.set(key, Value::F32s(floats)),
        (Some(integers), _) => keys.set(key, Value::I32s(integers)),
        (None, None) => {
            return Err(config.invalid(format!("{key}: expected numbers that are all integers, or none")));
        }
    }
    Ok(())
}

/// Sets the kind of projector.
pub(super) fn kind(keys: &mut Keys, kind: &str) {
    keys.set("projector_type", Value::String(kind.into()));
}

/// Sets `vision.attention.layer_norm_epsilon`, which a setting gives, or else `default`.
///
/// # Errors
/// If the setting is there and no number.
pub(super) fn epsilon(keys: &mut Keys, config: &Config, settings: &[&str], default: f32) -> Result<()> {
    keys.set_f32("vision.attention.layer_norm_epsilon", Some(f32_or(config, settings, default)?));
    Ok(())
}

/// [`epsilon`] of what hears.
///
/// # Errors
/// As [`epsilon`].
pub(super) fn audio_epsilon(keys: &mut Keys, config: &Config, settings: &[&str], default: f32) -> Result<()> {
    keys.set_f32("audio.attention.layer_norm_epsilon", Some(f32_or(config, settings, default)?));
    Ok(())
}

fn f32_or(config: &Config, settings: &[&str], default: f32) -> Result<f32> {
    let given = settings.iter().any(|key| config.map().contains_key(*key));
    if given { config.require_f32(settings) } else { Ok(default) }
}

/// Sets which function the feed-forward layers have, by the name in `hidden_act`.
///
/// # Errors
/// If it is one that llama.cpp has not.
pub(super) fn activation(keys: &mut Keys, config: &Config) -> Result<()> {
    match config.str(&["hidden_act"])? {
        Some("silu") => keys.set_bool("use_silu", Some(true)),
        Some("gelu") => keys.set_bool("use_gelu", Some(true)),
        other => {
            let found = other.map_or_else(|| "nothing".to_owned(), crate::input::quoted);
            return Err(config.unsupported(format!("hidden_act: expected silu or gelu, found {found}")));
        }
    }
    Ok(())
}

/// A setting that has a default where it is missing.
///
/// # Errors
/// If it is there and not an unsigned integer.
pub(super) fn u32_or(config: &Config, key: &str, default: u32) -> Result<u32> {
    if config.map().contains_key(key) { config.require_u32(&[key]) } else { Ok(default) }
}

/// [`activation`], and nothing where the function is another one.
///
/// # Errors
/// If it is no name.
pub(super) fn activation_if_known(keys: &mut Keys, config: &Config) -> Result<()> {
    match config.str(&["hidden_act"])?.map(str::to_lowercase).as_deref() {
        Some("gelu") => keys.set_bool("use_gelu", Some(true)),
        Some("silu") => keys.set_bool("use_silu", Some(true)),
        _ => {}
    }
    Ok(())
}

/// `number` rounded to an integer, the even one of two that are as near, which `key` must not make absurd.
///
/// # Errors
/// If it does not fit.
pub(super) fn rounded(config: &Config, key: &str, number: f64) -> Result<u32> {
    let rounded = number.round_ties_even();
    if !(0.0..=f64::from(u32::MAX)).contains(&rounded) {
        return Err(config.invalid(format!("{key}: {number} is too large, or negative")));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "is in range")]
    Ok(rounded as u32)
}

/// 1 divided by a setting, rounded down.
///
/// # Errors
/// If the setting is missing, or the result absurd.
pub(super) fn inverse(config: &Config, key: &str) -> Result<u32> {
    let number = config.require_f64(&[key])?;
    rounded(config, key, (1.0 / number).trunc())
}

/// The product of two settings, which `key` must not make absurd.
///
/// # Errors
/// If it does not fit 32 bits.
pub(super) fn times(config: &Config, key: &str, a: u32, b: u32) -> Result<u32> {
    a.checked_mul(b).ok_or_else(|| config.invalid(format!("{key}: {a} times {b} does not fit 32 bits")))
}

/// How many pixels are `count` squares of `side` pixels.
///
/// # Errors
/// If they are more than fit 32 bits.
pub(super) fn pixels(config: &Config, key: &str, count: u32, side: u64) -> Result<u32> {
    let pixels = side.checked_mul(side).and_then(|area| area.checked_mul(count.into()));
    let pixels = pixels.and_then(|pixels| u32::try_from(pixels).ok());
    pixels.ok_or_else(|| config.invalid(format!("{key}: {count} make too many pixels")))
}

/// A number that goes into a list, where GGUF's are signed.
///
/// # Errors
/// If it does not fit.
pub(super) fn signed(config: &Config, key: &str, number: u32) -> Result<i32> {
    i32::try_from(number).map_err(|_| config.invalid(format!("{key}: {number} is too large")))
}

/// The type of what must be read exactly, but may be F16 where that was asked for.
pub(super) fn exact(input: &Input) -> GgmlType {
    if input.ftype == FileType::F16 { GgmlType::F16 } else { GgmlType::F32 }
}

/// The type of the output tensor `name` where all projectors agree that it is not what was asked for.
pub(super) fn common_type(input: &Input, name: &str) -> Option<GgmlType> {
    let patches = [".patch_embd.weight", ".patch_merger.weight"].iter().any(|part| name.contains(part));
    patches.then(|| exact(input))
}
