//! Gemma's vocabularies: SentencePiece without a space in front, or what has grown out of it.

use crate::json::{Map, Value};

use super::files::TokenizerFiles;
use super::special::{KINDS, SpecialVocab};
use super::{TokenType, bpe, llama_hf, no_space_prefix, sentencepiece};
use crate::error::Result;
use crate::gguf::KeyValues;

/// Gemma 1, with CodeGemma's tokens.
///
/// # Errors
/// If there is no `tokenizer.model`, or files are malformed.
pub fn add_1(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    sentencepiece::require(kv, files, config)?;
    let mut special = SpecialVocab::load(files, false, &["prefix", "suffix", "middle", "fsep", "eot"], None)?;
    special.set("eot", Some(&107.into()), &files.dir, None)?;
    special.chat_template = None;
    special.write(kv, &files.dir)?;
    no_space_prefix(kv);
    Ok(())
}

/// Gemma 2.
///
/// # Errors
/// As [`add_1`].
pub fn add_2(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    sentencepiece::require(kv, files, config)?;
    no_space_prefix(kv);
    Ok(())
}

/// Gemma 3: as before, else byte-level BPE.
///
/// # Errors
/// If files are malformed.
pub fn add_3(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    match sentencepiece::add(kv, files, config)? {
        true => no_space_prefix(kv),
        false => bpe::add(kv, files, config, &[])?,
    }
    Ok(())
}

/// Gemma 4. The tokens of tool calls are user-defined, so that the chat parser sees them.
///
/// # Errors
/// As [`add_3`].
pub fn add_4(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    const VISIBLE: [&str; 7] = [
        "<|channel>",
        "<channel|>",
        "<|tool_call>",
        "<tool_call|>",
        "<|tool_response>",
        "<tool_response|>",
        "<|\"|>",
    ];
    let mut pieces = llama_hf::read(files, config)?;
    for (token, kind) in pieces.tokens.iter().zip(&mut pieces.types) {
        if VISIBLE.iter().any(|visible| visible.as_bytes() == token) {
            *kind = TokenType::UserDefined as i32;
        }
    }
    kv.set_string("tokenizer.ggml.model", "gemma4");
    pieces.write(kv);
    SpecialVocab::load(files, true, &KINDS, None)?.write(kv, &files.dir)?;
    no_space_prefix(kv);
    kv.set_bool("tokenizer.ggml.add_bos_token", true);
    Ok(())
}
