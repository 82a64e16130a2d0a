//! Tokenizers: their files in, `tokenizer.*` key-values out, as the reference writes them.
//!
//! Knows nothing of tensors. Each kind of vocabulary is a file of its own; which one a model uses, and what it adds, is its
//! family's business ([`Route`]).

mod apart;
mod auto_classes;
mod bounded;
pub(crate) mod bpe;
mod class;
mod components;
mod excerpt;
mod files;
mod gemma;
pub(crate) mod glm;
mod guard;
mod hf;
mod internlm;
mod kimi;
mod lists;
mod llama;
pub(crate) mod llama_hf;
mod mistral;
mod mistral_common;
mod nearest;
mod phi3;
mod plain;
mod plamo;
mod pre;
mod qwen;
mod ranks;
mod route;
mod rwkv;
pub mod sentencepiece;
mod settings;
mod special;
mod tekken;
mod template;
mod tokenizer_file;
mod tokenizer_json;
pub(crate) mod unigram;
pub(crate) mod wordpiece;

use crate::json::{Map, Value};

pub use files::TokenizerFiles;
pub use route::Route;
pub use tokenizer_file::TokenizerFile;

pub(crate) use bpe::Base;
pub(crate) use gemma::{add_1 as gemma, add_2 as gemma2, add_3 as gemma3, add_4 as gemma4};
pub(crate) use internlm::{add_2 as internlm2, add_3 as internlm3};
pub(crate) use kimi::add as kimi;
pub(crate) use llama::add as llama;
pub(crate) use mistral_common::add as mistral;
pub(crate) use phi3::add as phi3;
pub(crate) use plain::{none, xverse};
pub(crate) use plamo::{add as plamo, add_with_template as plamo_with_template};
pub(crate) use qwen::{add as qwen, add_hunyuan as hunyuan};
pub(crate) use route::{
    Padding, gpt2, kind_of, padded, qwen2, sentencepiece as sentencepiece_only, tiktoken,
};
pub(crate) use rwkv::add as rwkv;
pub(crate) use special::{KINDS, SpecialVocab};
pub(crate) use tekken::special_token as special_tekken_token;
pub(crate) use template::{own_template, template_or};

use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::input::bounded;
use crate::source::ModelDir;

/// More tokens than any vocabulary has, the largest of which have 900,000; a limit against absurd files.
const MOST_TOKENS: u64 = 3 << 19;

/// Kinds of tokens, numbered as `tokenizer.ggml.token_type` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenType {
    Normal = 1,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// The ids of `text` by the tokenizer in `dir`, of a model with this configuration, with what it puts around texts.
///
/// # Errors
/// As those of reading a vocabulary.
pub(crate) fn encode(dir: &ModelDir, config: &Map<String, Value>, text: &str) -> Result<Vec<u32>> {
    let files = TokenizerFiles::read(dir, TokenizerFile::new(dir))?;
    hf::HfTokenizer::new(&files, config)?.encode(text)
}

/// A file that the route needs is not there.
fn missing(dir: &ModelDir, name: &str) -> Error {
    Error::invalid(dir, format!("there is no {name}")).hint("download it along with the model's other files")
}

/// How many kinds of segments a text may have; llama.cpp checks the embedding of token types by it.
pub(crate) fn add_token_type_count(
    kv: &mut KeyValues,
    files: &TokenizerFiles,
    config: &Map<String, Value>,
) -> Result<()> {
    let count = match config.get("type_vocab_size") {
        None => Some(1),
        Some(count) => count.as_u64().and_then(|count| u32::try_from(count).ok()),
    };
    let invalid =
        || Error::invalid(files.dir.join("config.json"), "type_vocab_size: expected a small number");
    kv.set_u32("tokenizer.ggml.token_type_count", count.ok_or_else(invalid)?);
    Ok(())
}

/// Texts are not begun with a space.
pub(crate) fn no_space_prefix(kv: &mut KeyValues) {
    kv.set_bool("tokenizer.ggml.add_space_prefix", false);
}

/// How many tokens a SentencePiece vocabulary has, as the configuration says.
fn sentencepiece_size(config: &Map<String, Value>, dir: &ModelDir) -> Result<Option<u64>> {
    let per_layer = size_of(config, "vocab_size_per_layer_input", dir)?;
    let size = per_layer.map_or_else(|| vocab_size(config, dir), |size| Ok(Some(size)))?;
    Ok(size.map(|size| size as u64))
}

/// `vocab_size` of the configuration.
///
/// # Errors
/// If it is no number of tokens.
pub(crate) fn vocab_size(config: &Map<String, Value>, dir: &ModelDir) -> Result<Option<usize>> {
    size_of(config, "vocab_size", dir)
}

fn size_of(config: &Map<String, Value>, key: &str, dir: &ModelDir) -> Result<Option<usize>> {
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
