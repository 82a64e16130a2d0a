//! What sees in Granite 4 Vision: an encoder with several projectors, each for a layer of the text model
//! (`Granite4VisionMmprojModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::{Tensor, is_decimal};
use crate::config::Config;
use crate::error::Result;
use crate::gguf::Value;
use crate::json::Value as Json;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const GRANITE4_VISION: Projector = Projector {
    names: &["Granite4VisionForConditionalGeneration"],
    keys: key_values,
    rename: |name| {
        let other = name.contains("vision_model.head") || name.starts_with("lm_head");
        (!other).then(|| name.to_owned())
    },
    emit,
    ..PLAIN
};

/// One of the projectors.
struct Part {
    /// The layer of the encoder that it reads.
    reads: i32,
    /// The layer of the text model that it is for.
    serves: i32,
    /// What its tensors are called after, and its number among those of that name.
    kind: &'static str,
    number: usize,
}

/// The projectors, in the order of the layers they are for.
fn parts(input: &Input) -> Result<Vec<Part>> {
    let (global, mut parts) = (&input.global, Vec::new());
    // Negative numbers count from the end.
    let counted = |number: i32, config: &Config| -> Result<i32> {
        let layers = keys::signed(config, "num_hidden_layers", config.require_u32(&["num_hidden_layers"])?)?;
        Ok(if number < 0 { layers.saturating_add(number) } else { number })
    };
    let mut pairs = pairs(global, "deepstack_layer_map")?;
    pairs.sort_unstable();
    for (number, (reads, serves)) in pairs.into_iter().enumerate() {
        let (reads, serves) = (counted(reads, &input.vision)?, counted(serves, &input.text)?);
        parts.push(Part { reads, serves, kind: "layerwise", number });
    }
    let read = global.map().get("spatial_vision_layer").map_or(Some(-1), integer);
    let read = read.ok_or_else(|| global.invalid("spatial_vision_layer: expected an integer"))?;
    let targets = global.numbers("spatial_target_layers")?.unwrap_or_default();
    for (number, serves) in targets.iter().enumerate() {
        let serves =
            integer(serves).ok_or_else(|| global.invalid("spatial_target_layers: expected integers"))?;
        parts.push(Part { reads: counted(read, &input.vision)?, serves, kind: "spatial", number });
    }
    parts.sort_by_key(|part| part.serves);
    Ok(parts)
}

fn integer(value: &Json) -> Option<i32> {
    value.as_i64().and_then(|number| i32::try_from(number).ok())
}

/// A list of lists of two integers; none where there is no such setting.
fn pairs(config: &Config, key: &str) -> Result<Vec<(i32, i32)>> {
    let wrong = || config.invalid(format!("{key}: expected a list of pairs of integers"));
    let Some((_, list)) = config.get(&[key]) else { return Ok(Vec::new()) };
    let pair = |item: &Json| match item.as_array()?.as_slice() {
        [a, b] => Some((integer(a)?, integer(b)?)),
        _ => None,
    };
    list.as_array().and_then(|items| items.iter().map(pair).collect()).ok_or_else(wrong)
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let (vision, global) = (&input.vision, &input.global);
    keys::kind(keys, "granite4_vision");
    keys::epsilon(keys, vision, &["layer_norm_eps"], 1e-6)?;
    keys.set_bool("use_gelu", Some(true));
    keys.set_u32("vision.preproc_image_size", Some(keys::u32_or(vision, "image_size", 384)?));
    let rate = global.str(&["downsample_rate"])?.unwrap_or_default();
    let sides =
        rate.split_once('/').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    let (query, window) = sides.ok_or_else(|| {
        global.invalid(format!(
            "downsample_rate: expected two sizes as in 4/8, found {}",
            crate::input::quoted(rate)
        ))
    })?;
    keys.set_u32("vision.projector.query_side", Some(query));
    keys.set_u32("vision.projector.window_side", Some(window));
    let parts = parts(input)?;
    let layers = parts.iter().map(|part| part.reads).collect();
    let offsets = parts.iter().map(|part| match part.kind {
        "spatial" => i32::try_from(part.number).unwrap_or(i32::MAX),
        _ => -1,
    });
    // Widths come first in llama.cpp.
    let sizes =
        pairs(global, "image_grid_pinpoints")?.into_iter().flat_map(|(height, width)| [width, height]);
    for (key, numbers) in [
        ("vision.feature_layer", layers),
        ("vision.projector.spatial_offsets", offsets.collect()),
        ("vision.image_grid_pinpoints", sizes.collect::<Vec<_>>()),
    ] {
        if !numbers.is_empty() {
            keys.set(key, Value::I32s(numbers));
        }
    }
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let parts = parts(input)?;
    let own = |part: &Part| format!("model.{}_projectors.{}", part.kind, part.number);
    let Some(index) = parts.iter().position(|part| tensor.name.starts_with(&own(part))) else {
        return builder.add(tensor);
    };
    // Of the numbers, the last is for the projector: its own layers are not told apart.
    let mut words: Vec<&str> = tensor.name.split('.').collect();
    let numbers: Vec<usize> = (1..words.len() - 1).filter(|at| is_decimal(words[*at])).collect();
    let index_text = index.to_string();
    match *numbers {
        [number] => words[number] = &index_text,
        [number, layer] => {
            words[layer] = &index_text;
            words.remove(number);
        }
        _ => {
            let problem = format!("{}: expected one or two numbers in a projector's name", tensor.name);
            return Err(builder.invalid(problem));
        }
    }
    tensor.name = words.join(".");
    tensor.layer = Some(index as u64);
    builder.add(tensor)
}
