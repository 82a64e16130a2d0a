//! Exaone 4 and later.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::layers::{self, SLIDING};
use crate::config::values::{Object, Refusal, int, null};
use crate::json::Value;

pub(super) const EXAONE4: Hooks = Hooks { before: &[no_window], layer_types: Some(layer_types), ..PLAIN };

pub(super) const EXAONE4_5: Hooks = Hooks { before: &[text_class], ..PLAIN };

pub(super) const EXAONE_MOE: Hooks = Hooks { before: &[mlp_types, no_window], ..EXAONE4 };

/// Without a window, no layer has one.
fn no_window(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "sliding_window") {
        config.insert("sliding_window_pattern".into(), 0.into());
    }
    Ok(())
}

/// Every n-th layer has full attention; a pattern of letters is none that the class can count with.
fn layer_types(config: &Object, _: &mut Object) -> Result<Value, Refusal> {
    let period = config.get("sliding_window_pattern").cloned().unwrap_or_default();
    layers::full_every(config, period, SLIDING, 1)
}

fn mlp_types(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "mlp_layer_types") {
        let dense =
            usize::try_from(int(config, "first_k_dense_replace")?.max(0)).map_err(|e| e.to_string())?;
        layers::set_mlp_types(config, layers::depth(config)?, dense);
    }
    Ok(())
}

/// The text model had a name of its own before it was Exaone 4's.
fn text_class(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if let Some(Value::Object(text)) = config.get_mut("text_config") {
        let kind = text.get_mut("model_type").ok_or("text_config has no model_type")?;
        if *kind == "exaone4_5_text" {
            *kind = "exaone4".into();
        }
    }
    Ok(())
}
