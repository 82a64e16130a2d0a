//! Tokenizers: their files in, `tokenizer.*` key-values out, as the reference writes them.
//!
//! Knows nothing of tensors. Each kind of vocabulary is a file of its own; which one a model uses is
//! decided here.

mod bpe;
mod class;
mod excerpt;
mod files;
mod guard;
mod hf;
mod lists;
mod llama_hf;
mod mistral;
mod pre;
pub mod sentencepiece;
mod settings;
mod special;
mod template;
mod tokenizer_json;

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value as Kv};
use crate::input;
use crate::input::bounded;
use files::TokenizerFiles;
use special::{KINDS, SpecialVocab};

/// More tokens than any vocabulary has; a limit against absurd files.
const MOST_TOKENS: u64 = 1 << 24;

/// Kinds of tokens, numbered as `tokenizer.ggml.token_type` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenType {
    Normal = 1,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// The vocabulary of Llama models: SentencePiece, SentencePiece in `tokenizer.json`, or BPE, whichever is there.
///
/// # Errors
/// If there is no vocabulary, or none that can be written.
pub fn add_llama(kv: &mut KeyValues, dir: &Path, config: &Map<String, Value>) -> Result<()> {
    let files = TokenizerFiles::read(dir)?;
    if files.tokenizer.is_none() && input::exists(&dir.join("tekken.json"))? {
        return Err(Error::Unsupported(format!(
            "{}: tekken tokenizers are not supported yet; a tokenizer.json of the same model is",
            dir.join("tekken.json").display()
        )));
    }
    if let Some(tokenizer_config) = &files.config {
        let class = tokenizer_config.get("tokenizer_class");
        if let Some(value) = tokenizer_config.get("add_prefix_space").filter(|v| !v.is_null()) {
            let value = value.as_bool().ok_or_else(|| {
                Error::invalid(dir.join("tokenizer_config.json"), "add_prefix_space: expected true or false")
            })?;
            kv.bool("tokenizer.ggml.add_space_prefix", value);
        }
        if class.is_some_and(|class| class == "HybridDNATokenizer") {
            return Err(Error::Unsupported(format!(
                "{}: HybridDNATokenizer is not supported",
                dir.display()
            )));
        }
    }
    if !add_sentencepiece(kv, &files, config)? {
        match llama_hf::applies(&files) {
            true => llama_hf::add(kv, &files, config)?,
            false => bpe::add(kv, &files, config)?,
        }
    }
    let size = vocab_size(config, dir)?;
    if size == Some(32016) {
        add_code_llama(kv, &files)?;
    }
    if size == Some(49152) {
        // Small Granite models, says the reference; it means everybody with this many tokens.
        kv.bool("tokenizer.ggml.add_bos_token", false);
    }
    Ok(())
}

/// The vocabulary of Qwen2 and Qwen3 models: SentencePiece or BPE.
///
/// # Errors
/// As [`add_llama`].
pub fn add_qwen2(kv: &mut KeyValues, dir: &Path, config: &Map<String, Value>) -> Result<()> {
    let files = TokenizerFiles::read(dir)?;
    match add_sentencepiece(kv, &files, config)? {
        true => Ok(()),
        false => bpe::add(kv, &files, config),
    }
}

/// A BPE vocabulary.
///
/// # Errors
/// As [`add_llama`].
pub fn add_gpt2(kv: &mut KeyValues, dir: &Path, config: &Map<String, Value>) -> Result<()> {
    bpe::add(kv, &TokenizerFiles::read(dir)?, config)
}

/// Writes the vocabulary of `tokenizer.model`, if there is one.
fn add_sentencepiece(
    kv: &mut KeyValues,
    files: &TokenizerFiles,
    config: &Map<String, Value>,
) -> Result<bool> {
    let per_layer = size_of(config, "vocab_size_per_layer_input", &files.dir)?;
    let size = per_layer.map_or_else(|| vocab_size(config, &files.dir), |size| Ok(Some(size)))?;
    let Some(pieces) = sentencepiece::load(&files.dir, size.map(|n| n as u64))? else { return Ok(false) };
    kv.string("tokenizer.ggml.model", "llama");
    kv.string("tokenizer.ggml.pre", "default");
    let len = pieces.tokens.len();
    kv.strings("tokenizer.ggml.tokens", pieces.tokens);
    kv.set("tokenizer.ggml.scores", Kv::F32s(pieces.scores));
    kv.set("tokenizer.ggml.token_type", Kv::I32s(pieces.types));
    SpecialVocab::load(files, false, &KINDS, Some(len))?.write(kv, &files.dir)?;
    Ok(true)
}

/// CodeLlama's token for the end of a turn, and all that comes along with looking for it.
fn add_code_llama(kv: &mut KeyValues, files: &TokenizerFiles) -> Result<()> {
    let mut special = SpecialVocab::load(files, false, &["prefix", "suffix", "middle", "eot"], None)?;
    special.set("eot", Some(&32010.into()), &files.dir, None)?;
    special.write(kv, &files.dir)
}

/// `vocab_size` of the configuration.
fn vocab_size(config: &Map<String, Value>, dir: &Path) -> Result<Option<usize>> {
    size_of(config, "vocab_size", dir)
}

fn size_of(config: &Map<String, Value>, key: &str, dir: &Path) -> Result<Option<usize>> {
    let Some(value) = config.get(key).filter(|v| !v.is_null()) else { return Ok(None) };
    let size = value.as_u64().filter(|n| *n <= MOST_TOKENS).and_then(|n| usize::try_from(n).ok());
    let invalid = || {
        format!(
            "{key}: expected a number of tokens up to {MOST_TOKENS}, found {}",
            bounded(&value.to_string())
        )
    };
    size.map(Some).ok_or_else(|| Error::invalid(dir.join("config.json"), invalid()))
}
