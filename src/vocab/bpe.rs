//! The byte-level BPE route (llama.cpp's "gpt2" tokenizer model).

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Map, Value};

use super::files::TokenizerFiles;
use super::hf::HfTokenizer;
use super::sentencepiece::looks_special;
use super::special::{KINDS, SpecialVocab};
use super::{TokenType, pre, vocab_size};
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value as Kv};
use crate::input::quoted;

/// Writes the vocabulary of `tokenizer.json`.
///
/// # Errors
/// If it is none that llama.cpp's pre-tokenizers are known for, or is invalid.
pub fn add(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    let tokenizer = HfTokenizer::new(files, config)?;
    let (tokens, types) = tokens(&tokenizer, files, config)?;
    let ids = tokenizer.encode(pre::CHECK_TEXT, true)?;
    let pre = pre::recognize(&ids).map_err(|hash| unknown(&files.dir, &hash))?;
    kv.string("tokenizer.ggml.model", "gpt2");
    kv.string("tokenizer.ggml.pre", pre);
    kv.strings("tokenizer.ggml.tokens", tokens);
    kv.set("tokenizer.ggml.token_type", Kv::I32s(types));
    SpecialVocab::load(files, true, &KINDS, None)?.write(kv, &files.dir)
}

fn unknown(dir: &Path, hash: &str) -> Error {
    Error::Unsupported(format!(
        "{}: the pre-tokenizer is not one that llama.cpp knows: its hash is {hash}. If llama.cpp's \
         convert_hf_to_gguf.py converts this model, please report the hash to ggraft; if it does not, \
         llama.cpp has to learn it first",
        dir.join("tokenizer.json").display()
    ))
}

/// Texts and types of tokens 0 to `vocab_size`.
fn tokens(
    tokenizer: &HfTokenizer,
    files: &TokenizerFiles,
    config: &Map<String, Value>,
) -> Result<(Vec<String>, Vec<i32>)> {
    let path = files.dir.join("tokenizer.json");
    let vocab = tokenizer.vocab();
    let size = vocab_size(config, &files.dir)?.unwrap_or(vocab.len());
    let mut by_id: Vec<Option<String>> = vec![None; size];
    for (token, id) in vocab {
        let slot = by_id.get_mut(id as usize).ok_or_else(|| {
            Error::invalid(
                &path,
                format!("token {} has id {id}, but config.json says vocab_size is {size}", quoted(&token)),
            )
        })?;
        if let Some(other) = slot {
            return Err(Error::invalid(
                &path,
                format!("two tokens have id {id}: {} and {}", quoted(other), quoted(&token)),
            ));
        }
        *slot = Some(token);
    }
    let added = tokenizer.added();
    let added_texts: HashSet<&str> = added.values().map(|t| t.content.as_str()).collect();
    let (mut tokens, mut types) = (Vec::with_capacity(size), Vec::with_capacity(size));
    for (id, token) in by_id.into_iter().enumerate() {
        let (mut token, mut kind) = match token {
            Some(token) => (token, TokenType::Normal),
            None => (format!("[PAD{id}]"), TokenType::Unused),
        };
        if kind == TokenType::Normal && added_texts.contains(token.as_str()) {
            let flags = added.get(&(id as u32));
            // llama.cpp takes added tokens for normalized ones.
            if flags.is_some_and(|t| !t.normalized) {
                token = tokenizer.round_trip(&token)?;
            }
            if flags.is_some_and(|t| t.special) || looks_special(&token) {
                kind = TokenType::Control;
            } else {
                token = token.replace('\u{2581}', " ");
                kind = TokenType::UserDefined;
            }
        }
        tokens.push(token);
        types.push(kind as i32);
    }
    Ok((tokens, types))
}
