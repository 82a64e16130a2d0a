//! MiniMax.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::layers::{self, FULL, LINEAR};
use crate::config::rope;
use crate::config::values::{Object, Refusal, number};

pub(super) const MINIMAX: Hooks = Hooks {
    layer_types: Some(|config, _| {
        let kinds = layers::every(layers::depth(config)?, &2.into(), 1)?.map(|even| !even);
        Ok(layers::named(kinds, FULL, LINEAR))
    }),
    ..PLAIN
};

pub(super) const MINIMAX_M2: Hooks = Hooks { rope: partial, ..PLAIN };

/// A part of each head is rotated; the file says how many dimensions.
fn partial(class: &Class, config: &Object, extra: &mut Object) -> Result<Option<Object>, Refusal> {
    if let Some(dimensions) = extra.get("rotary_dim").filter(|dimensions| !dimensions.is_null()) {
        let head = config.get("head_dim").and_then(number).filter(|head| *head != 0.0);
        let part = number(dimensions).zip(head).map(|(dimensions, head)| dimensions / head);
        let part = part.ok_or("rotary_dim is no part of head_dim")?;
        extra.entry("partial_rotary_factor".into()).or_insert_with(|| part.into());
    }
    rope::gathered(class, config, extra)
}
