//! Encoders for images.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::values::{Object, Refusal, int, number};
use crate::config::{layers, rope, validate};
use crate::json::Value;

pub(super) const CLIP: Hooks = Hooks { validate: &[validate::heads_fit], ..PLAIN };

pub(super) const INTERNVL: Hooks = Hooks { before: &[both_sides], ..PLAIN };

pub(super) const PIXTRAL: Hooks = Hooks { before: &[head_dim], ..PLAIN };

pub(super) const MUSE_GLIMMER: Hooks = Hooks {
    layer_types: Some(|config, _| {
        let last = layers::depth(config)?;
        let full = (1..=last).map(|layer| layer % 4 == 0 || layer == last);
        Ok(layers::named(full, layers::FULL, "window_attention"))
    }),
    ..PLAIN
};

pub(super) const STEP3P5: Hooks = Hooks { before: &[usual_names], after: inner_size, ..PLAIN };

/// Settings under the names that published files have them by.
fn usual_names(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    for (from, to) in [
        ("width", "hidden_size"),
        ("layers", "num_hidden_layers"),
        ("heads", "num_attention_heads"),
        ("ls_init_value", "layer_scale_init_value"),
    ] {
        if let Some(value) = extra.shift_remove(from) {
            config.insert(to.into(), value);
        }
    }
    Ok(())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "as Python's int() does it")]
fn inner_size(config: &mut Object) -> Result<(), Refusal> {
    let ratio = config.get("mlp_ratio").and_then(number).ok_or("mlp_ratio is no number")?;
    let size = int(config, "hidden_size")? as f64 * ratio;
    config.insert("intermediate_size".into(), (size as i64).into());
    Ok(())
}

/// Sizes are given for height and width.
fn both_sides(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    for key in ["image_size", "patch_size"] {
        if let Some(size) = config.get(key).filter(|size| !size.is_array()) {
            let sides = Value::Array(vec![size.clone(), size.clone()]);
            config.insert(key.into(), sides);
        }
    }
    Ok(())
}

fn head_dim(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let size = rope::head_size(config)?;
    config.insert("head_dim".into(), size.into());
    Ok(())
}
