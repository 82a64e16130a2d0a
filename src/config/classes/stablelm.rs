//! StableLM.

use super::hooks::{Hooks, PLAIN};

pub(super) const STABLELM: Hooks = Hooks { rotated: Some(0.25), ..PLAIN };
