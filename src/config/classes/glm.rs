//! GLM; those with multi-head latent attention are with DeepSeek's.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::derive;
use crate::config::values::{Object, Refusal, null};
use crate::json::json;

pub(super) const GLM: Hooks = Hooks { before: &[ends], ..GLM4_MOE };

pub(super) const GLM4_MOE: Hooks = Hooks { key_value_heads: None, rotated: Some(0.5), ..PLAIN };

pub(super) const GLM4V: Hooks = Hooks { after: derive::tied_as_text, ..PLAIN };

pub(super) const GLM4V_MOE_TEXT: Hooks = Hooks { rotated: Some(0.5), ..PLAIN };

/// Three tokens end a text.
fn ends(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "eos_token_id") {
        config.insert("eos_token_id".into(), json!([151_329, 151_336, 151_338]));
    }
    Ok(())
}
