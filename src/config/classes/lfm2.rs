//! LFM 2.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::layers::{self, FULL};
use crate::config::values::{Object, Refusal, null};
use crate::json::Value;

pub(super) const LFM2: Hooks = Hooks { before: &[attention, tied, feed_forward], ..PLAIN };

pub(super) const LFM2_MOE: Hooks = Hooks { before: &[tied], ..PLAIN };

/// Which layers have attention, where only their numbers are given; the others are convolutions.
fn attention(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if !null(config, "layer_types") {
        return Ok(());
    }
    let count = layers::depth(config)?;
    if null(config, "full_attn_idxs") {
        config.insert("full_attn_idxs".into(), (0..count).collect());
    }
    let listed = config.get("full_attn_idxs").and_then(Value::as_array).ok_or("full_attn_idxs is no list")?;
    let attends = |layer: usize| listed.iter().any(|at| at.as_u64() == Some(layer as u64));
    let kinds = layers::named((0..count).map(attends), FULL, "conv");
    config.insert("layer_types".into(), kinds);
    Ok(())
}

fn tied(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    if let Some(tied) = extra.shift_remove("tie_embedding") {
        config.insert("tie_word_embeddings".into(), tied);
    }
    Ok(())
}

fn feed_forward(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    if let Some(size) = extra.shift_remove("block_ff_dim") {
        config.insert("intermediate_size".into(), size);
    }
    Ok(())
}
