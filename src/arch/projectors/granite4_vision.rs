//! What sees in Granite 4 Vision: SigLIP with a query transformer for each layer whose output is taken
//! (`Granite4VisionMmprojModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::{Tensor, is_decimal};
use crate::config::Config;
use crate::error::Result;
use crate::json::Value as Json;

use super::builder::Builder;
use super::projector::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const GRANITE4_VISION: Projector = Projector {
    names: &["Granite4VisionForConditionalGeneration"],
    prepare: |input| projections(input).map(|_| ()),
    keys: key_values,
    rename: |name| {
        let unused = name.contains("vision_model.head") || name.starts_with("lm_head");
        (!unused).then(|| name.to_owned())
    },
    emit,
    ..PLAIN
};

/// One of the projectors: of which layer's output, for which layer of the text model.
struct Projection {
    vision_layer: i64,
    text_layer: i64,
    /// Whether it is for a part of the image, and not for all of it.
    spatial: bool,
    /// Its number among those of its kind.
    number: usize,
}

/// The projectors, by the layers that they are for.
fn projections(input: &Input) -> Result<Vec<Projection>> {
    let global = &input.global;
    let text = i64::from(global.section("text_config")?.require_u32(&["num_hidden_layers"])?);
    let vision = i64::from(input.vision.require_u32(&["num_hidden_layers"])?);
    let from_end = |layer: i64, layers: i64| if layer < 0 { layers.saturating_add(layer) } else { layer };
    let mut pairs = pairs(global, "deepstack_layer_map")?;
    pairs.sort_unstable();
    let all = (0..).zip(pairs).map(|(number, [vision_layer, text_layer])| Projection {
        vision_layer: from_end(vision_layer, vision),
        text_layer: from_end(text_layer, text),
        spatial: false,
        number,
    });
    let mut all: Vec<_> = all.collect();
    let spatial = global.numbers("spatial_target_layers")?.unwrap_or_default();
    let layer = global.map().get("spatial_vision_layer").map_or(Some(-1), Json::as_i64);
    let layer = layer.ok_or_else(|| global.invalid("spatial_vision_layer: expected an integer"))?;
    for (number, target) in (0..).zip(&spatial) {
        let text_layer =
            target.as_i64().ok_or_else(|| global.invalid("spatial_target_layers: expected layers"))?;
        all.push(Projection { vision_layer: from_end(layer, vision), text_layer, spatial: true, number });
    }
    all.sort_by_key(|projection| projection.text_layer);
    Ok(all)
}

/// A list of pairs of integers under `key`.
fn pairs(config: &Config, key: &str) -> Result<Vec<[i64; 2]>> {
    let Some((_, value)) = config.get(&[key]) else { return Ok(Vec::new()) };
    let pair = |pair: &Json| match pair.as_array()?.as_slice() {
        [a, b] => Some([a.as_i64()?, b.as_i64()?]),
        _ => None,
    };
    let pairs = value.as_array().and_then(|pairs| pairs.iter().map(pair).collect());
    pairs.ok_or_else(|| config.invalid(format!("{key}: expected a list of pairs of integers")))
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let (vision, global) = (&input.vision, &input.global);
    keys::kind(keys, "granite4_vision");
    keys::epsilon(keys, vision, &["layer_norm_eps"], 1e-6)?;
    keys.set_bool("use_gelu", Some(true));
    keys.set_u32("vision.preproc_image_size", Some(keys::u32_or(vision, "image_size", 384)?));
    let rate = global.str(&["downsample_rate"])?.unwrap_or_default();
    let sides = rate.split_once('/').and_then(|(query, window)| {
        Some((query.trim().parse::<u32>().ok()?, window.trim().parse::<u32>().ok()?))
    });
    let Some((query, window)) = sides else {
        return Err(global.invalid("downsample_rate: expected two numbers with a slash between them"));
    };
    keys.set_u32("vision.projector.query_side", Some(query));
    keys.set_u32("vision.projector.window_side", Some(window));
    let all = projections(input)?;
    let set = |keys: &mut Keys, key: &str, numbers: Vec<i64>| -> Result<()> {
        let numbers: Vec<Json> = numbers.into_iter().map(Json::Int).collect();
        keys::set_numbers(keys, global, key, &numbers)
    };
    set(keys, "vision.feature_layer", all.iter().map(|p| p.vision_layer).collect())?;
    let offset = |p: &Projection| if p.spatial { i64::try_from(p.number).unwrap_or(i64::MAX) } else { -1 };
    set(keys, "vision.projector.spatial_offsets", all.iter().map(offset).collect())?;
    let points = pairs(global, "image_grid_pinpoints")?;
    set(keys, "vision.image_grid_pinpoints", points.into_iter().flat_map(|[h, w]| [w, h]).collect())?;
    Ok(())
}

/// The projector that a tensor belongs to, by its number in the order of layers.
fn projection_of(input: &Input, name: &str) -> Result<Option<usize>> {
    let of = |p: &Projection| {
        let kind = if p.spatial { "spatial" } else { "layerwise" };
        name.starts_with(&format!("model.{kind}_projectors.{}", p.number))
    };
    Ok(projections(input)?.iter().position(of))
}

/// Numbers of projectors and of their layers become the projectors' in the order of layers: they have one layer each.
fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let Some(number) = projection_of(input, &tensor.name)? else { return builder.add(tensor) };
    let parts: Vec<&str> = tensor.name.split('.').collect();
    let inner = 1..parts.len().saturating_sub(1);
    let numbers: Vec<usize> =
        inner.filter(|at| parts.get(*at).is_some_and(|part| is_decimal(part))).collect();
    let number = number.to_string();
    let mut renamed = parts.clone();
    match *numbers.as_slice() {
        [at] => renamed[at] = &number,
        [first, second] => {
            renamed[second] = &number;
            renamed.remove(first);
        }
        _ => return Err(builder.unknown(&tensor.name)),
    }
    builder.add_named(renamed.join("."), tensor.layer, tensor.expr)
}
