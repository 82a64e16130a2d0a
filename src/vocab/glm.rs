//! The tokens of GLM-4, by which other models speak as well.

use super::{TokenizerFiles, bpe};
use crate::error::Result;
use crate::gguf::KeyValues;
use crate::json::Object;

/// The token for the end of a text.
pub const END: &str = "<|endoftext|>";
/// The token that begins the user's turn, and so ends the model's.
pub const USER: &str = "<|user|>";

/// BPE with the roles of dense GLM-4's tokens.
pub fn glm4(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    bpe::add(kv, files, config, &[("eos", END), ("eot", USER), ("unk", END), ("bos", END)])
}
