//! A BPE model of the few tokens and merges that matter for given words, which is quick to build and
//! gives them the same ids as the whole model.
//!
//! Why it does: the model splits a word into characters, then joins neighbours as the merges say. Thus
//! every symbol is a part of the word, and only merges whose result is a part of the word can apply. The
//! excerpt holds all tokens that are part of a word, with their ids, and all merges that make one, in
//! the same order. A word that is a token itself (`ignore_merges`) is a part of itself.
//!
//! Characters that are no tokens are the exception.
//! - They may be left out, and what was on either side become neighbours. So the parts of a word without
//!   them count as well.
//! - Or the token for unknown characters, or those for bytes, stand in for them. These tokens are always
//!   in the excerpt. That no merge names one is checked: where one stands, nothing is joined.
//!
//! Some settings make texts of symbols differ from what is in the word, or let chance decide. With those
//! an excerpt will not do.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::{Model, Token};

use super::lists::BpeLists;

/// More text than this, in bytes, and the whole model is as good.
const MOST_TEXT: usize = 1 << 14;

/// Whether excerpts do for the model with these settings and lists.
pub fn will_do(settings: &Map<String, Value>, lists: &BpeLists) -> bool {
    let absent = |key: &str| settings.get(key).is_none_or(|value| value.is_null() || value == "");
    let (unknown, bytes) = stand_ins(settings);
    let stands_in = |text: &str| {
        unknown == Some(text) || text.starts_with("<0x") && bytes.iter().any(|byte| byte == text)
    };
    ["dropout", "continuing_subword_prefix", "end_of_word_suffix"].into_iter().all(absent)
        && !lists.merges.iter().any(|merge| {
            let (left, right) = lists.parts(*merge);
            stands_in(left) || stands_in(right)
        })
}

/// The model that encodes `words` as the one with these settings and all of `lists` does, as
/// `tokenizer.json` describes models. Excerpts must do for it.
pub fn model(settings: &Map<String, Value>, lists: &BpeLists, words: &[String]) -> Value {
    if words.iter().map(String::len).sum::<usize>() > MOST_TEXT {
        return whole(settings, lists);
    }
    let is_token = |c: &char| lists.vocabulary.place(c.encode_utf8(&mut [0; 4])).is_some();
    let without_others = words.iter().map(|word| word.chars().filter(is_token).collect());
    let words: Vec<String> = words.iter().cloned().chain(without_others).collect();
    let parts = Parts::new(&words);
    let mut kept: Vec<bool> =
        lists.vocabulary.iter().map(|(text, _)| parts.contains(text.as_bytes())).collect();
    let merges = lists.merges.iter().filter(|merge| kept.get(merge.joined as usize) == Some(&true));
    let merges: Vec<Value> = merges.map(|merge| json!(lists.parts(*merge))).collect();
    let (unknown, bytes) = stand_ins(settings);
    let stand_ins = unknown.into_iter().chain(bytes.iter().map(String::as_str));
    for place in stand_ins.filter_map(|text| lists.vocabulary.place(text)) {
        kept[place] = true;
    }
    let tokens = lists.vocabulary.iter().zip(&kept).filter(|(_, kept)| **kept);
    let vocab: Map<String, Value> = tokens.map(|((text, id), _)| (text.to_owned(), id.into())).collect();
    with_lists(settings, vocab.into(), merges.into())
}

/// The whole model.
pub fn whole(settings: &Map<String, Value>, lists: &BpeLists) -> Value {
    let vocab: Map<String, Value> =
        lists.vocabulary.iter().map(|(text, id)| (text.to_owned(), id.into())).collect();
    let merges = lists.merges.iter().map(|merge| json!(lists.parts(*merge))).collect();
    with_lists(settings, vocab.into(), merges)
}

fn with_lists(settings: &Map<String, Value>, vocab: Value, merges: Value) -> Value {
    let mut model = settings.clone();
    model.insert("vocab".into(), vocab);
    model.insert("merges".into(), merges);
    model.into()
}

/// The tokens for unknown characters and for bytes, whether they exist or not.
fn stand_ins(settings: &Map<String, Value>) -> (Option<&str>, Vec<String>) {
    let fallback = settings.get("byte_fallback").is_some_and(|flag| flag == true);
    let bytes = (0..=u8::MAX).filter(|_| fallback).map(|byte| format!("<0x{byte:02X}>"));
    (settings.get("unk_token").and_then(Value::as_str), bytes.collect())
}

/// All parts of some words.
struct Parts<'a> {
    /// The words from each byte on, sorted.
    ends: Vec<&'a [u8]>,
    /// Which pairs of bytes occur: most texts are not contained for want of their first.
    pairs: Vec<bool>,
}

impl<'a> Parts<'a> {
    fn new(words: &'a [String]) -> Self {
        let mut ends: Vec<&[u8]> =
            words.iter().flat_map(|word| (0..word.len()).map(|at| &word.as_bytes()[at..])).collect();
        ends.sort_unstable();
        let mut pairs = vec![false; 1 << 16];
        ends.iter().filter_map(|end| end.first_chunk()).for_each(|pair| pairs[index(*pair)] = true);
        Self { ends, pairs }
    }

    fn contains(&self, part: &[u8]) -> bool {
        if part.first_chunk().is_some_and(|pair| !self.pairs[index(*pair)]) {
            return false;
        }
        let first = self.ends.partition_point(|end| *end < part);
        part.is_empty() || self.ends.get(first).is_some_and(|end| end.starts_with(part))
    }
}

fn index(pair: [u8; 2]) -> usize {
    usize::from(u16::from_le_bytes(pair))
}

/// A model of which only an excerpt is there for encoding, but all tokens are known.
pub struct Excerpt<'a> {
    /// The excerpt, or all.
    pub model: ModelWrapper,
    /// The whole, if that is more.
    pub lists: Option<&'a BpeLists>,
}

impl Model for Excerpt<'_> {
    type Trainer = TrainerWrapper;

    fn tokenize(&self, word: &str) -> tokenizers::Result<Vec<Token>> {
        self.model.tokenize(word)
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.lists.map_or_else(|| self.model.token_to_id(token), |lists| lists.vocabulary.id(token))
    }

    /// Knows only those that encoding can give.
    fn id_to_token(&self, id: u32) -> Option<String> {
        self.model.id_to_token(id)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        let owned =
            |lists: &BpeLists| lists.vocabulary.iter().map(|(text, id)| (text.to_owned(), id)).collect();
        self.lists.map_or_else(|| self.model.get_vocab(), owned)
    }

    fn get_vocab_size(&self) -> usize {
        self.lists.map_or_else(|| self.model.get_vocab_size(), |lists| lists.vocabulary.len())
    }

    fn save(&self, folder: &Path, name: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        self.model.save(folder, name)
    }

    fn get_trainer(&self) -> TrainerWrapper {
        self.model.get_trainer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found() {
        let words = ["abab".to_owned(), "é".into(), String::new()];
        let parts = Parts::new(&words);
        for part in ["", "a", "b", "ab", "bab", "abab", "é"] {
            assert!(parts.contains(part.as_bytes()), "{part}");
        }
        for other in ["c", "ba ", "aba b", "ababa", "aa", "bé", "éa"] {
            assert!(!parts.contains(other.as_bytes()), "{other}");
        }
    }
}
