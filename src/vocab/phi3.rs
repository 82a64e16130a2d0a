//! Phi-3: a SentencePiece vocabulary into which the added tokens of every file are put, or BPE (Phi-4).

use crate::json::{Map, Value};

use super::files::TokenizerFiles;
use super::sentencepiece::{self, Model, Outside, Pieces, kind};
use super::special::{KINDS, SpecialVocab};
use super::{bpe, vocab_size};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;

/// Writes the vocabulary.
///
/// # Errors
/// If there is none, or a token's id lies outside of it.
pub fn add(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    if let Some(tokenizer_config) = &files.config {
        match tokenizer_config.get("tokenizer_class") {
            Some(class) if class == "GPT2Tokenizer" => return bpe::add(kv, files, config, &[]),
            Some(_) => {}
            None => {
                let path = files.dir.join("tokenizer_config.json");
                return Err(Error::invalid(path, "expected tokenizer_class, which tells Phi-4 from Phi-3"));
            }
        }
    }
    let path = files.dir.join("tokenizer.model");
    let model = Model::read(&files.dir, "tokenizer.model")?
        .ok_or_else(|| super::missing(&files.dir, "tokenizer.model"))?;
    let mut pieces = sentencepiece::fill_up(&model, &path, &files.dir, vocab_size(config, &files.dir)?)?;
    let len = pieces.tokens.len();
    set_added(&mut pieces, files, |_, _| {})?;
    pieces.write_for(kv, "llama");
    SpecialVocab::load(files, false, &KINDS, Some(len))?.write(kv, &files.dir)
}

/// Sets the tokens of `added_tokens_decoder` in `tokenizer_config.json`, then those of `added_tokens` in
/// `tokenizer.json`, and shows each to `seen`.
///
/// # Errors
/// If one is malformed, or its id lies outside of the vocabulary.
pub fn set_added(pieces: &mut Pieces, files: &TokenizerFiles, mut seen: impl FnMut(u64, &str)) -> Result<()> {
    let path = files.dir.join("tokenizer_config.json");
    let decoder = files.config.as_ref().and_then(|config| config.get("added_tokens_decoder"));
    if let Some(decoder) = decoder {
        let decoder = decoder.as_object();
        let decoder =
            decoder.ok_or_else(|| Error::invalid(&path, "added_tokens_decoder: expected an object"))?;
        for (id, token) in decoder {
            set(pieces, &path, id.trim().parse().ok(), token, &mut seen)?;
        }
    }
    let path = files.dir.join("tokenizer.json");
    if let Some(list) = files.tokenizer.as_ref().and_then(|tokenizer| tokenizer.get("added_tokens")) {
        let list = list.as_array();
        for token in list.ok_or_else(|| Error::invalid(&path, "added_tokens: expected a list"))? {
            set(pieces, &path, token.get("id").and_then(Value::as_u64), token, &mut seen)?;
        }
    }
    Ok(())
}

fn set(
    pieces: &mut Pieces,
    path: &std::path::Path,
    id: Option<u64>,
    token: &Value,
    seen: &mut impl FnMut(u64, &str),
) -> Result<()> {
    let content = token.get("content").and_then(Value::as_str);
    let (Some(id), Some(content)) = (id, content) else {
        return Err(Error::invalid(path, "added tokens: expected each to have an id and a content"));
    };
    let special = match token.get("special") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(special)) => *special,
        Some(_) => {
            return Err(Error::invalid(path, "added tokens: expected \"special\" to be true or false"));
        }
    };
    seen(id, content);
    let kind = if special { kind::CONTROL } else { kind::USER_DEFINED };
    pieces.set_added(path, id, content.to_owned(), kind, Outside::Refused)
}
