//! BERT's successors.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::layers::{FULL, SLIDING};
use crate::config::rope::ByLayer;
use crate::config::values::{Object, Refusal};
use crate::config::{derive, layers, rope, validate};
use crate::json::Value;

pub(super) const EUROBERT: Hooks =
    Hooks { before: &[derive::head_dim_of_heads], validate: &[validate::heads_fit], ..PLAIN };

pub(super) const NOMIC_BERT: Hooks = Hooks { after: derive::head_dim, ..PLAIN };

pub(super) const MODERNBERT: Hooks = Hooks {
    before: &[window],
    layer_types: Some(|config, extra| {
        let period = extra.get("global_attn_every_n_layers").cloned().unwrap_or(3.into());
        layers::full_every(config, period, SLIDING, 0)
    }),
    rope: |class, config, extra| {
        let scaled = &[FULL, SLIDING];
        let keys = ByLayer { full: "global_rope_theta", sliding: "local_rope_theta", scaled };
        rope::by_layer(class, config, extra, &keys)
    },
    to_dict: |config| {
        config.shift_remove("reference_compile");
    },
    ..PLAIN
};

/// The window counts both sides.
fn window(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    if let Some(window) = extra.shift_remove("sliding_window") {
        let total = window.as_i64().and_then(|n| n.checked_mul(2)).ok_or("sliding_window is no integer")?;
        config.insert("local_attention".into(), Value::from(total));
    }
    Ok(())
}
