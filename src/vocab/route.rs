//! How a family reads its vocabulary: a function of its own, or one of those that many families share, composed of the
//! readers in this module's siblings (`bpe`, `sentencepiece`, `wordpiece`, `unigram`) and of what is added to what they say
//! (`set_vocab` of the reference's model classes).
//!
//! "BPE" is the byte-level one of `tokenizer.json` (llama.cpp's "gpt2"), "SentencePiece" is `tokenizer.model` (llama.cpp's
//! "llama").

use super::files::TokenizerFiles;
use super::{bpe, sentencepiece, vocab_size};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::json::{Object, Value};

/// Adds the keys of a vocabulary, given its files and the model's configuration.
pub type Route = fn(&mut KeyValues, &TokenizerFiles, &Object) -> Result<()>;

/// BPE. Most families.
///
/// # Errors
/// If there is none, or it cannot be written.
pub fn gpt2(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    bpe::add(kv, files, config, &[])
}

/// SentencePiece, else BPE: Qwen 2 and 3, DeepSeek 1.
///
/// # Errors
/// As [`gpt2`].
pub fn qwen2(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    match sentencepiece::add(kv, files, config)? {
        true => Ok(()),
        false => gpt2(kv, files, config),
    }
}

/// SentencePiece.
///
/// # Errors
/// If there is none, or it cannot be written.
pub fn sentencepiece(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    match sentencepiece::add(kv, files, config)? {
        true => Ok(()),
        false => Err(super::missing(&files.dir, "tokenizer.model")),
    }
}

/// Why a tokenizer in the form of `file` is not read.
pub fn tiktoken(files: &TokenizerFiles, file: &str) -> Error {
    Error::unsupported(format!(
        "expected tokenizer.json; {file} is read by Python code that comes with the model, and ggraft runs \
         no such code"
    ))
    .at(files.dir.path())
}

/// `part.key` of `tokenizer.json`, a text.
pub fn kind_of<'a>(files: &'a TokenizerFiles, part: &str, key: &str) -> Option<&'a str> {
    files.tokenizer.as_ref()?.get(part)?.get(key)?.as_str()
}

/// To what the size of a vocabulary is rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// A multiple of the configuration's `pad_vocab_size_multiple`; of this number if there is none.
    ConfigOr(u64),
    /// A multiple of this number.
    To(u64),
}

/// `config` with `vocab_size` rounded up.
///
/// # Errors
/// If there is no such number, or an absurd one.
pub fn padded(padding: Padding, files: &TokenizerFiles, config: &Object) -> Result<Object> {
    let path = files.dir.join("config.json");
    let multiple = match padding {
        Padding::To(multiple) => Some(multiple),
        Padding::ConfigOr(default) => match config.get("pad_vocab_size_multiple") {
            None => Some(default),
            Some(multiple) => multiple.as_u64().filter(|n| (1..=1 << 24).contains(n)),
        },
    };
    let multiple = multiple.ok_or_else(|| {
        Error::invalid(&path, "pad_vocab_size_multiple: expected a number of tokens from 1")
    })?;
    let size = vocab_size(config, &files.dir)?;
    let size =
        size.ok_or_else(|| Error::invalid(&path, "vocab_size: expected a number of tokens, found none"))?;
    let mut config = config.clone();
    config.insert("vocab_size".into(), Value::Int((size as u64).next_multiple_of(multiple) as i64));
    Ok(config)
}
