//! HunYuan with vision, and Hy 3.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::values::{Object, Refusal, int, null, number};
use crate::config::{derive, layers, rope};
use crate::json::Value;

pub(super) const HUNYUAN_VL: Hooks =
    Hooks { before: &[derive::flat_text], after: derive::tied_as_text, ..PLAIN };

pub(super) const HUNYUAN_VL_TEXT: Hooks = Hooks { rope: xdrope, after: sections, ..PLAIN };

pub(super) const HY_V3: Hooks = Hooks {
    before: &[|_, config, _| {
        if null(config, "mlp_layer_types") {
            layers::set_mlp_types(config, layers::depth(config)?, 1);
        }
        Ok(())
    }],
    ..PLAIN
};

/// Rope in several dimensions goes by new names.
fn xdrope(class: &Class, config: &Object, extra: &mut Object) -> Result<Option<Object>, Refusal> {
    let Some(mut rope) = rope::gathered(class, config, extra)? else { return Ok(None) };
    if let Some(old) = rope.shift_remove("xdrope_section").filter(|old| !old.is_null()) {
        match rope.get("mrope_section").filter(|new| !new.is_null()) {
            None => {
                rope.insert("mrope_section".into(), old);
            }
            Some(new) if numbers(new)? == numbers(&old)? => {}
            Some(_) => return Err("mrope_section and xdrope_section differ".into()),
        }
    }
    let kind = rope.get("rope_type").or(rope.get("type")).cloned().unwrap_or_else(|| "default".into());
    let kind = if kind == "xdrope" { "dynamic".into() } else { kind };
    if rope.contains_key("type") {
        rope.insert("type".into(), kind.clone());
    }
    rope.insert("rope_type".into(), kind);
    Ok(Some(rope))
}

/// The dimensions share half a head, each a whole number of pairs.
fn sections(config: &mut Object) -> Result<(), Refusal> {
    let head = match config.get("head_dim").filter(|dim| !dim.is_null()) {
        Some(_) => int(config, "head_dim")?,
        None => rope::head_size(config)?,
    };
    let Some(Value::Object(rope)) = config.get_mut("rope_parameters") else { return Ok(()) };
    let Some(given) = rope.get("mrope_section").filter(|given| !given.is_null()) else { return Ok(()) };
    let given = numbers(given)?;
    #[allow(clippy::cast_precision_loss)]
    let fits =
        given.iter().all(|n| n.fract() == 0.0) && given.iter().sum::<f64>() == head.div_euclid(2) as f64;
    if !fits {
        return Err(format!("mrope_section is {given:?}, half a head has {}", head.div_euclid(2)));
    }
    #[allow(clippy::cast_possible_truncation, reason = "whole numbers that add up to one in range")]
    let whole: Value = given.into_iter().map(|n| Value::from(n as i64)).collect();
    rope.insert("mrope_section".into(), whole);
    Ok(())
}

fn numbers(list: &Value) -> Result<Vec<f64>, Refusal> {
    let numbers = list.as_array().and_then(|list| list.iter().map(number).collect());
    numbers.ok_or("a section of rope is no list of numbers".into())
}
