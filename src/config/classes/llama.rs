//! Llama up to Llama 3, and classes that differ little from it.

use super::hooks::{Hooks, PLAIN};
use crate::config::values::{Object, Refusal, number, truthy};
use crate::config::{derive, validate};

pub(super) const LLAMA: Hooks = Hooks {
    before: &[derive::head_dim_of_heads],
    validate: &[initializer_range, validate::heads_fit],
    ..PLAIN
};

pub(super) const ARCEE: Hooks = Hooks { validate: &[validate::heads_fit], ..LLAMA };

pub(super) const IQUESTCODER: Hooks = Hooks { validate: &[no_window, validate::heads_fit], ..LLAMA };

pub(super) const SEED_OSS: Hooks = Hooks { before: &[derive::head_dim_of_heads], ..PLAIN };

pub(super) const LLAVA: Hooks = Hooks { after: derive::tied_as_text, ..PLAIN };

fn initializer_range(config: &Object) -> Result<(), Refusal> {
    let range = config.get("initializer_range").and_then(number);
    if !range.is_some_and(|range| (0.0..=1.0).contains(&range)) {
        return Err("initializer_range is not between 0 and 1".into());
    }
    Ok(())
}

fn no_window(config: &Object) -> Result<(), Refusal> {
    let clips = config.get("clip_qkv").is_some_and(|clip| !clip.is_null());
    if clips || config.get("use_sliding_window").is_some_and(truthy) {
        return Err("clip_qkv or use_sliding_window is set".into());
    }
    Ok(())
}
