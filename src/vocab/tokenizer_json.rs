//! Reads `tokenizer.json` in one pass. Vocabulary and merges of a BPE model, or the vocabulary of a Unigram model,
//! which are nearly all of it, become compact lists; everything else is small and stays JSON.

use std::path::Path;

use super::MOST_TOKENS;
use super::lists::{BpeLists, UnigramLists, Vocabulary};
use crate::error::{Error, Result};
use crate::json::{Gaps, JsonError, Map, Memory, Reader, Text, Value};

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
            let mut bpe = BpeLists::from(Vocabulary::with_capacity(bytes.len() / 100));
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
        let id = match reader.small_number() {
            Some(id) => Some(id),
            None => reader.value()?.as_u64().and_then(|id| u32::try_from(id).ok()),
        };
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
    let (mut first, mut gaps) = (None, Gaps::default());
    reader.array(|reader| {
        let bracket = reader.peek();
        if *first.get_or_insert(bracket) != bracket || lists.merges.len() >= MOST_MERGES {
            return Err(unusual());
        }
        if bracket == Some(b'[') { pair(reader, &mut gaps, lists) } else { line(reader, lists) }
    })
}

/// Reads a merge "left right".
fn line(reader: &mut Reader, lists: &mut BpeLists) -> Result<(), JsonError> {
    let text = reader.text()?;
    // The tokenizers crate takes such a line of a list for the heading of merges.txt.
    let text = text.whole().filter(|text| !text.starts_with("#version"));
    let parts = text.and_then(|text| text.split_once(' '));
    let (left, right) = parts.filter(|(_, right)| !right.contains(' ')).ok_or_else(unusual)?;
    lists.push_merge(left, right).ok_or_else(unusual)
}

/// Reads a merge ["left", "right"].
fn pair(reader: &mut Reader, gaps: &mut Gaps, lists: &mut BpeLists) -> Result<(), JsonError> {
    if let Some((left, right)) = reader.plain_pair(gaps) {
        return lists.push_merge(left, right).ok_or_else(unusual);
    }
    let (mut left, mut right) = (None, None);
    reader.array_like(gaps, |reader| {
        let text = reader.text()?;
        match (&left, &right) {
            (None, _) => left = Some(text),
            (Some(_), None) => right = Some(text),
            _ => return Err(unusual()),
        }
        Ok(())
    })?;
    let parts = left.as_ref().and_then(Text::whole).zip(right.as_ref().and_then(Text::whole));
    parts.and_then(|(left, right)| lists.push_merge(left, right)).ok_or_else(unusual)
}

#[cfg(test)]
mod tests;
