//! The byte-level BPE route (llama.cpp's "gpt2" tokenizer model).

use std::collections::{HashMap, HashSet};
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

/// The tokens of `tokenizer.json`, by id, as BPE and WordPiece vocabularies have them.
pub struct Base {
    /// Texts.
    pub tokens: Vec<String>,
    /// Types as a GGUF numbers them.
    pub types: Vec<i32>,
    /// `tokenizer.ggml.pre`.
    pub pre: &'static str,
    /// Ids of added tokens by text.
    pub added: HashMap<String, u32>,
}

impl Base {
    /// Reads them. There are as many as `vocab_size` in `config` says.
    ///
    /// # Errors
    /// If it is none that llama.cpp's pre-tokenizers are known for, or is invalid.
    pub fn read(files: &TokenizerFiles, config: &Map<String, Value>) -> Result<Self> {
        let tokenizer = HfTokenizer::new(files, config)?;
        let (tokens, types) = tokens(&tokenizer, files, config)?;
        let ids = tokenizer.encode(pre::CHECK_TEXT, true)?;
        let pre = pre::recognize(&ids).map_err(|hash| unknown(&files.dir, &hash))?;
        let added = tokenizer.added().into_iter().map(|(id, token)| (token.content, id)).collect();
        Ok(Self { tokens, types, pre, added })
    }

    /// Writes them, for llama.cpp's tokenizer `model`.
    pub fn write(self, kv: &mut KeyValues, model: &str, pre: &str) {
        kv.string("tokenizer.ggml.model", model);
        kv.string("tokenizer.ggml.pre", pre);
        kv.strings("tokenizer.ggml.tokens", self.tokens);
        kv.set("tokenizer.ggml.token_type", Kv::I32s(self.types));
    }
}

/// Writes the vocabulary of `tokenizer.json` with its merges. Each of `roles`, a kind of special token and
/// a text, is given to the added token with that text, unless the files say otherwise.
///
/// # Errors
/// As [`Base::read`]; [`Error::Invalid`] if there is no such token, too.
pub fn add(
    kv: &mut KeyValues,
    files: &TokenizerFiles,
    config: &Map<String, Value>,
    roles: &[(&str, &str)],
) -> Result<()> {
    let base = Base::read(files, config)?;
    let mut special = SpecialVocab::load(files, true, &KINDS, None)?;
    for (kind, text) in roles {
        let id = base.added.get(*text).ok_or_else(|| {
            let problem =
                format!("expected an added token {text}, which these models end a turn with or begin");
            Error::invalid(files.dir.join("tokenizer.json"), problem)
        })?;
        special.set(kind, Some(&(*id).into()), &files.dir, None)?;
    }
    let pre = base.pre;
    base.write(kv, "gpt2", pre);
    special.write(kv, &files.dir)
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
