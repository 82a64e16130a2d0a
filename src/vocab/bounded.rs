//! Parts of a tokenizer that a stranger wrote, kept from growing without bounds.
//!
//! The library trusts them: eight replacements of a space by six make a gigabyte of a page, and a template that
//! names a text 200,000 times gets it as often. So each part has a size, each step that rewrites text is followed
//! by a look at what it made, and a step cannot add more to each character than its longest literal.

use std::path::Path;

use crate::json::{Map, Value};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokenizers::tokenizer::{OffsetReferential, OffsetType};
use tokenizers::{
    Decoder, DecoderWrapper, NormalizedString, Normalizer, NormalizerWrapper, PreTokenizedString,
    PreTokenizer, PreTokenizerWrapper, Result as LibraryResult,
};

use super::guard::refuse;
use super::sentencepiece::charsmap;
use crate::error::{Error, Result};
use crate::input::quoted;

/// The parts of `tokenizer.json`, what of each does not count, and the largest size of the rest in bytes. Real
/// ones have up to a thousand.
const PARTS: [(&str, &[&str], usize); 5] = [
    ("normalizer", &["precompiled_charsmap"], 1 << 16),
    ("pre_tokenizer", &[], 1 << 16),
    ("post_processor", &[], 1 << 14),
    ("decoder", &[], 1 << 16),
    ("model", &["vocab", "merges"], 1 << 12),
];

/// What an object, a list, a number or the like counts for, in bytes.
const NODE: usize = 8;

/// Longest text that a step may put in the place of another, in bytes, and longest one in a table of replacements:
/// the real table of NFKC has one of 33.
const LONGEST_LITERAL: usize = 64;
const LONGEST_REPLACEMENT: usize = 256;

/// Refuses what no real tokenizer has in `tokenizer.json` at `path`.
///
/// # Errors
/// If a part, a literal of it, or an entry of a table of replacements is too large.
pub(super) fn check(path: &Path, tokenizer: &Map<String, Value>) -> Result<()> {
    for (name, besides, most) in PARTS {
        let Some(part) = tokenizer.get(name) else { continue };
        let size = size(part, besides);
        if size > most {
            let problem = format!("{name}: expected at most {most} bytes, found {size}");
            return Err(Error::invalid(path, problem));
        }
        if matches!(name, "normalizer" | "decoder") {
            check_literals(part).map_err(|problem| Error::invalid(path, format!("{name}: {problem}")))?;
        }
    }
    Ok(())
}

/// Bytes of `value`, about, without the entries of `besides` wherever they are. Depth is bounded by the parser.
fn size(value: &Value, besides: &[&str]) -> usize {
    NODE + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| size(item, besides)).sum(),
        Value::Object(map) => {
            let counted = map.iter().filter(|(key, _)| !besides.contains(&key.as_str()));
            counted.map(|(key, item)| key.len() + size(item, besides)).sum()
        }
        _ => 0,
    }
}

fn check_literals(part: &Value) -> std::result::Result<(), String> {
    match part {
        Value::String(text) if text.len() > LONGEST_LITERAL => Err(format!(
            "{}: expected a text of at most {LONGEST_LITERAL} bytes, found {}",
            quoted(text),
            text.len()
        )),
        Value::Array(items) => items.iter().try_for_each(check_literals),
        Value::Object(map) => map.iter().try_for_each(|(key, item)| match (key.as_str(), item) {
            ("pattern", _) => Ok(()),
            ("precompiled_charsmap", Value::String(table)) => check_table(table),
            _ => check_literals(item),
        }),
        _ => Ok(()),
    }
}

/// SentencePiece's table, in Base64: the length of a trie in 32 bits, the trie, then replacements that end in NUL.
/// The library makes room for a trie of any length before it looks whether there is one.
fn check_table(table: &str) -> std::result::Result<(), String> {
    if table.len() > LARGEST_TABLE {
        let found = table.len();
        return Err(format!("precompiled_charsmap: expected at most {LARGEST_TABLE} bytes, found {found}"));
    }
    let table = BASE64_STANDARD.decode(table).unwrap_or_default();
    let Some((len, rest)) = table.split_first_chunk() else { return Ok(()) };
    let replacements = rest.get(u32::from_le_bytes(*len) as usize..).unwrap_or_default();
    match replacements.split(|byte| *byte == 0).map(<[u8]>::len).max() {
        Some(longest) if longest > LONGEST_REPLACEMENT => Err(format!(
            "precompiled_charsmap: expected replacements of at most {LONGEST_REPLACEMENT} bytes, found one of {longest}"
        )),
        _ => charsmap::check(&table).map_err(|problem| format!("precompiled_charsmap {problem}")),
    }
}

/// Longest table, in bytes of Base64. That of NFKC has 320,000.
const LARGEST_TABLE: usize = 4 << 20;

/// A part of which each step is looked after. Most texts stay as long as they are or double, as bytes become
/// letters.
pub(super) struct Bounded<Part>(pub(super) Part);

/// The longest that a part may make a text of `len` bytes.
fn bound(len: usize) -> usize {
    len.saturating_mul(16).saturating_add(1024)
}

impl Normalizer for Bounded<NormalizerWrapper> {
    fn normalize(&self, text: &mut NormalizedString) -> LibraryResult<()> {
        normalize(&self.0, text, bound(text.len()))
    }
}

fn normalize(part: &NormalizerWrapper, text: &mut NormalizedString, most: usize) -> LibraryResult<()> {
    if let NormalizerWrapper::Sequence(parts) = part {
        return parts.as_ref().iter().try_for_each(|part| normalize(part, text, most));
    }
    part.normalize(text)?;
    check_len(text.len(), most, "normalizer");
    Ok(())
}

impl PreTokenizer for Bounded<PreTokenizerWrapper> {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> LibraryResult<()> {
        pre_tokenize(&self.0, text, bound(len(text)))
    }
}

fn pre_tokenize(part: &PreTokenizerWrapper, text: &mut PreTokenizedString, most: usize) -> LibraryResult<()> {
    if let PreTokenizerWrapper::Sequence(parts) = part {
        return parts.as_ref().iter().try_for_each(|part| pre_tokenize(part, text, most));
    }
    part.pre_tokenize(text)?;
    check_len(len(text), most, "pre_tokenizer");
    Ok(())
}

fn len(text: &PreTokenizedString) -> usize {
    let splits = text.get_splits(OffsetReferential::Normalized, OffsetType::None);
    splits.iter().map(|(split, ..)| split.len()).sum()
}

impl Decoder for Bounded<DecoderWrapper> {
    fn decode_chain(&self, tokens: Vec<String>) -> LibraryResult<Vec<String>> {
        let most = bound(tokens.iter().map(String::len).sum());
        decode(&self.0, tokens, most)
    }
}

fn decode(part: &DecoderWrapper, tokens: Vec<String>, most: usize) -> LibraryResult<Vec<String>> {
    if let DecoderWrapper::Sequence(parts) = part {
        return parts.get_decoders().iter().try_fold(tokens, |tokens, part| decode(part, tokens, most));
    }
    let tokens = part.decode_chain(tokens)?;
    check_len(tokens.iter().map(String::len).sum(), most, "decoder");
    Ok(tokens)
}

/// The library drops what normalizers return as an error, hence no error here.
fn check_len(len: usize, most: usize, part: &'static str) {
    if len > most {
        refuse(part);
    }
}
