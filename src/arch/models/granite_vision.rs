//! What Granite 4 Vision's language model has to know of pictures: which of the vision model's outputs goes into which layer
//! (`Granite4VisionMmprojModel.get_normalized_projector_map` of the reference).

use crate::arch::{Input, Keys};
use crate::config::truthy;
use crate::error::Result;
use crate::gguf::Value;
use crate::json::Value as Json;

/// Adds `deepstack_mapping` if the model has such layers: for each the number of the output that goes into it, or -1. The
/// first output goes where other models' do.
pub(super) fn deepstack(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let list = |key: &str| config.map().get(key).filter(|value| truthy(value));
    let (deep, spatial) = (list("deepstack_layer_map"), list("spatial_target_layers"));
    if deep.is_none() && spatial.is_none() {
        return Ok(());
    }
    let layers = i64::from(config.section("text_config")?.require_u32(&["num_hidden_layers"])?);
    let vision = i64::from(config.section("vision_config")?.require_u32(&["num_hidden_layers"])?);
    let from_end = |layer: i64, count: i64| if layer < 0 { layer.saturating_add(count) } else { layer };
    let invalid = |key: &str| config.invalid(format!("{key}: expected a list of layers' numbers"));
    let mut pairs = Vec::new();
    for pair in items(deep) {
        let [from, to] = pair.as_array().map_or(&[][..], Vec::as_slice) else {
            return Err(invalid("deepstack_layer_map"));
        };
        pairs.push(from.as_i64().zip(to.as_i64()).ok_or_else(|| invalid("deepstack_layer_map"))?);
    }
    pairs.sort_unstable();
    // What sorts outputs that go into one layer: layer of the vision model, kind, number within the kind.
    let mut outputs: Vec<(i64, i64, u8, usize)> = Vec::new();
    for (number, (from, to)) in pairs.into_iter().enumerate() {
        outputs.push((from_end(to, layers), from_end(from, vision), 0, number));
    }
    let source = from_end(
        config.map().get("spatial_vision_layer").map_or(Some(-1), Json::as_i64).unwrap_or(-1),
        vision,
    );
    for (number, to) in items(spatial).iter().enumerate() {
        let to = to.as_i64().ok_or_else(|| invalid("spatial_target_layers"))?;
        outputs.push((to, source, 1, number));
    }
    outputs.sort_by_key(|(to, ..)| *to);
    let mut mapping = vec![-1; input.layers as usize];
    for (number, (to, ..)) in outputs.iter().enumerate().skip(1) {
        let slot = usize::try_from(*to).ok().and_then(|to| mapping.get_mut(to));
        let slot =
            slot.ok_or_else(|| config.invalid(format!("there is no layer {to} for vision to go into")))?;
        *slot = i32::try_from(number).unwrap_or(i32::MAX);
    }
    keys.set("deepstack_mapping", Value::I32s(mapping));
    Ok(())
}

fn items(list: Option<&Json>) -> &[Json] {
    list.and_then(Json::as_array).map_or(&[], Vec::as_slice)
}
