//! Llama's vocabularies, and those of everybody whose model calls itself one.

use crate::json::{Map, Value};

use super::files::TokenizerFiles;
use super::mistral_common;
use super::special::SpecialVocab;
use super::{bpe, llama_hf, sentencepiece, vocab_size};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;

/// SentencePiece, else Llama's `tokenizer.json`, else BPE; with CodeLlama's and Granite's special cases. Mistral's
/// `tekken.json` where there is no `tokenizer.json`.
///
/// # Errors
/// [`Error::Unsupported`] for tokenizers that cannot be written, [`Error::Invalid`] if files are malformed.
pub fn add(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    let dir = &files.dir;
    if files.tokenizer.is_none() && dir.exists("tekken.json")? {
        return mistral_common::add_community(kv, dir);
    }
    if let Some(tokenizer_config) = &files.config {
        let class = tokenizer_config.get("tokenizer_class");
        if let Some(value) = tokenizer_config.get("add_prefix_space").filter(|v| !v.is_null()) {
            let value = value.as_bool().ok_or_else(|| {
                Error::invalid(dir.join("tokenizer_config.json"), "add_prefix_space: expected true or false")
            })?;
            kv.set_bool("tokenizer.ggml.add_space_prefix", value);
        }
        if class.is_some_and(|class| class == "HybridDNATokenizer") {
            return Err(Error::unsupported("HybridDNATokenizer is not supported").at(dir.path()));
        }
    }
    if !sentencepiece::add(kv, files, config)? {
        match llama_hf::applies(files) {
            true => llama_hf::add(kv, files, config)?,
            false => bpe::add(kv, files, config, &[])?,
        }
    }
    let size = vocab_size(config, dir)?;
    if size == Some(32016) {
        add_code_llama(kv, files)?;
    }
    if size == Some(49152) {
        // Small Granite models, says the reference; it means everybody with this many tokens.
        kv.set_bool("tokenizer.ggml.add_bos_token", false);
    }
    Ok(())
}

/// CodeLlama's token for the end of a turn, and all that comes along with looking for it.
fn add_code_llama(kv: &mut KeyValues, files: &TokenizerFiles) -> Result<()> {
    let mut special = SpecialVocab::load(files, false, &["prefix", "suffix", "middle", "eot"], None)?;
    special.set("eot", Some(&32010.into()), &files.dir, None)?;
    special.write(kv, &files.dir)
}
