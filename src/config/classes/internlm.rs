//! InternLM 3.

use super::hooks::{Hooks, PLAIN};
use crate::config::values::{Object, Refusal};
use crate::config::{derive, validate};

pub(super) const INTERNLM3: Hooks =
    Hooks { before: &[derive::head_dim_of_heads], validate: &[same_biases, validate::heads_fit], ..PLAIN };

fn same_biases(config: &Object) -> Result<(), Refusal> {
    if config.get("attention_bias") != config.get("mlp_bias") {
        return Err("attention_bias and mlp_bias differ".into());
    }
    Ok(())
}
