//! Nemotron.

use super::hooks::{Hooks, PLAIN};
use crate::config::derive;

pub(super) const NEMOTRON: Hooks =
    Hooks { key_value_heads: None, rotated: Some(0.5), before: &[derive::head_dim_of_heads], ..PLAIN };
