//! Encoders for images.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::values::{Object, Refusal};
use crate::config::{rope, validate};
use crate::json::Value;

pub(super) const CLIP: Hooks = Hooks { validate: &[validate::heads_fit], ..PLAIN };

pub(super) const INTERNVL: Hooks = Hooks { before: &[both_sides], ..PLAIN };

/// Positions have two dimensions, so the text models' rules for rope do not hold. Nobody asks for its settings.
pub(super) const PIXTRAL: Hooks = Hooks { before: &[head_dim], rope: |_, _, _| Ok(None), ..PLAIN };

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
