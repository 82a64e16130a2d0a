//! Vocabularies of `tokenizer.json` whose tokens are written as they are: XVERSE's; and none at all.

use super::TokenType;
use super::files::TokenizerFiles;
use super::hf::HfTokenizer;
use super::llama_hf::is_byte;
use super::special::{KINDS, SpecialVocab};
use super::vocab_size;
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value as Kv};
use crate::input::quoted;
use crate::json::Object;

/// For models that have no texts.
///
/// # Errors
/// None.
#[allow(clippy::unnecessary_wraps, reason = "a Route")]
pub fn none(kv: &mut KeyValues, _: &TokenizerFiles, _: &Object) -> Result<()> {
    kv.set_string("tokenizer.ggml.model", "none");
    Ok(())
}

/// XVERSE's: BPE whose tokens llama.cpp reads as SentencePiece's, without scores.
///
/// # Errors
/// If there is no `tokenizer.json`, it is invalid, or not every id has a token.
pub fn xverse(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let path = files.dir.join("tokenizer.json");
    let tokenizer = HfTokenizer::new(files, config)?;
    let size = vocab_size(config, &files.dir)?.unwrap_or_else(|| tokenizer.tokens().count());
    let mut by_id: Vec<Option<&str>> = vec![None; size];
    for (token, id) in tokenizer.tokens() {
        let slot = by_id.get_mut(id as usize).ok_or_else(|| {
            let problem = format!("token {} has id {id}, but vocab_size is {size}", quoted(token));
            Error::invalid(&path, problem)
        })?;
        *slot = Some(token);
    }
    let added = tokenizer.added();
    let (mut tokens, mut types) = (Vec::with_capacity(size), Vec::with_capacity(size));
    for (id, token) in (0..).zip(by_id) {
        let token = token.ok_or_else(|| {
            Error::invalid(&path, format!("no token has id {id}, but vocab_size is {size}"))
        })?;
        let (text, kind) = match (token, added.get(&id)) {
            // A text of one NUL ends early in C; this is how Python shows it.
            ("\0", _) => ("<b'\\x00'>", TokenType::Byte),
            (token, _) if is_byte(token) => (token, TokenType::Byte),
            (token, None) => (token, TokenType::Normal),
            (token, Some(flags)) if flags.special => (token, TokenType::Control),
            (token, Some(_)) => (token, TokenType::UserDefined),
        };
        tokens.push(text.as_bytes().to_vec());
        types.push(kind as i32);
    }
    kv.set_string("tokenizer.ggml.model", "llama");
    kv.set_string("tokenizer.ggml.pre", "default");
    kv.set_strings("tokenizer.ggml.tokens", tokens);
    kv.set("tokenizer.ggml.token_type", Kv::I32s(types));
    SpecialVocab::load(files, false, &KINDS, Some(size))?.write(kv, &files.dir)
}
