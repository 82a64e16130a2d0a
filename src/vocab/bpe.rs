//! The byte-level BPE route (llama.cpp's "gpt2" tokenizer model).

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use crate::json::{Map, Value};

use super::files::TokenizerFiles;
use super::hf::HfTokenizer;
use super::sentencepiece::looks_special;
use super::special::{KINDS, SpecialVocab};
use super::{TokenType, nearest, pre, vocab_size};
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Strings, Value as Kv};
use crate::input::quoted;

/// The tokens of `tokenizer.json`, by id, as BPE and WordPiece vocabularies have them.
pub struct Base {
    /// Texts.
    pub tokens: Strings,
    /// Types as a GGUF numbers them.
    pub types: Vec<i32>,
    /// `tokenizer.ggml.pre`.
    pub pre: &'static str,
    /// Ids of added tokens by text.
    pub added: HashMap<String, u32>,
}

/// How the texts and types of added tokens are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// As llama.cpp finds them in a text; special is what is marked so, or looks like it.
    Interpreted,
    /// The same, but that spaces stay as SentencePiece writes them.
    Decoded,
    /// As they are written; special is what is marked so.
    AsWritten,
}

impl Base {
    /// Reads them. There are as many as `vocab_size` in `config` says.
    ///
    /// # Errors
    /// If it is none that llama.cpp's pre-tokenizers are known for, or is invalid.
    pub fn read(files: &TokenizerFiles, config: &Map<String, Value>) -> Result<Self> {
        Self::read_with(files, config, Added::Interpreted)
    }

    /// [`Base::read`] with a choice of how added tokens are taken.
    ///
    /// # Errors
    /// As [`Base::read`].
    pub fn read_with(files: &TokenizerFiles, config: &Map<String, Value>, how: Added) -> Result<Self> {
        let mut tokenizer = HfTokenizer::new(files, config)?;
        let (tokens, types) = tokens(&mut tokenizer, files, config, how)?;
        let ids = tokenizer.encode(pre::CHECK_TEXT)?;
        let pre = pre::recognize(&ids).map_err(|hash| {
            unknown(
                &files.dir.join("tokenizer.json"),
                &hash,
                files.tokenizer.as_ref().and_then(nearest::nearest),
            )
        })?;
        let added = tokenizer.added().into_iter().map(|(id, token)| (token.content, id)).collect();
        Ok(Self { tokens, types, pre, added })
    }

    /// Says that token `id` is no text, but controls the model.
    pub fn make_control(&mut self, id: u32) {
        if let Some(kind) = self.types.get_mut(id as usize) {
            *kind = TokenType::Control as i32;
        }
    }

    /// Writes them, for llama.cpp's tokenizer `model`.
    pub fn write(self, kv: &mut KeyValues, model: &str, pre: &str) {
        kv.set_string("tokenizer.ggml.model", model);
        kv.set_string("tokenizer.ggml.pre", pre);
        kv.set_string_list("tokenizer.ggml.tokens", self.tokens);
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
    add_base(kv, files, Base::read(files, config)?, roles)
}

/// Writes the vocabulary of InternS1, for which the id of a token is known.
///
/// # Errors
/// As [`Base::read`].
pub fn add_intern(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    const BEGINNING: u32 = 151_643;
    let base = Base::read_with(files, config, Added::Decoded)?;
    let mut special = SpecialVocab::load(files, true, &KINDS, None)?;
    special.set("bos", Some(&BEGINNING.into()), &files.dir, None)?;
    let pre = base.pre;
    base.write(kv, "gpt2", pre);
    special.write(kv, &files.dir)
}

/// [`add`] with added tokens as they are written.
///
/// # Errors
/// As [`Base::read`].
pub fn add_as_written(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    add_base(kv, files, Base::read_with(files, config, Added::AsWritten)?, &[])
}

fn add_base(kv: &mut KeyValues, files: &TokenizerFiles, base: Base, roles: &[(&str, &str)]) -> Result<()> {
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

/// The tokenizer in `path` is none that llama.cpp knows; `near` is the one it knows that is most like it.
pub fn unknown(path: &Path, hash: &str, near: Option<&str>) -> Error {
    let near =
        near.map_or_else(String::new, |name| format!(" (of those it knows, {name} has the nearest pattern)"));
    Error::unsupported(format!("the pre-tokenizer is not one that llama.cpp knows: its hash is {hash}{near}"))
        .at(path)
        .hint(
            "if llama.cpp's convert_hf_to_gguf.py converts this model, please report the hash and the model's name to \
             ggraft; if it does not, llama.cpp has to learn it first",
        )
}

/// Texts and types of tokens 0 to `vocab_size`.
fn tokens(
    tokenizer: &mut HfTokenizer<'_>,
    files: &TokenizerFiles,
    config: &Map<String, Value>,
    how: Added,
) -> Result<(Strings, Vec<i32>)> {
    let path = files.dir.join("tokenizer.json");
    let size = vocab_size(config, &files.dir)?.unwrap_or_else(|| tokenizer.tokens().count());
    if let Some((token, id)) = tokenizer.tokens().find(|(_, id)| *id as usize >= size) {
        let problem =
            format!("token {} has id {id}, but config.json says vocab_size is {size}", quoted(token));
        return Err(Error::invalid(&path, problem));
    }
    let added = tokenizer.added();
    let interpreted = how != Added::AsWritten;
    // llama.cpp takes added tokens for normalized ones.
    let others = added.values().filter(|token| interpreted && !token.normalized);
    let texts: Vec<&str> = others.map(|token| token.content.as_str()).collect();
    let decoded = tokenizer.round_trips(&texts)?;
    let decoded: HashMap<&str, String> = texts.into_iter().zip(decoded).collect();

    let mut by_id: Vec<Option<&str>> = vec![None; size];
    for (token, id) in tokenizer.tokens() {
        if let Some(other) = by_id[id as usize].replace(token) {
            let problem = format!("two tokens have id {id}: {} and {}", quoted(other), quoted(token));
            return Err(Error::invalid(&path, problem));
        }
    }
    let (mut tokens, mut types) = (Strings::new(), Vec::with_capacity(size));
    let bytes = by_id.iter().flatten().map(|token| token.len()).sum();
    let mut added = added.iter().peekable();
    let texts = by_id.into_iter().enumerate().map(|(id, token)| {
        let flags = added.next_if(|(next, _)| **next as usize == id).map(|(_, flags)| flags);
        let (text, kind) = match (token, flags) {
            (None, _) => (Cow::Owned(format!("[PAD{id}]")), TokenType::Unused),
            (Some(token), None) => (Cow::Borrowed(token), TokenType::Normal),
            (Some(token), Some(flags)) => {
                let token = decoded.get(token).map_or(token, String::as_str);
                match flags.special || interpreted && looks_special(token) {
                    true => (Cow::Borrowed(token), TokenType::Control),
                    false if how != Added::Interpreted => (Cow::Borrowed(token), TokenType::UserDefined),
                    false => (token.replace('\u{2581}', " ").into(), TokenType::UserDefined),
                }
            }
        };
        types.push(kind as i32);
        [Text(text)]
    });
    tokens.extend_joined(bytes, texts);
    Ok((tokens, types))
}

/// A text, as the bytes that a GGUF holds.
struct Text<'a>(Cow<'a, str>);

impl AsRef<[u8]> for Text<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
