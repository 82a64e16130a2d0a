//! The route of SentencePiece vocabularies that come as `tokenizer.json`: BPE with byte fallback.

use std::collections::HashSet;

use crate::json::{Map, Value};

use super::TokenType;
use super::files::TokenizerFiles;
use super::hf::HfTokenizer;
use super::sentencepiece::Pieces;
use super::special::{KINDS, SpecialVocab};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::input::quoted;

/// The score every token gets: `tokenizer.json` has none.
const SCORE: f32 = -1000.0;

/// Whether `tokenizer.json` holds such a vocabulary.
pub fn applies(files: &TokenizerFiles) -> bool {
    let Some(tokenizer) = &files.tokenizer else { return false };
    let model = tokenizer.get("model");
    let flag = |key: &str| model.and_then(|m| m.get(key)).and_then(Value::as_bool).unwrap_or(false);
    let kind =
        |part: Option<&Value>| part.and_then(|p| p.get("type")).and_then(Value::as_str).map(str::to_owned);
    kind(model).as_deref() == Some("BPE")
        && flag("byte_fallback")
        && kind(tokenizer.get("decoder")).as_deref() == Some("Sequence")
}

/// Writes the vocabulary.
///
/// # Errors
/// As [`read`].
pub fn add(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    let pieces = read(files, config)?;
    kv.set_string("tokenizer.ggml.model", "llama");
    kv.set_string("tokenizer.ggml.pre", "default");
    let len = pieces.tokens.len();
    pieces.write(kv);
    SpecialVocab::load(files, false, &KINDS, Some(len))?.write(kv, &files.dir)
}

/// Reads the vocabulary.
///
/// # Errors
/// If it is invalid: ids must run from 0 without gaps.
pub fn read(files: &TokenizerFiles, config: &Map<String, Value>) -> Result<Pieces> {
    if !applies(files) {
        return Err(Error::invalid(
            &files.dir,
            "expected tokenizer.model, or a tokenizer.json with a BPE model that falls back to bytes",
        ));
    }
    let path = files.dir.join("tokenizer.json");
    let tokenizer = HfTokenizer::new(files, config)?;
    let base = tokenizer.base().len();
    let mut tokens: Vec<Option<&str>> = vec![None; base];
    for (text, id) in tokenizer.tokens() {
        if let Some(slot) = tokens.get_mut(id as usize)
            && let Some(other) = slot.replace(text)
        {
            return Err(Error::invalid(
                &path,
                format!("two tokens have id {id}: {} and {}", quoted(other), quoted(text)),
            ));
        }
    }
    let special_texts: HashSet<&str> = tokenizer.special().iter().map(String::as_str).collect();
    let special_ids: HashSet<u32> = special_texts.iter().filter_map(|text| tokenizer.id(text)).collect();
    let (mut texts, mut types) = (Vec::with_capacity(base), Vec::with_capacity(base));
    for (id, text) in tokens.into_iter().enumerate() {
        let text =
            text.ok_or_else(|| Error::invalid(&path, format!("no token has id {id}, expected 0 to {base}")))?;
        types.push(match is_byte(text) {
            true => TokenType::Byte,
            false if special_ids.contains(&(id as u32)) => TokenType::Control,
            false => TokenType::Normal,
        } as i32);
        texts.push(text.as_bytes().to_vec());
    }
    for token in tokenizer.added().range(base as u32..).map(|(_, token)| token) {
        let special = special_texts.contains(token.content.as_str());
        types.push(if special { TokenType::Control } else { TokenType::UserDefined } as i32);
        texts.push(token.content.clone().into_bytes());
    }
    Ok(Pieces { scores: vec![SCORE; texts.len()], tokens: texts, types })
}

/// `<0xFF>` and its like.
pub(super) fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("<0x").and_then(|t| t.strip_suffix('>'));
    digits.is_some_and(|d| d.len() == 2 && d.bytes().all(|b| b.is_ascii_hexdigit()))
}
