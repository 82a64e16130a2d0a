//! DeepSeek V4, whose settings have two generations of names.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::layers;
use crate::config::values::{Object, Refusal, null, number};
use crate::json::Value;

pub(super) const V4: Hooks =
    Hooks { before: &[older_names], validate_layers: kinds_of_layers, validate_rope: two_ropes, ..PLAIN };

const WINDOW: &str = "sliding_attention";
/// Attention by how many tokens its keys stand for.
const KINDS: [(f64, &str); 3] =
    [(0.0, WINDOW), (4.0, "compressed_sparse_attention"), (128.0, "heavily_compressed_attention")];
const HASHED: &str = "hash_moe";
const ROUTED: &str = "moe";

/// Takes settings that older files have, and derives lists of layers from them.
fn older_names(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    let ratios = extra.shift_remove("compress_ratios").filter(|value| !value.is_null());
    let hashed = extra.shift_remove("num_hash_layers").filter(|value| !value.is_null());
    let rotated = extra.shift_remove("qk_rope_head_dim").filter(|value| !value.is_null());
    ["compress_rate_csa", "compress_rate_hca"].iter().for_each(|key| drop(extra.shift_remove(*key)));
    let count = layers::depth(config)?;
    if null(config, "layer_types") {
        let kinds = match ratios {
            None => (0..count).map(|at| KINDS[if at > 1 && at % 2 == 1 { 1 } else { 2 }].1).collect(),
            Some(ratios) => compressed(&ratios)?,
        };
        config.insert("layer_types".into(), kinds);
    }
    if null(config, "mlp_layer_types") {
        let hashed = hashed.map_or(Some(3), |count| count.as_i64()).ok_or("num_hash_layers is no integer")?;
        let hashed = usize::try_from(hashed).unwrap_or(0);
        let kinds = (0..count.max(hashed)).map(|at| if at < hashed { HASHED } else { ROUTED });
        config.insert("mlp_layer_types".into(), kinds.take(count).collect());
    }
    for key in ["layer_types", "mlp_layer_types"] {
        config.get_mut(key).and_then(Value::as_array_mut).into_iter().for_each(|kinds| kinds.truncate(count));
    }
    let size = config.get("head_dim").and_then(number).ok_or("head_dim is no number")?;
    if null(config, "partial_rotary_factor") {
        let part = match rotated {
            None => 0.125,
            Some(_) if size == 0.0 => return Err("head_dim is 0".into()),
            Some(rotated) => number(&rotated).ok_or("qk_rope_head_dim is no number")? / size,
        };
        config.insert("partial_rotary_factor".into(), part.into());
    }
    let part = config.get("partial_rotary_factor").and_then(number).ok_or("partial_rotary_factor")?;
    #[allow(clippy::cast_possible_truncation, reason = "rounds as Python's int()")]
    config.insert("qk_rope_head_dim".into(), ((size * part) as i64).into());
    Ok(())
}

/// The kinds of layers whose keys stand for so many tokens.
fn compressed(ratios: &Value) -> Result<Value, Refusal> {
    let kind = |ratio: &Value| {
        #[allow(clippy::float_cmp)]
        let known = KINDS.iter().find(|(known, _)| number(ratio) == Some(*known));
        known.map(|(_, kind)| *kind).ok_or_else(|| format!("compress_ratios has {ratio}"))
    };
    ratios.as_array().ok_or("compress_ratios is no list")?.iter().map(kind).collect()
}

fn kinds_of_layers(_: &Class, config: &Object) -> Result<(), Refusal> {
    let count = layers::depth(config)?;
    let attention = KINDS.map(|(_, kind)| kind);
    for (key, allowed) in [("layer_types", &attention[..]), ("mlp_layer_types", &[HASHED, ROUTED])] {
        let kinds = config.get(key).and_then(Value::as_array).ok_or_else(|| format!("{key} is no list"))?;
        if kinds.len() != count {
            return Err(format!("{key} has {} entries, num_hidden_layers is {count}", kinds.len()));
        }
        if !kinds.iter().all(|kind| kind.as_str().is_some_and(|kind| allowed.contains(&kind))) {
            return Err(format!("{key} names a kind of layer that does not exist"));
        }
    }
    Ok(())
}

/// The settings of rope are those of layers that compress; all other layers turn in the plain way.
fn two_ropes(config: &mut Object) -> Result<(), Refusal> {
    let rope = config.get("rope_parameters").and_then(Value::as_object).cloned().unwrap_or_default();
    let nested = |key: &str| rope.get(key).filter(|section| section.as_object().is_some()).cloned();
    let rope = match (nested("main"), nested("compress")) {
        (Some(main), Some(compress)) => [("main", main), ("compress", compress)],
        _ => [("main", Object::new().into()), ("compress", rope.into())],
    };
    let rope: Object = rope.into_iter().map(|(key, section)| (key.to_owned(), section)).collect();
    config.insert("rope_parameters".into(), rope.into());
    Ok(())
}
