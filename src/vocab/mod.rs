//! Tokenizers: their files in, `tokenizer.*` key-values out, as the reference writes them.
//!
//! Knows nothing of tensors. Each kind of vocabulary is a file of its own; which one a model uses is
//! `route`'s business.

mod bpe;
mod class;
mod files;
mod guard;
mod hf;
mod llama_hf;
mod mistral;
mod pre;
mod route;
pub mod sentencepiece;
mod settings;
mod special;
mod template;

use std::path::Path;

use serde_json::{Map, Value};

pub use route::{Padding, VocabRoute, add};

use crate::error::{Error, Result};
use crate::input::bounded;

/// More tokens than any vocabulary has; a limit against absurd files.
const MOST_TOKENS: u64 = 1 << 24;

/// Kinds of tokens, numbered as `tokenizer.ggml.token_type` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenType {
    Normal = 1,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// `vocab_size` of the configuration.
fn vocab_size(config: &Map<String, Value>, dir: &Path) -> Result<Option<usize>> {
    size_of(config, "vocab_size", dir)
}

fn size_of(config: &Map<String, Value>, key: &str, dir: &Path) -> Result<Option<usize>> {
    let Some(value) = config.get(key).filter(|v| !v.is_null()) else { return Ok(None) };
    let size = value.as_u64().filter(|n| *n <= MOST_TOKENS).and_then(|n| usize::try_from(n).ok());
    let invalid = || {
        format!(
            "{key}: expected a number of tokens up to {MOST_TOKENS}, found {}",
            bounded(&value.to_string())
        )
    };
    size.map(Some).ok_or_else(|| Error::invalid(dir.join("config.json"), invalid()))
}
