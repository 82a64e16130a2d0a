//! Llama 4.

use super::hooks::{Hooks, PLAIN};
use super::smollm::set_no_rope_layers;
use crate::config::class::Class;
use crate::config::layers::FULL;
use crate::config::values::{Object, Refusal, int, null, truthy};
use crate::config::{derive, layers};
use crate::json::Value;

pub(super) const LLAMA4: Hooks = Hooks {
    before: &[derive::head_dim_of_heads, no_rope_layers, moe_layers],
    layer_types: Some(layer_types),
    ..PLAIN
};

/// An empty list is as good as none.
fn no_rope_layers(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if config.get("no_rope_layers").is_some_and(truthy) { Ok(()) } else { set_no_rope_layers(config) }
}

fn moe_layers(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "moe_layers") {
        let step = int(config, "interleave_moe_layer_step")?;
        let step = usize::try_from(step).ok().filter(|n| *n > 0).ok_or("interleave_moe_layer_step")?;
        let layers = (step - 1..layers::depth(config)?).step_by(step);
        config.insert("moe_layers".into(), layers.collect());
    }
    Ok(())
}

/// Layers that rotate attend to chunks.
fn layer_types(config: &Object, _: &mut Object) -> Result<Value, Refusal> {
    let rotate = config.get("no_rope_layers").and_then(Value::as_array);
    let rotate = rotate.ok_or("no_rope_layers is not a list")?;
    Ok(layers::named(rotate.iter().map(truthy), "chunked_attention", FULL))
}
