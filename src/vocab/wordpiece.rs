//! The WordPiece route (llama.cpp's "bert"): BERT and its kin.

use serde_json::{Map, Value};

use super::TokenType;
use super::bpe::Base;
use super::files::TokenizerFiles;
use super::special::{KINDS, SpecialVocab};
use crate::error::Result;
use crate::gguf::KeyValues;

/// What llama.cpp has in front of pieces that begin a word.
const PHANTOM_SPACE: char = '\u{2581}';

/// Writes the vocabulary.
///
/// # Errors
/// As [`Base::read`].
pub fn add(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    let mut base = Base::read(files, config)?;
    super::add_token_type_count(kv, files, config)?;
    for (token, kind) in base.tokens.iter_mut().zip(&base.types) {
        if *kind == TokenType::Control as i32 {
            continue;
        }
        // "##ing" goes on with a word, "play" begins one; llama.cpp marks the other of the two.
        match token.strip_prefix("##") {
            Some(rest) => *token = rest.to_owned(),
            None => token.insert(0, PHANTOM_SPACE),
        }
    }
    let (len, pre) = (base.tokens.len(), base.pre);
    base.write(kv, "bert", pre);
    SpecialVocab::load(files, false, &KINDS, Some(len))?.write(kv, &files.dir)
}
