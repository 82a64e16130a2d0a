//! The WordPiece route (llama.cpp's "bert"): BERT and its kin.

use crate::json::{Map, Value};

use super::TokenType;
use super::bpe::Base;
use super::files::TokenizerFiles;
use super::special::{KINDS, SpecialVocab};
use crate::error::Result;
use crate::gguf::{KeyValues, Strings};

/// What llama.cpp has in front of pieces that begin a word.
const PHANTOM_SPACE: &str = "\u{2581}";

/// Writes the vocabulary.
///
/// # Errors
/// As [`Base::read`].
pub fn add(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    let mut base = Base::read(files, config)?;
    super::add_token_type_count(kv, files, config)?;
    let mut tokens = Strings::new();
    for (token, kind) in base.tokens.iter().zip(&base.types) {
        // "##ing" goes on with a word, "play" begins one; llama.cpp marks the other of the two.
        match token.strip_prefix(b"##") {
            _ if *kind == TokenType::Control as i32 => tokens.push(token),
            Some(rest) => tokens.push(rest),
            None => tokens.push_joined(&[PHANTOM_SPACE.as_bytes(), token]),
        }
    }
    base.tokens = tokens;
    let (len, pre) = (base.tokens.len(), base.pre);
    base.write(kv, "bert", pre);
    SpecialVocab::load(files, false, &KINDS, Some(len))?.write(kv, &files.dir)
}
