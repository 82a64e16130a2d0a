//! What the loader demands of a vocabulary.

use super::keys::Keys;
use crate::gguf::{KeyValues, Value};
use crate::input::quoted;

/// Kinds of tokenizers that llama.cpp has.
const MODELS: [&str; 12] = [
    "no_vocab",
    "none",
    "llama",
    "bert",
    "gpt2",
    "hybriddna",
    "whitespace",
    "t5",
    "rwkv",
    "test",
    "plamo2",
    "gemma4",
];
/// Those that need merges.
const MERGING: [&str; 4] = ["gpt2", "hybriddna", "whitespace", "gemma4"];

/// Pre-tokenizers that it knows, for those.
const PRE_TOKENIZERS: &str = include_str!("pre_tokenizers.txt");

/// Keys that are true or false.
const FLAGS: [&str; 5] =
    ["add_bos_token", "add_eos_token", "add_sep_token", "add_space_prefix", "remove_extra_whitespaces"];

const SCORES: &str = "tokenizer.ggml.scores";
const TYPES: &str = "tokenizer.ggml.token_type";

/// Says what is wrong, or how many tokens there are.
pub fn check(keys: &Keys) -> Result<u64, String> {
    let metadata = keys.metadata;
    let model = match metadata.get("tokenizer.ggml.model") {
        Some(Value::String(model)) => String::from_utf8_lossy(model),
        Some(_) => return Err("tokenizer.ggml.model is not a string".into()),
        None => return Err("tokenizer.ggml.model is missing".into()),
    };
    if !MODELS.contains(&&*model) {
        return Err(format!("tokenizer.ggml.model is {}, which it does not know", quoted(&model)));
    }
    if metadata.get("tokenizer.ggml.pre").is_some_and(|pre| !matches!(pre, Value::String(_))) {
        return Err("tokenizer.ggml.pre is not a string".into());
    }
    if ["no_vocab", "none"].contains(&&*model) {
        return Ok(keys.number("vocab_size").unwrap_or(0));
    }
    let tokens = match metadata.get("tokenizer.ggml.tokens") {
        Some(Value::Strings(tokens)) => tokens.len() as u64,
        Some(_) => return Err("tokenizer.ggml.tokens is not a list of strings".into()),
        None => return Err("tokenizer.ggml.tokens is missing".into()),
    };
    one_for_each(metadata, tokens)?;
    if MERGING.contains(&&*model)
        && let Some(Value::String(pre)) = metadata.get("tokenizer.ggml.pre")
        && !pre.is_empty()
        && !PRE_TOKENIZERS.lines().any(|known| known.as_bytes() == pre)
    {
        let pre = quoted(&String::from_utf8_lossy(pre));
        return Err(format!("tokenizer.ggml.pre is {pre}, which it does not know"));
    }
    small_settings(keys)?;
    match metadata.get("tokenizer.ggml.merges") {
        None if MERGING.contains(&&*model) => Err("tokenizer.ggml.merges is missing".into()),
        Some(value) if MERGING.contains(&&*model) && !matches!(value, Value::Strings(_)) => {
            Err("tokenizer.ggml.merges is not a list of strings".into())
        }
        _ => Ok(tokens),
    }
}

/// Makes sure that lists of what tokens are like have something for each of them.
fn one_for_each(metadata: &KeyValues, tokens: u64) -> Result<(), String> {
    let len = |key: &str| match metadata.get(key)? {
        Value::F32s(list) if key == SCORES => Some(Some(list.len() as u64)),
        Value::I32s(list) if key == TYPES => Some(Some(list.len() as u64)),
        _ => Some(None),
    };
    for key in [SCORES, TYPES] {
        match len(key) {
            Some(None) => return Err(format!("{key} is of another type than expected")),
            Some(Some(len)) if len < tokens => {
                return Err(format!(
                    "{key} has {len} entries, {tokens} tokens need one each (tokenizer.ggml.tokens)"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn small_settings(keys: &Keys) -> Result<(), String> {
    let metadata = keys.metadata;
    let types = metadata.get("tokenizer.ggml.token_type_count");
    if keys.arch == "bert" && !matches!(types, Some(Value::U32(1..))) {
        return Err("tokenizer.ggml.token_type_count is missing, or not a u32 of 1 or more".into());
    }
    for key in FLAGS.map(|key| format!("tokenizer.ggml.{key}")) {
        if metadata.get(&key).is_some_and(|value| !matches!(value, Value::Bool(_))) {
            return Err(format!("{key} is of another type than expected (bool)"));
        }
    }
    Ok(())
}
