//! Falcon and Bloom.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::rope;
use crate::config::values::{Object, Refusal, int, null};

pub(super) const BLOOM: Hooks = Hooks { before: &[old_hidden_size], ..PLAIN };

pub(super) const FALCON: Hooks = Hooks {
    key_value_heads: Some("num_kv_heads"),
    before: &[old_hidden_size, feed_forward],
    head_dim: |_, config| Ok(Some(rope::head_size(config)?.into())),
    ..PLAIN
};

fn old_hidden_size(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    if let Some(size) = extra.shift_remove("n_embed").filter(|v| !v.is_null()) {
        config.insert("hidden_size".into(), size);
    }
    Ok(())
}

fn feed_forward(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "ffn_hidden_size") {
        let size = int(config, "hidden_size")?.checked_mul(4).ok_or("hidden_size is too large")?;
        config.insert("ffn_hidden_size".into(), size.into());
    }
    Ok(())
}
