//! InternLM 2 and 3: SentencePiece vocabularies whose chat models end a turn with `<|im_end|>`.

use crate::json::{Map, Value};

use super::files::TokenizerFiles;
use super::sentencepiece::{self, Model, kind};
use super::special::{KINDS, SpecialVocab};
use super::{phi3, vocab_size};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;

const END_OF_TURN: &str = "<|im_end|>";
/// What llama.cpp gets for a token that is a NUL character, which would end a C string.
const INSTEAD_OF_NUL: &str = "\u{1f409}";

/// Writes the vocabulary of InternLM 2. It has the pieces and then the tokens of `added_tokens.json`,
/// whatever their ids.
///
/// # Errors
/// If there is no `tokenizer.model`, it has fewer pieces than `vocab_size`, or no EOS token is named.
pub fn add_2(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    let path = files.dir.join("tokenizer.model");
    let model = Model::read(&files.dir, "tokenizer.model")?
        .ok_or_else(|| super::missing(&files.dir, "tokenizer.model"))?;
    let len = vocab_size(config, &files.dir)?.unwrap_or(model.count());
    if len > model.count() {
        let problem = format!("has {} pieces, but config.json says vocab_size is {len}", model.count());
        return Err(Error::invalid(path, problem));
    }
    let mut pieces = model.tokens(len);
    for (token, kind) in pieces.tokens.iter_mut().zip(&mut pieces.types) {
        if token.starts_with(b"[UNUSED") {
            *kind = kind::UNUSED;
        }
        if token == b"\0" {
            *token = INSTEAD_OF_NUL.into();
        }
    }
    for token in super::files::object(&files.dir, "added_tokens.json")?.unwrap_or_default().into_iter() {
        pieces.tokens.push(token.0.into_bytes());
        pieces.scores.push(-1000.0);
        pieces.types.push(kind::USER_DEFINED);
    }
    let mut end_of_turn = None;
    phi3::set_added(&mut pieces, files, |id, token| {
        if token == END_OF_TURN {
            end_of_turn = u32::try_from(id).ok();
        }
    })?;
    let len = pieces.tokens.len();
    pieces.write_for(kv, "llama");
    kv.set_bool("tokenizer.ggml.add_space_prefix", model.add_dummy_prefix);
    let mut special = SpecialVocab::load(files, false, &KINDS, Some(len))?;
    if !special.has("eos") {
        return Err(Error::invalid(files.dir.join("config.json"), "expected eos_token_id, found none"));
    }
    if let Some(id) = end_of_turn {
        special.replace("eos", id);
    }
    special.write(kv, &files.dir)
}

/// Writes the vocabulary of InternLM 3.
///
/// # Errors
/// If there is no `tokenizer.model`, or it is invalid.
pub fn add_3(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    let size = super::sentencepiece_size(config, &files.dir)?;
    let pieces = sentencepiece::load(&files.dir, size)?;
    let pieces = pieces.ok_or_else(|| super::missing(&files.dir, "tokenizer.model"))?;
    let len = pieces.tokens.len();
    pieces.write_for(kv, "llama");
    let mut special = SpecialVocab::load(files, false, &KINDS, Some(len))?;
    if let Some(config) = &files.config {
        let path = files.dir.join("tokenizer_config.json");
        if let Some(add) = config.get("add_prefix_space") {
            let invalid = || Error::invalid(&path, "add_prefix_space: expected true or false");
            // The reference writes false for null.
            let add = if add.is_null() { Some(false) } else { add.as_bool() };
            let add = add.ok_or_else(invalid)?;
            kv.set_bool("tokenizer.ggml.add_space_prefix", add);
        }
        let decoder = config.get("added_tokens_decoder").and_then(Value::as_object);
        for (id, token) in decoder.into_iter().flatten() {
            let is_end = token.get("content").is_some_and(|content| content == END_OF_TURN);
            let is_special = token.get("special").and_then(Value::as_bool) == Some(true);
            if is_end && is_special && special.has("eos") {
                let id = id.trim().parse();
                let id = id.map_err(|_| Error::invalid(&path, "added_tokens_decoder: expected token ids"))?;
                special.replace("eos", id);
            }
        }
    }
    special.write(kv, &files.dir)
}
