//! The `tokenizer.model` route: a SentencePiece model and the tokens added to it, as texts,
//! scores and types by token id.
//!
//! Knows nothing of `tokenizer.json`, of special-token roles, or of how the lists are written.

pub(super) mod charsmap;
mod model;

use std::path::Path;

use crate::json::{Map, Value};

use super::files::{self, TokenizerFiles};
use super::special::{KINDS, SpecialVocab};
use crate::gguf::{KeyValues, Value as Kv};
use crate::source::ModelDir;
use crate::{Error, Result};

/// The largest `tokenizer.model` read, in bytes: a piece of two bytes takes forty in memory.
/// Gemma's, of 256k pieces, has 4 MB.
const MODEL_CAP: u64 = 32 << 20;
/// The largest vocabulary, in tokens.
const VOCAB_CAP: u64 = super::MOST_TOKENS;

/// Token types of a GGUF (`llama_token_type`), which are SentencePiece's piece types.
#[allow(missing_docs)]
pub mod kind {
    pub const NORMAL: i32 = 1;
    pub const UNKNOWN: i32 = 2;
    pub const CONTROL: i32 = 3;
    pub const USER_DEFINED: i32 = 4;
    pub const UNUSED: i32 = 5;
    pub const BYTE: i32 = 6;
}

/// A vocabulary: text, score and type of each token, by id. The lists are equally long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pieces {
    /// Texts.
    pub tokens: Vec<Vec<u8>>,
    /// Log probabilities or merge ranks; -1000 for added tokens, -10000 for padding.
    pub scores: Vec<f32>,
    /// Token types as a GGUF numbers them.
    pub types: Vec<i32>,
}

/// A SentencePiece model.
#[derive(Clone, Debug)]
pub struct Model {
    /// How it finds pieces in a text.
    pub algorithm: Algorithm,
    /// Whether it puts a space in front of a text.
    pub add_dummy_prefix: bool,
    /// Whether it drops spaces at the ends and repeated ones.
    pub remove_extra_whitespaces: bool,
    /// The table of its normalizer; empty if it has none.
    pub charsmap: Vec<u8>,
    pieces: Vec<model::Piece>,
    /// The pieces for unknown text, beginning, end and padding.
    named: [String; 4],
}

/// How a SentencePiece model finds pieces in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Algorithm {
    Unigram,
    Bpe,
    /// By characters or words.
    Other,
}

impl Model {
    /// Reads the model in `path`. `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a model the SentencePiece library would refuse, [`Error::Io`] for a file
    /// that cannot be read.
    pub fn read(dir: &ModelDir, name: impl AsRef<Path>) -> Result<Option<Self>> {
        let name = name.as_ref();
        let Some(bytes) = dir.read_if_there(name, MODEL_CAP)? else { return Ok(None) };
        let path = &dir.join(name);
        let proto = model::parse(path, &bytes)?;
        let trainer = proto.trainer_spec.unwrap_or_default();
        let normalizer = proto.normalizer_spec.unwrap_or_default();
        let algorithm = match trainer.kind() {
            model::UNIGRAM => Algorithm::Unigram,
            model::BPE => Algorithm::Bpe,
            _ => Algorithm::Other,
        };
        let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
        Ok(Some(Self {
            algorithm,
            add_dummy_prefix: normalizer.add_dummy_prefix(),
            remove_extra_whitespaces: normalizer.remove_extra_whitespaces(),
            charsmap: normalizer.precompiled_charsmap,
            pieces: proto.pieces,
            named: [
                or(trainer.unk_piece, "<unk>"),
                or(trainer.bos_piece, "<s>"),
                or(trainer.eos_piece, "</s>"),
                or(trainer.pad_piece, "<pad>"),
            ],
        }))
    }

    /// Number of pieces.
    pub fn count(&self) -> usize {
        self.pieces.len()
    }

    /// The first `len` tokens: the pieces, then padding.
    pub fn tokens(&self, len: usize) -> Pieces {
        let mut pieces = Pieces::padding(len);
        for (id, piece) in self.pieces.iter().take(len).enumerate() {
            let kind = match piece.kind() {
                // llama.cpp finds user-defined pieces as it finds normal ones.
                kind::USER_DEFINED => kind::NORMAL,
                kind => kind,
            };
            pieces.set(id, piece.text.clone().into_bytes(), piece.score, kind);
        }
        pieces
    }

    /// Ids of the pieces for unknown text, beginning, end and padding; `None` where there is no such piece.
    pub fn named_ids(&self) -> [Option<u32>; 4] {
        let mut kind = kind::UNKNOWN;
        self.named.each_ref().map(|name| {
            let wanted = std::mem::replace(&mut kind, kind::CONTROL);
            let id = self.pieces.iter().position(|p| p.text == *name && p.kind() == wanted)?;
            u32::try_from(id).ok()
        })
    }
}

/// Reads `tokenizer.model`, `added_tokens.json` and `tokenizer_config.json` of the model directory
/// `dir`. `None` if there is no `tokenizer.model`.
///
/// The result has `vocab_size` tokens, as many as the embedding has rows: missing ones are
/// `[PAD…]`, ids beyond are left out. Absent or 0, it is the number of pieces.
///
/// # Errors
/// As [`Model::read`]; [`Error::Invalid`] for added tokens that are malformed, too.
pub fn load(dir: &ModelDir, vocab_size: Option<u64>) -> Result<Option<Pieces>> {
    let path = dir.join("tokenizer.model");
    let Some(model) = Model::read(dir, "tokenizer.model")? else { return Ok(None) };

    let len = vocab_size.filter(|&n| n != 0).unwrap_or(model.count() as u64);
    if len > VOCAB_CAP {
        return Err(Error::invalid(
            dir.join("config.json"),
            format!("vocab_size is {len}, more than the {VOCAB_CAP} tokens a vocabulary may have"),
        ));
    }
    let mut pieces = model.tokens(len as usize);
    if model.count() > pieces.tokens.len() {
        tracing::warn!("{}: has {} pieces, only the first {len} are used", path.display(), model.count());
    }
    pieces.add_from_added_tokens(dir, Outside::Ignored)?;
    add_from_tokenizer_config(&mut pieces, dir)?;
    Ok(Some(pieces))
}

/// Writes the vocabulary of `tokenizer.model`. `false` if there is none.
///
/// # Errors
/// As [`load`].
pub fn add(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<bool> {
    let size = super::sentencepiece_size(config, &files.dir)?;
    let Some(pieces) = load(&files.dir, size)? else { return Ok(false) };
    let len = pieces.tokens.len();
    pieces.write_for(kv, "llama");
    SpecialVocab::load(files, false, &KINDS, Some(len))?.write(kv, &files.dir)?;
    Ok(true)
}

/// [`add`] where there must be one.
///
/// # Errors
/// As [`load`], and if there is none.
pub fn require(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    match add(kv, files, config)? {
        true => Ok(()),
        false => Err(super::missing(&files.dir, "tokenizer.model")),
    }
}

/// The pieces of `model`, read from `path`, filled up to `vocab_size`, with the tokens of `added_tokens.json`
/// in `dir`.
///
/// # Errors
/// [`Error::Invalid`] if there are more pieces than that, or an added token is malformed.
pub fn fill_up(model: &Model, path: &Path, dir: &ModelDir, vocab_size: Option<usize>) -> Result<Pieces> {
    let mut pieces = only(model, path, vocab_size)?;
    pieces.add_from_added_tokens(dir, Outside::Ignored)?;
    Ok(pieces)
}

/// [`fill_up`] without added tokens.
///
/// # Errors
/// [`Error::Invalid`] if there are more pieces than that.
pub fn only(model: &Model, path: &Path, vocab_size: Option<usize>) -> Result<Pieces> {
    let len = vocab_size.unwrap_or(model.count());
    if len < model.count() {
        let problem = format!("has {} pieces, but config.json says vocab_size is {len}", model.count());
        return Err(Error::invalid(path, problem));
    }
    Ok(model.tokens(len))
}

/// Whether a token that is not marked special is one by the look of it: some models mark added
/// control tokens as ordinary text (command-r, deepseek-coder, gemma).
pub fn looks_special(token: &str) -> bool {
    let within = |start, end| token.starts_with(start) && token.ends_with(end);
    matches!(token, "<pad>" | "<mask>" | "<2mass>" | "[@BOS@]")
        || within("<|", "|>")
        || within("<\u{ff5c}", "\u{ff5c}>")
        || within("<unused", ">")
}

impl Pieces {
    /// `len` fillers.
    pub fn padding(len: usize) -> Self {
        let tokens: Vec<_> = (0..len).map(|id| format!("[PAD{id}]").into_bytes()).collect();
        Self { scores: vec![-10000.0; tokens.len()], types: vec![kind::UNUSED; tokens.len()], tokens }
    }

    /// Sets a token that is there.
    ///
    /// # Panics
    /// If `id` is not below the number of tokens.
    pub fn set(&mut self, id: usize, token: Vec<u8>, score: f32, kind: i32) {
        self.tokens[id] = token;
        self.scores[id] = score;
        self.types[id] = kind;
    }

    /// Writes them for llama.cpp's tokenizer `model`, with its usual pre-tokenizer.
    pub fn write_for(self, kv: &mut KeyValues, model: &str) {
        kv.set_string("tokenizer.ggml.model", model);
        kv.set_string("tokenizer.ggml.pre", "default");
        self.write(kv);
    }

    /// Writes the lists.
    pub fn write(self, kv: &mut KeyValues) {
        kv.set_strings("tokenizer.ggml.tokens", self.tokens);
        kv.set("tokenizer.ggml.scores", Kv::F32s(self.scores));
        kv.set("tokenizer.ggml.token_type", Kv::I32s(self.types));
    }

    /// Sets the tokens of `added_tokens.json`, `{"text": id, …}`: every one is user-defined.
    ///
    /// # Errors
    /// If the file is something else.
    pub fn add_from_added_tokens(&mut self, dir: &ModelDir, outside: Outside) -> Result<()> {
        let path = dir.join("added_tokens.json");
        for (token, id) in read_object(dir, "added_tokens.json")?.unwrap_or_default() {
            let id = id.as_u64().ok_or_else(|| {
                let (token, found) = (excerpt(&token), excerpt(&id.to_string()));
                let problem = format!("id of token {token}: expected a whole number from 0, found {found}");
                Error::invalid(&path, problem)
            })?;
            self.set_added(&path, id, token, kind::USER_DEFINED, outside)?;
        }
        Ok(())
    }

    /// Sets an added token.
    ///
    /// # Errors
    /// If its id lies outside of the vocabulary, and that matters.
    pub fn set_added(
        &mut self,
        path: &Path,
        id: u64,
        token: String,
        kind: i32,
        outside: Outside,
    ) -> Result<()> {
        let len = self.tokens.len();
        match usize::try_from(id) {
            Ok(id) if id < len => self.set(id, token.into_bytes(), -1000.0, kind),
            _ if outside == Outside::Refused => {
                let problem = format!("token {} has id {id}, but there are {len} tokens", excerpt(&token));
                return Err(Error::invalid(path, problem));
            }
            _ => tracing::warn!("{}: token {id} is ignored: there are {len} tokens", path.display()),
        }
        Ok(())
    }
}

/// What becomes of added tokens whose ids lie outside of the vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Outside {
    Ignored,
    Refused,
}

/// `"added_tokens_decoder": {"id": {"content": text, "special": bool, …}, …}`.
fn add_from_tokenizer_config(pieces: &mut Pieces, dir: &ModelDir) -> Result<()> {
    let path = &dir.join("tokenizer_config.json");
    let Some(mut config) = read_object(dir, "tokenizer_config.json")? else { return Ok(()) };
    let decoder = match config.swap_remove("added_tokens_decoder") {
        None => return Ok(()),
        Some(Value::Object(decoder)) => decoder,
        Some(_) => return Err(Error::invalid(path, "added_tokens_decoder: expected an object")),
    };
    for (key, token) in &decoder {
        let at = |problem: &str| {
            Error::invalid(path, format!("added_tokens_decoder, key {}: {problem}", excerpt(key)))
        };
        let id = key.trim().parse().map_err(|_| at("expected a token id, a whole number from 0"))?;
        let content = token.get("content").and_then(Value::as_str);
        let content = content.ok_or_else(|| at("expected an object with a string \"content\""))?;
        let special = match token.get("special") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(special)) => *special,
            Some(_) => return Err(at("expected \"special\" to be true or false")),
        };
        if special || looks_special(content) {
            pieces.set_added(path, id, content.to_owned(), kind::CONTROL, Outside::Ignored)?;
        } else {
            // llama.cpp expects user-defined tokens as they stand in the text.
            let content = content.replace('\u{2581}', " ");
            pieces.set_added(path, id, content, kind::USER_DEFINED, Outside::Ignored)?;
        }
    }
    Ok(())
}

/// The first characters of a text from the input, quoted, so that no message outgrows a terminal.
fn excerpt(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}

fn read_object(dir: &ModelDir, name: &str) -> Result<Option<Map<String, Value>>> {
    files::object(dir, name)
}

#[cfg(test)]
mod tests;
