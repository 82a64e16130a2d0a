//! Ernie 4.5 and PaddleOCR-VL.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::derive;
use crate::config::values::{Object, Refusal, int};
use crate::json::Value;

pub(super) const ERNIE4_5: Hooks = Hooks { before: &[derive::head_dim_of_heads], ..PLAIN };

pub(super) const ERNIE4_5_MOE: Hooks = Hooks { key_value_heads: None, before: &[last_layer], ..PLAIN };

pub(super) const PADDLEOCR_VL: Hooks =
    Hooks { before: &[derive::flat_text], after: derive::tied_as_text, ..PLAIN };

/// The last layer that may have experts, counted from the end where it is -1.
fn last_layer(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    const KEY: &str = "moe_layer_end_index";
    if config.get(KEY).and_then(Value::as_i64) == Some(-1) {
        let last = int(config, "num_hidden_layers")?.checked_sub(1).ok_or("num_hidden_layers is absurd")?;
        config.insert(KEY.into(), last.into());
    }
    Ok(())
}
