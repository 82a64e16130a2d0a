//! Reads `tokenizer.json` in one pass. Vocabulary and merges of a BPE model, or the vocabulary of a Unigram model,
//! which are nearly all of it, become compact lists; everything else is small and stays JSON.

use std::path::Path;

use super::MOST_TOKENS;
use super::lists::{BpeLists, UnigramLists, Vocabulary};
use crate::error::{Error, Result};
use crate::json::{JsonError, Map, Memory, Reader, Value};

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
    /// `model.vocab` of a Unigram model, under the same condition.
    pub unigram: Option<UnigramLists>,
}

/// Parses the file `path`, which has this content.
///
/// # Errors
/// If it is no JSON object.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<TokenizerJson> {
    if let Ok(usual) = usual(bytes) {
        return Ok(usual);
    }
    let tree = tree(bytes).map_err(|e| Error::invalid(path, e.to_string()))?;
    Ok(TokenizerJson { tree, lists: None, unigram: None })
}

/// All of it as a tree.
fn tree(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let mut reader = Reader::new(bytes)?;
    reader.replace_memory(Memory::new(LARGEST_UNUSUAL));
    let tree = reader.object_with(ADDED, Memory::new(LARGEST_ADDED))?;
    reader.end()?;
    Ok(tree)
}

/// Fails if there is anything unusual, which need not be an error.
fn usual(bytes: &[u8]) -> Result<TokenizerJson, JsonError> {
    let mut reader = Reader::new(bytes)?;
    reader.replace_memory(Memory::new(LARGEST_TREE));
    let (mut tree, mut lists, mut unigram) = (Map::new(), None, None);
    reader.object(|reader, key| {
        let key = key.lossy().into_owned();
        let value = if key == ADDED {
            reader.value_within(Memory::new(LARGEST_ADDED))?
        } else if key != "model" {
            reader.value()?
        } else if lists.is_none() && unigram.is_none() {
            // With its merges and all that stands between, a token takes that much of the text.
            let vocabulary = Vocabulary::with_capacity(bytes.len() / 100);
            let mut bpe = BpeLists { vocabulary, merges: Vec::new() };
            let (settings, scores) = model(reader, &mut bpe)?;
            match scores {
                None => lists = Some(bpe),
                Some(scores) => unigram = Some(UnigramLists { vocabulary: bpe.vocabulary, scores }),
            }
            Value::Object(settings)
        } else {
            return Err(unusual());
        };
        tree.insert(key, value);
        Ok(())
    })?;
    reader.end()?;
    Ok(TokenizerJson { tree, lists, unigram })
}

fn unusual() -> JsonError {
    JsonError::Unexpected("unusual".to_owned())
}

/// What is in a model besides its lists, and the scores of a Unigram model.
type Settings = (Map<String, Value>, Option<Vec<f64>>);

/// Reads `model` into `lists`; gives what is in it besides.
fn model(reader: &mut Reader, lists: &mut BpeLists) -> Result<Settings, JsonError> {
    let (mut tree, mut scores) = (Map::new(), None);
    let (mut has_vocab, mut has_merges) = (false, false);
    reader.object(|reader, key| {
        match key.whole() {
            Some("vocab") if !has_vocab => {
                has_vocab = true;
                match reader.peek() {
                    Some(b'[') => scores = Some(pieces(reader, &mut lists.vocabulary)?),
                    _ => vocab(reader, &mut lists.vocabulary)?,
                }
            }
            Some("merges") if has_vocab && !has_merges => {
                has_merges = true;
                merges(reader, lists)?;
            }
            Some("vocab" | "merges") | None => return Err(unusual()),
            Some(key) => _ = tree.insert(key.to_owned(), reader.value()?),
        }
        Ok(())
    })?;
    let is_usual = match (tree.get("type").and_then(Value::as_str), &scores) {
        (Some("BPE"), None) => has_merges && lists.is_complete() && lists.vocabulary.has_unique_ids(),
        (Some("Unigram"), Some(_)) => !has_merges,
        _ => false,
    };
    match is_usual {
        true => Ok((tree, scores)),
        false => Err(unusual()),
    }
}

/// Reads `model.vocab`: an object of ids.
fn vocab(reader: &mut Reader, vocabulary: &mut Vocabulary) -> Result<(), JsonError> {
    reader.object(|reader, key| {
        let id = reader.value()?.as_u64().and_then(|id| u32::try_from(id).ok());
        let pushed = key.whole().zip(id).and_then(|(text, id)| vocabulary.push(text, id));
        pushed.filter(|()| vocabulary.len() as u64 <= MOST_TOKENS).ok_or_else(unusual)
    })
}

/// Reads `model.vocab` of a Unigram model: a list of texts, whose ids are their places, and scores, which are given.
fn pieces(reader: &mut Reader, vocabulary: &mut Vocabulary) -> Result<Vec<f64>, JsonError> {
    let mut scores = Vec::new();
    reader.array(|reader| {
        let (mut parts, id) = (0, u32::try_from(scores.len()).map_err(|_| unusual())?);
        reader.array(|reader| {
            parts += 1;
            match parts {
                1 => reader.text()?.whole().and_then(|text| vocabulary.push(text, id)).ok_or_else(unusual),
                2 => reader.value()?.as_f64().map(|score| scores.push(score)).ok_or_else(unusual),
                _ => Err(unusual()),
            }
        })?;
        match parts == 2 && vocabulary.len() as u64 <= MOST_TOKENS {
            true => Ok(()),
            false => Err(unusual()),
        }
    })?;
    Ok(scores)
}

/// Reads `model.merges`: a list of strings, "left right", or one of pairs, ["left", "right"].
fn merges(reader: &mut Reader, lists: &mut BpeLists) -> Result<(), JsonError> {
    let (mut first, mut joined) = (None, String::new());
    reader.array(|reader| {
        let bracket = reader.peek();
        if *first.get_or_insert(bracket) != bracket || lists.merges.len() >= MOST_MERGES {
            return Err(unusual());
        }
        joined.clear();
        let split =
            if bracket == Some(b'[') { pair(reader, &mut joined)? } else { line(reader, &mut joined)? };
        lists.push_merge(&joined, split).ok_or_else(unusual)
    })
}

/// Reads a merge "left right" into `joined`, and says where that is split.
fn line(reader: &mut Reader, joined: &mut String) -> Result<usize, JsonError> {
    let text = reader.text()?;
    // The tokenizers crate takes such a line of a list for the heading of merges.txt.
    let text = text.whole().filter(|text| !text.starts_with("#version"));
    let parts = text.and_then(|text| text.split_once(' '));
    let (left, right) = parts.filter(|(_, right)| !right.contains(' ')).ok_or_else(unusual)?;
    joined.push_str(left);
    joined.push_str(right);
    Ok(left.len())
}

/// The same of a merge ["left", "right"].
fn pair(reader: &mut Reader, joined: &mut String) -> Result<usize, JsonError> {
    let (mut parts, mut split) = (0, 0);
    reader.array(|reader| {
        split = if parts == 0 { 0 } else { joined.len() };
        parts += 1;
        let text = reader.text()?;
        joined.push_str(text.whole().ok_or_else(unusual)?);
        Ok(())
    })?;
    if parts == 2 { Ok(split) } else { Err(unusual()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn lists(json: &str) -> Option<Vec<(String, String)>> {
        let parsed = parse(Path::new("tokenizer.json"), json.as_bytes()).unwrap();
        let whole: Map<String, Value> = json::parse_object(json.as_bytes()).unwrap();
        let Some(lists) = parsed.lists else {
            assert_eq!(parsed.tree, whole);
            return None;
        };
        let vocab = lists.vocabulary.iter().map(|(text, id)| (text.to_owned(), id.into())).collect();
        assert_eq!(Value::Object(vocab), *whole["model"].get("vocab").unwrap());
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
        for vocab in [r#"{"a": 0, "b": 0}"#, r#"{"a": -1}"#, r#"{"a": 4294967296}"#, r#"{"a": 1.0}"#, "[]"] {
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
            parse(Path::new("tokenizer.json"), json.as_bytes()).unwrap()
        };
        let parsed = parse("Unigram", r#"[["<unk>", 0], ["\u2581a", -1.5], ["b", -2e1]]"#);
        let unigram = parsed.unigram.unwrap();
        assert!(unigram.vocabulary.iter().eq([("<unk>", 0), ("\u{2581}a", 1), ("b", 2)]));
        assert_eq!(unigram.scores, [0.0, -1.5, -20.0]);
        assert_eq!(parsed.tree["model"].get("vocab"), None);
        for vocab in
            [r#"[["a", 0], ["a", 0]]"#, r#"[["a"]]"#, r#"[["a", 0, 0]]"#, r#"[["a", "b"]]"#, "[0]", "{}"]
        {
            let parsed = parse("Unigram", vocab);
            assert!(parsed.unigram.is_none() && parsed.tree["model"].get("vocab").is_some(), "{vocab}");
        }
        assert!(parse("BPE", "[]").unigram.is_none());
    }
}
