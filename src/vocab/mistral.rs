//! `fix_mistral_regex`: a flag in `tokenizer_config.json` by which transformers replaces the splitting
//! pattern of Mistral's tokenizers, which were published with a wrong one.

use crate::json::{Map, Value, json};

use super::files::TokenizerFiles;

/// Tokenizers with fewer tokens are left alone.
const MOST_TOKENS_UNTOUCHED: usize = 100_000;

const MODEL_TYPES: [&str; 5] = ["mistral", "mistral3", "voxtral", "ministral", "pixtral"];

/// Whether the flag is set and takes effect on `tokenizer`: for Mistral models saved before transformers 5.
pub fn wants_other_pattern(files: &TokenizerFiles, tokenizer: &Map<String, Value>) -> bool {
    let flag = files.config.as_ref().and_then(|c| c.get("fix_mistral_regex")).and_then(Value::as_bool);
    let Some(config) = files.model_config.as_ref().filter(|_| flag == Some(true)) else { return false };
    let text = |key: &str| config.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let major = text("transformers_version").and_then(|v| v.split('.').next()?.parse::<u32>().ok());
    let in_tree = || tokenizer.get("model").and_then(|m| m.get("vocab")).and_then(Value::as_object);
    let listed = files.lists.as_ref().map(|lists| lists.vocabulary.len());
    listed.or_else(|| in_tree().map(Map::len)).is_some_and(|tokens| tokens > MOST_TOKENS_UNTOUCHED)
        && major.is_none_or(|major| major < 5)
        && text("model_type").is_none_or(|kind| MODEL_TYPES.contains(&kind))
        && tokenizer.get("pre_tokenizer").is_some_and(|p| !p.is_null())
}

/// Puts the right pattern into `tokenizer`: in place of the first step of several, or before the only one.
pub fn replace_pattern(tokenizer: &mut Map<String, Value>) {
    let split =
        json!({"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": false});
    let Some(pre) = tokenizer.get_mut("pre_tokenizer") else { return };
    if let Some(first) = pre.get_mut("pretokenizers").and_then(|steps| steps.as_array_mut()?.first_mut()) {
        *first = split;
        return;
    }
    let only = match pre.get("type").and_then(Value::as_str) {
        Some("Metaspace") => {
            json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false})
        }
        _ => std::mem::take(pre),
    };
    *pre = json!({"type": "Sequence", "pretokenizers": [split, only]});
}

/// The pattern of Mistral's own tokenizer (`_patch_mistral_regex` of transformers).
const PATTERN: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|",
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
