//! Reads `tokenizer.json` in one pass. Vocabulary and merges of a BPE model, which are nearly all of
//! it, become compact lists; everything else is small and stays JSON.

use std::path::Path;

use super::lists::{BpeLists, Vocabulary};
use crate::error::{Error, Result};
use crate::json::{self, JsonError, Map, Reader, Value};

/// What is in the file.
#[derive(Debug)]
pub struct TokenizerJson {
    /// All of it, but for what is in `lists`.
    pub tree: Map<String, Value>,
    /// `model.vocab` and `model.merges` of a BPE model, if they are as they should be: no text and no id
    /// twice, nothing in a merge that is not in the vocabulary. If there is anything unusual about them,
    /// they are in the tree.
    pub lists: Option<BpeLists>,
}

/// Parses the file `path`, which has this content.
///
/// # Errors
/// If it is no JSON object.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<TokenizerJson> {
    if let Ok(usual) = usual(bytes) {
        return Ok(usual);
    }
    let tree = json::parse_object(bytes).map_err(|e| Error::invalid(path, e.to_string()))?;
    Ok(TokenizerJson { tree, lists: None })
}

/// Fails if there is anything unusual, which need not be an error.
fn usual(bytes: &[u8]) -> Result<TokenizerJson, JsonError> {
    let mut reader = Reader::new(bytes)?;
    let (mut tree, mut lists) = (Map::new(), None);
    reader.object(|reader, key| {
        let key = key.lossy().into_owned();
        let value = if key != "model" {
            reader.value()?
        } else if lists.is_none() {
            // With its merges and all that stands between, a token takes that much of the text.
            let vocabulary = Vocabulary::with_capacity(bytes.len() / 100);
            let lists = lists.insert(BpeLists { vocabulary, merges: Vec::new() });
            Value::Object(model(reader, lists)?)
        } else {
            return Err(unusual());
        };
        tree.insert(key, value);
        Ok(())
    })?;
    reader.end()?;
    Ok(TokenizerJson { tree, lists })
}

fn unusual() -> JsonError {
    JsonError::Unexpected("unusual".to_owned())
}

/// Reads `model` into `lists`; gives what is in it besides.
fn model(reader: &mut Reader, lists: &mut BpeLists) -> Result<Map<String, Value>, JsonError> {
    let mut tree = Map::new();
    let (mut has_vocab, mut has_merges) = (false, false);
    reader.object(|reader, key| {
        match key.whole() {
            Some("vocab") if !has_vocab => {
                has_vocab = true;
                vocab(reader, &mut lists.vocabulary)?;
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
    let is_bpe = tree.get("type").is_some_and(|kind| kind == "BPE");
    match is_bpe && has_merges && lists.is_complete() && lists.vocabulary.has_unique_ids() {
        true => Ok(tree),
        false => Err(unusual()),
    }
}

/// Reads `model.vocab`: an object of ids.
fn vocab(reader: &mut Reader, vocabulary: &mut Vocabulary) -> Result<(), JsonError> {
    reader.object(|reader, key| {
        let id = reader.value()?.as_u64().and_then(|id| u32::try_from(id).ok());
        let pushed = key.whole().zip(id).and_then(|(text, id)| vocabulary.push(text, id));
        pushed.ok_or_else(unusual)
    })
}

/// Reads `model.merges`: a list of strings, "left right", or one of pairs, ["left", "right"].
fn merges(reader: &mut Reader, lists: &mut BpeLists) -> Result<(), JsonError> {
    let (mut first, mut joined) = (None, String::new());
    reader.array(|reader| {
        let bracket = reader.peek();
        if *first.get_or_insert(bracket) != bracket {
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
}
