//! Phi.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::rope;
use crate::config::values::{Object, Refusal, number};
use crate::json::Value;

pub(super) const PHI: Hooks = Hooks { rotated: Some(0.5), ..PLAIN };

pub(super) const PHI3: Hooks = Hooks { rope: phi3_rope, validate_rope: |config| longrope(config), ..PLAIN };

pub(super) const PHIMOE: Hooks = Hooks { validate_rope: scales, ..PLAIN };

/// Phi-3 has but one kind of scaling, which old files call otherwise.
fn phi3_rope(class: &Class, config: &Object, extra: &mut Object) -> Result<Option<Object>, Refusal> {
    let mut rope = rope::given(config, extra)?;
    let theta = extra.shift_remove("rope_theta").unwrap_or_else(|| 10_000.0.into());
    let rotary = extra.get("partial_rotary_factor").cloned().unwrap_or_else(|| 1.0.into());
    rope.entry("rope_theta".into()).or_insert(theta);
    rope.entry("partial_rotary_factor".into()).or_insert(rotary);
    rope::standardize(class, config, &mut rope)?;
    if let Some(kind) = rope.get_mut("rope_type").filter(|kind| *kind == "su" || *kind == "yarn") {
        *kind = "longrope".into();
    }
    Ok(Some(rope))
}

fn longrope(config: &Object) -> Result<(), Refusal> {
    let get = |key: &str| config.get("rope_parameters").and_then(|rope| rope.get(key));
    if !get("rope_type").is_some_and(|kind| kind == "default" || kind == "longrope") {
        return Err("rope_parameters: rope_type is neither default nor longrope".into());
    }
    let head = rope::head_size(config)?;
    let rotary = get("partial_rotary_factor").and_then(number).ok_or("partial_rotary_factor is no number")?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    let rotated = (head as f64 * rotary) as i64;
    for key in ["short_factor", "long_factor"] {
        match get(key) {
            None | Some(Value::Null) => {}
            Some(Value::Array(factors)) if factors.iter().all(|f| number(f).is_some()) => {
                if i64::try_from(factors.len()) != Ok(rotated.div_euclid(2)) {
                    return Err(format!("rope_parameters: {key} has {} entries", factors.len()));
                }
            }
            Some(_) => return Err(format!("rope_parameters: {key} is not a list of numbers")),
        }
    }
    Ok(())
}

/// Phi-MoE scales by a number that depends on the length; it also moves a setting out while it checks.
fn scales(config: &mut Object) -> Result<(), Refusal> {
    let rope = config.get("rope_parameters").and_then(Value::as_object).cloned().unwrap_or_default();
    if rope.get("rope_type").is_some_and(|kind| kind == "default") {
        return Ok(());
    }
    if let Some(length) = rope.get("original_max_position_embeddings") {
        config.insert("original_max_position_embeddings".into(), length.clone());
    }
    match ["short_mscale", "long_mscale"].iter().find(|key| rope.get(**key).and_then(number).is_none()) {
        Some(key) => Err(format!("rope_parameters: {key} is no number")),
        None => Ok(()),
    }
}
