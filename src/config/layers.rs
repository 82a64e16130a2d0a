//! Lists with an entry for each layer (`layer_types` and the like), as configuration classes derive them.
//!
//! Knows nothing of single classes.

use crate::json::Value;

use super::generated::classes::LEGACY_LAYER_TYPES;
use super::values::{Object, Refusal, int, number};

pub(super) const FULL: &str = "full_attention";
pub(super) const SLIDING: &str = "sliding_attention";
pub(super) const LINEAR: &str = "linear_attention";

/// The number of layers; no model is so deep that a list of them would be long.
pub(super) fn depth(config: &Object) -> Result<usize, Refusal> {
    const DEEPEST: i64 = 1 << 16;
    let layers = int(config, "num_hidden_layers")?;
    if layers > DEEPEST {
        return Err(format!("num_hidden_layers is {layers}"));
    }
    Ok(usize::try_from(layers).unwrap_or(0))
}

/// For each layer whether it is the `period`-th, counting from `first`.
pub(super) fn every(
    layers: usize,
    period: &Value,
    first: usize,
) -> Result<impl Iterator<Item = bool> + use<>, Refusal> {
    let period = number(period).filter(|p| *p != 0.0).ok_or("the interval of layers is 0 or no number")?;
    #[allow(clippy::cast_precision_loss)]
    Ok((first..layers.saturating_add(first)).map(move |layer| layer as f64 % period == 0.0))
}

/// A list that names layers by whether something holds for them.
pub(super) fn named(kinds: impl Iterator<Item = bool>, then: &str, other: &str) -> Value {
    kinds.map(|kind| if kind { then } else { other }).collect()
}

/// Full attention in every `period`-th layer, counting from `first`, and another kind in the rest.
pub(super) fn full_every(
    config: &Object,
    period: impl Into<Value>,
    other: &str,
    first: usize,
) -> Result<Value, Refusal> {
    Ok(named(every(depth(config)?, &period.into(), first)?, FULL, other))
}

/// One kind in all layers.
pub(super) fn uniform(config: &Object, kind: &str) -> Result<Value, Refusal> {
    Ok(vec![Value::from(kind); depth(config)?].into())
}

/// Sets which of `count` layers have experts: all but the first `dense`.
pub(super) fn set_mlp_types(config: &mut Object, count: usize, dense: usize) {
    let kinds = named((0..count).map(|layer| layer < dense), "dense", "sparse");
    config.insert("mlp_layer_types".into(), kinds);
}

/// Brings old names of layer types up to date.
pub(super) fn rename(layers: Option<&mut Value>) {
    let Some(Value::Array(kinds)) = layers else {
        return;
    };
    for kind in kinds {
        if let Some((_, new)) = LEGACY_LAYER_TYPES.iter().find(|(old, _)| *kind == *old) {
            *kind = (*new).into();
        }
    }
}
