//! Apertus.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::derive;
use crate::config::values::{Object, Refusal};
use crate::json::json;

pub(super) const APERTUS: Hooks = Hooks { before: &[rope], ..PLAIN };

fn rope(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let rope = json!({
        "rope_type": "llama3", "rope_theta": 12_000_000.0, "factor": 8.0,
        "original_max_position_embeddings": 8192, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    });
    derive::default_rope(config, rope);
    Ok(())
}
