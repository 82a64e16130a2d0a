//! Reads `tokenizer.json` in one pass. Vocabulary and merges of a BPE model, or the vocabulary of a Unigram model,
//! which are nearly all of it, become compact lists; everything else is small and stays JSON.

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::MOST_TOKENS;
use super::lists::{BpeLists, UnigramLists, Vocabulary};
use crate::error::{Error, Result};
use crate::input::bounded;
use crate::json::{self, Budget};

/// What added tokens may take in memory, in bytes: that of 65,000 is about what models that speak need.
pub const LARGEST_ADDED: usize = 96 << 20;
const ADDED: &str = "added_tokens";

/// What all else besides vocabulary and merges may take, in bytes.
const LARGEST_TREE: usize = 16 << 20;

/// What the tree of an unusual tokenizer may take, in bytes, without its added tokens.
const LARGEST_UNUSUAL: usize = 80 << 20;

/// Most merges. The largest vocabularies have half a million.
const MOST_MERGES: usize = 1 << 21;

/// What is in the file.
#[derive(Debug)]
pub struct TokenizerJson {
    /// All of it, but for what is in `lists`.
    pub tree: Map<String, Value>,
    /// `model.vocab` and `model.merges` of a BPE model, if they are as they should be: no text and no id
    /// twice, nothing in a merge that is not in the vocabulary. If there is anything unusual about them,
    /// they are in the tree.
    pub lists: Option<BpeLists>,
    /// `model.vocab` of a Unigram model.
    pub unigram: Option<UnigramLists>,
}

/// Parses the file `path`, which has this content.
///
/// # Errors
/// If it is no JSON object.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<TokenizerJson> {
    if let Some(usual) = std::str::from_utf8(bytes).ok().and_then(|text| usual(text).ok()) {
        return Ok(usual);
    }
    let tree = json::parse_object(bytes, LARGEST_UNUSUAL, (ADDED, LARGEST_ADDED))
        .map_err(|e| Error::invalid(path, format!("expected a JSON object: {}", bounded(&e.to_string()))))?;
    // What the library makes of it can be a hundred times as large.
    if tree.get("model").and_then(|model| model.get("vocab")).is_some_and(Value::is_array) {
        let problem =
            "model.vocab: expected pairs of a text, none of them twice, and a score of a Unigram model";
        return Err(Error::invalid(path, problem));
    }
    Ok(TokenizerJson { tree, lists: None, unigram: None })
}

/// Fails if there is anything unusual, which need not be an error.
fn usual(text: &str) -> serde_json::Result<TokenizerJson> {
    let mut json = serde_json::Deserializer::from_str(text);
    let usual = json.deserialize_map(DocumentVisitor { len: text.len() })?;
    json.end()?;
    Ok(usual)
}

fn unusual<E: serde::de::Error>() -> E {
    E::custom("unusual")
}

struct DocumentVisitor {
    /// Length of the text in bytes.
    len: usize,
}

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = TokenizerJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tokenizer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TokenizerJson, A::Error> {
        let (mut tree, mut lists, mut unigram) = (Map::new(), None, None);
        let (budget, added) = (Budget::new(LARGEST_TREE), Budget::new(LARGEST_ADDED));
        while let Some(key) = map.next_key::<String>()? {
            budget.entry(&key)?;
            let value = if key == ADDED {
                map.next_value_seed(added.tree())?
            } else if key != "model" {
                map.next_value_seed(budget.tree())?
            } else if lists.is_none() && unigram.is_none() {
                // With its merges and all that stands between, a token takes that much of the text.
                let vocabulary = Vocabulary::with_capacity(self.len / 100);
                let mut model = BpeLists { vocabulary, merges: Vec::new() };
                let mut scores = None;
                let settings = map.next_value_seed(Model(&mut model, &mut scores, &budget))?;
                match scores {
                    None => lists = Some(model),
                    Some(scores) => {
                        unigram = Some(UnigramLists { vocabulary: model.vocabulary, scores });
                    }
                }
                Value::Object(settings)
            } else {
                return Err(unusual());
            };
            tree.insert(key, value);
        }
        Ok(TokenizerJson { tree, lists, unigram })
    }
}

/// `model`: gives what is in it besides the lists. There are scores if it is a Unigram model.
struct Model<'a>(&'a mut BpeLists, &'a mut Option<Vec<f64>>, &'a Budget);

impl<'de> DeserializeSeed<'de> for Model<'_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Model<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut tree = Map::new();
        let (mut vocab, mut merges) = (false, false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "vocab" if !vocab => {
                    *self.1 = map.next_value_seed(Vocab(&mut self.0.vocabulary))?;
                    vocab = true;
                }
                "merges" if vocab && !merges => {
                    map.next_value_seed(Merges(self.0))?;
                    merges = true;
                }
                "vocab" | "merges" => return Err(unusual()),
                _ => {
                    self.2.entry(&key)?;
                    tree.insert(key, map.next_value_seed(self.2.tree())?);
                }
            }
        }
        let is_usual = match (tree.get("type").and_then(Value::as_str), &self.1) {
            (Some("BPE"), None) => merges && self.0.is_complete() && self.0.vocabulary.has_unique_ids(),
            (Some("Unigram"), Some(_)) => !merges,
            _ => false,
        };
        match is_usual {
            true => Ok(tree),
            false => Err(unusual()),
        }
    }
}

/// `model.vocab`: an object of ids, or a list of texts and scores, which are given.
struct Vocab<'a>(&'a mut Vocabulary);

impl<'de> DeserializeSeed<'de> for Vocab<'_> {
    type Value = Option<Vec<f64>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Vocab<'_> {
    type Value = Option<Vec<f64>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vocabulary")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut scores = Vec::new();
        while let Some(score) = list.next_element_seed(Piece(self.0))? {
            scores.push(score);
            if self.0.len() as u64 > MOST_TOKENS {
                return Err(unusual());
            }
        }
        Ok(Some(scores))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let vocabulary = self.0;
        while map.next_key_seed(Text(|text: &str| vocabulary.push(text, 0)))?.is_some() {
            let id = map.next_value()?;
            vocabulary.set_last_id(id);
            if vocabulary.len() as u64 > MOST_TOKENS {
                return Err(unusual());
            }
        }
        Ok(None)
    }
}

/// A text and its score, which is given.
struct Piece<'a>(&'a mut Vocabulary);

impl<'de> DeserializeSeed<'de> for Piece<'_> {
    type Value = f64;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<f64, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Piece<'_> {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text and a score")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<f64, A::Error> {
        let id = u32::try_from(self.0.len()).map_err(|_| unusual())?;
        let text = pair.next_element_seed(Text(|text: &str| self.0.push(text, id)))?;
        let score = pair.next_element()?.filter(|_| text.is_some());
        match pair.next_element::<IgnoredAny>()? {
            None => score.ok_or_else(unusual),
            Some(_) => Err(unusual()),
        }
    }
}

/// `model.merges`: a list of strings, or one of pairs.
struct Merges<'a>(&'a mut BpeLists);

impl<'de> DeserializeSeed<'de> for Merges<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Merges<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("merges")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let (mut all, mut joined) = (None, String::new());
        while let Some(form) = list.next_element_seed(OneMerge { lists: self.0, joined: &mut joined })? {
            if *all.get_or_insert(form) != form || self.0.merges.len() > MOST_MERGES {
                return Err(unusual());
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// "left right"
    String,
    /// ["left", "right"]
    Pair,
}

struct OneMerge<'a> {
    lists: &'a mut BpeLists,
    /// Memory to use.
    joined: &'a mut String,
}

impl OneMerge<'_> {
    fn push<E: serde::de::Error>(self, split: usize) -> Result<(), E> {
        self.lists.push_merge(self.joined, split).ok_or_else(unusual)
    }
}

impl<'de> DeserializeSeed<'de> for OneMerge<'_> {
    type Value = Form;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Form, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneMerge<'_> {
    type Value = Form;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a merge")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Form, E> {
        // The tokenizers crate takes such a line of a list for the heading of merges.txt.
        let parts = text.split_once(' ').filter(|_| !text.starts_with("#version"));
        let (left, right) = parts.filter(|(_, right)| !right.contains(' ')).ok_or_else(unusual)?;
        self.joined.clear();
        self.joined.push_str(left);
        self.joined.push_str(right);
        self.push(left.len()).map(|()| Form::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Form, A::Error> {
        self.joined.clear();
        let left = pair.next_element_seed(appended(self.joined))?;
        let split = self.joined.len();
        let right = pair.next_element_seed(appended(self.joined))?;
        match (left, right, pair.next_element::<IgnoredAny>()?) {
            (Some(()), Some(()), None) => self.push(split).map(|()| Form::Pair),
            _ => Err(unusual()),
        }
    }
}

/// A text that is put at the end of another.
fn appended(to: &mut String) -> Text<impl FnOnce(&str) -> Option<()>> {
    Text(|text: &str| {
        to.push_str(text);
        Some(())
    })
}

/// A text, and what to do with it.
struct Text<F>(F);

impl<'de, T, F: FnOnce(&str) -> Option<T>> DeserializeSeed<'de> for Text<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<T, D::Error> {
        json.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> Option<T>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).ok_or_else(unusual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(json: &str) -> Option<Vec<(String, String)>> {
        let parsed = parse(Path::new("tokenizer.json"), json.as_bytes()).unwrap();
        let whole: Map<String, Value> = serde_json::from_str(json).unwrap();
        let Some(lists) = parsed.lists else {
            assert_eq!(parsed.tree, whole);
            return None;
        };
        let vocab = lists.vocabulary.iter().map(|(text, id)| (text.to_owned(), id.into())).collect();
        assert_eq!(Value::Object(vocab), whole["model"]["vocab"]);
        assert_eq!(parsed.tree.get("other"), whole.get("other"));
        assert_eq!(parsed.tree["model"].get("vocab"), None);
        let parts = lists.merges.iter().map(|merge| lists.parts(*merge));
        Some(parts.map(|(left, right)| (left.to_owned(), right.to_owned())).collect())
    }

    fn bpe(vocab: &str, merges: &str) -> String {
        format!(
            r#"{{"other": [1], "model": {{"type": "BPE", "vocab": {vocab}, "merges": {merges}, "unk_token": null}}}}"#
        )
    }

    #[test]
    fn what_is_usual_becomes_lists() {
        let vocab = r#"{"a": 0, "\"": 1, "a\"": 4, "\"\ud83d\ude00": 3, "😀": 2}"#;
        let expected = Some(vec![("a".to_owned(), "\"".to_owned()), ("\"".into(), "😀".into())]);
        assert_eq!(lists(&bpe(vocab, r#"["a \"", "\" 😀"]"#)), expected);
        assert_eq!(lists(&bpe(vocab, r#"[["a", "\""], ["\"", "\ud83d\ude00"]]"#)), expected);
        assert_eq!(lists(&bpe("{}", "[]")), Some(vec![]));
    }

    #[test]
    fn what_is_unusual_stays_json() {
        let vocab = r##"{"a": 0, "b": 1, "ab": 2, "#version": 3, "#versionab": 4, " ": 5, " a": 6}"##;
        let merges = [
            r#"["a b", ["a", "b"]]"#,
            r#"[["a", "b", "ab"]]"#,
            r#"[["a"]]"#,
            r#"["ab"]"#,
            r#"["b a"]"#,
            r#"["a c"]"#,
            r#"["a b "]"#,
            r##"["#version ab"]"##,
            r#"[null]"#,
            "{}",
        ];
        merges.iter().for_each(|merges| assert_eq!(lists(&bpe(vocab, merges)), None, "{merges}"));
        for vocab in [r#"{"a": 0, "b": 0}"#, r#"{"a": -1}"#, r#"{"a": 4294967296}"#, r#"{"a": 1.0}"#] {
            assert_eq!(lists(&bpe(vocab, "[]")), None, "{vocab}");
        }
        assert_eq!(lists(r#"{"model": {"type": "BPE", "vocab": {"a": 0, "a": 1}, "merges": []}}"#), None);
        assert_eq!(lists(r#"{"model": {"type": "BPE", "merges": [], "vocab": {}}}"#), None);
        assert_eq!(lists(r#"{"model": {"type": "BPE", "vocab": {}}}"#), None);
        assert_eq!(lists(r#"{"model": {"type": "WordLevel", "vocab": {}, "merges": []}}"#), None);
        assert_eq!(lists(r#"{"model": {"vocab": {}, "merges": []}}"#), None);
        assert_eq!(lists(r#"{"model": 1, "model": {"type": "BPE", "vocab": {}, "merges": []}}"#), None);
        assert_eq!(lists(r#"{"other": 1}"#), None);
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for text in ["", "[]", "{} 1", r#"{"model": {"vocab": {"a": 1"#, "{\"a\": \"\t\"}"] {
            assert!(parse(Path::new("tokenizer.json"), text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(Path::new("tokenizer.json"), b"{\"a\": \"\xff\"}").is_err());
    }

    #[test]
    fn unigram_vocabularies_become_lists() {
        let parse = |kind: &str, vocab: &str| {
            let json = format!(r#"{{"model": {{"vocab": {vocab}, "type": "{kind}", "unk_id": 0}}}}"#);
            parse(Path::new("tokenizer.json"), json.as_bytes())
        };
        let parsed = parse("Unigram", r#"[["<unk>", 0], ["\u2581a", -1.5], ["b", -2e1]]"#).unwrap();
        let unigram = parsed.unigram.unwrap();
        assert!(unigram.vocabulary.iter().eq([("<unk>", 0), ("\u{2581}a", 1), ("b", 2)]));
        assert_eq!(unigram.scores, [0.0, -1.5, -20.0]);
        assert_eq!(parsed.tree["model"], serde_json::json!({"type": "Unigram", "unk_id": 0}));
        for vocab in [r#"[["a", 0], ["a", 0]]"#, r#"[["a"]]"#, r#"[["a", 0, 0]]"#, r#"[["a", "b"]]"#, "[0]"] {
            assert!(parse("Unigram", vocab).unwrap_err().to_string().contains("model.vocab"), "{vocab}");
        }
        assert!(parse("BPE", "[]").is_err());
        assert!(parse("Unigram", "{}").unwrap().unigram.is_none());
    }
}
