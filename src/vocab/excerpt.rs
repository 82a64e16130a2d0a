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

use crate::json::{Map, Value, json};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::{Model, Token};

use super::lists::{BpeLists, Merge, UnigramLists, Vocabulary};

/// More text than this, in bytes, and the whole model is as good.
const MOST_TEXT: usize = 1 << 14;

/// Most tokens and merges of a model that is built, each of which takes some 600 bytes. The largest vocabularies
/// that had no excerpt have 50,000; excerpts have a few thousand.
const MOST_BUILT: usize = 1 << 17;

/// Whether excerpts do for the model with these settings and lists.
pub fn will_do(settings: &Map<String, Value>, lists: &BpeLists) -> bool {
    let absent = |key: &str| settings.get(key).is_none_or(|value| value.is_null() || value == "");
    ["dropout", "continuing_subword_prefix", "end_of_word_suffix"].into_iter().all(absent)
        && !joins_stand_ins(settings, lists)
}

/// Whether a merge names a token for unknown characters or for a byte.
fn joins_stand_ins(settings: &Map<String, Value>, lists: &BpeLists) -> bool {
    let (unknown, bytes) = stand_ins(settings);
    let is_one =
        |text: &str| unknown == Some(text) || text.starts_with(BYTE) && bytes.iter().any(|byte| byte == text);
    let names_one = |merge: &Merge| {
        let (left, right) = lists.parts(*merge);
        is_one(left) || is_one(right)
    };
    // What such a merge makes holds one, and few tokens do.
    let signs = unknown.into_iter().chain((!bytes.is_empty()).then_some(BYTE));
    let mut holding = vec![false; lists.vocabulary.len()];
    for sign in signs {
        if sign.is_empty() {
            return lists.merges.iter().any(names_one);
        }
        for place in lists.vocabulary.holding(sign) {
            holding[place] = true;
        }
    }
    let mut merges = lists.merges.iter().filter(|merge| holding.get(merge.joined as usize) == Some(&true));
    merges.any(names_one)
}

/// How the names of tokens for bytes begin.
const BYTE: &str = "<0x";

/// The model that encodes `words` as the one with these settings and all of `lists` does, as
/// `tokenizer.json` describes models. Excerpts must do for it.
///
/// # Errors
/// In words, if it has more tokens and merges than are built.
pub fn model(settings: &Map<String, Value>, lists: &BpeLists, words: &[String]) -> Result<Value, String> {
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
    let tokens = kept.iter().filter(|kept| **kept).count();
    check_size(tokens + merges.clone().count())?;
    let merges: Vec<Value> = merges.map(|merge| json!(lists.parts(*merge))).collect();
    let (unknown, bytes) = stand_ins(settings);
    let stand_ins = unknown.into_iter().chain(bytes.iter().map(String::as_str));
    for place in stand_ins.filter_map(|text| lists.vocabulary.place(text)) {
        kept[place] = true;
    }
    let tokens = lists.vocabulary.iter().zip(&kept).filter(|(_, kept)| **kept);
    let vocab: Map<String, Value> = tokens.map(|((text, id), _)| (text.to_owned(), id.into())).collect();
    Ok(with_lists(settings, vocab.into(), merges.into()))
}

/// The whole model.
///
/// # Errors
/// As [`model`].
pub fn whole(settings: &Map<String, Value>, lists: &BpeLists) -> Result<Value, String> {
    check_size(lists.vocabulary.len() + lists.merges.len())?;
    let vocab: Map<String, Value> =
        lists.vocabulary.iter().map(|(text, id)| (text.to_owned(), id.into())).collect();
    let merges = lists.merges.iter().map(|merge| json!(lists.parts(*merge))).collect();
    Ok(with_lists(settings, vocab.into(), merges))
}

fn check_size(found: usize) -> Result<(), String> {
    match found > MOST_BUILT {
        true => Err(format!("model: expected at most {MOST_BUILT} tokens and merges in use, found {found}")),
        false => Ok(()),
    }
}

fn with_lists(settings: &Map<String, Value>, vocab: Value, merges: Value) -> Value {
    let mut model = settings.clone();
    model.insert("vocab".into(), vocab);
    model.insert("merges".into(), merges);
    model.into()
}

/// Longest text of all tokens of a Unigram model that is built, and of one of them, in bytes. The library's trie
/// takes some hundred bytes for each byte of them, and the stack for each of the longest.
const MOST_UNIGRAM_TEXT: usize = 1 << 18;
const LONGEST_PIECE: usize = 512;

/// The Unigram model with these settings and lists, if it is small. No architecture that has one encodes texts with
/// it here, so that a large one need not be built.
pub fn small_unigram(settings: &Map<String, Value>, lists: &UnigramLists) -> Option<Value> {
    let lens = || lists.vocabulary.iter().map(|(text, _)| text.len());
    if lens().sum::<usize>() > MOST_UNIGRAM_TEXT || lens().any(|len| len > LONGEST_PIECE) {
        return None;
    }
    let pieces = lists.vocabulary.iter().zip(&lists.scores);
    let pieces = pieces.map(|((text, _), score)| Value::Array(vec![text.into(), Value::Float(*score)]));
    let mut model = settings.clone();
    model.insert("vocab".into(), Value::Array(pieces.collect()));
    Some(model.into())
}

/// The tokens for unknown characters and for bytes, whether they exist or not.
fn stand_ins(settings: &Map<String, Value>) -> (Option<&str>, Vec<String>) {
    let fallback = settings.get("byte_fallback").is_some_and(|flag| *flag == true);
    let bytes = (0..=u8::MAX).filter(|_| fallback).map(|byte| format!("<0x{byte:02X}>"));
    (settings.get("unk_token").and_then(Value::as_str), bytes.collect())
}

/// All parts of some words.
struct Parts<'a> {
    /// The words from each byte on, sorted.
    ends: Vec<&'a [u8]>,
    /// Which pairs of bytes occur, and what of four bytes: most texts are not contained for want of their first.
    pairs: Vec<bool>,
    fours: Vec<bool>,
}

impl<'a> Parts<'a> {
    fn new(words: &'a [String]) -> Self {
        let mut ends: Vec<&[u8]> =
            words.iter().flat_map(|word| (0..word.len()).map(|at| &word.as_bytes()[at..])).collect();
        ends.sort_unstable();
        let (mut pairs, mut fours) = (vec![false; 1 << 16], vec![false; 1 << 16]);
        for end in &ends {
            end.first_chunk().iter().for_each(|pair| pairs[index(**pair)] = true);
            end.first_chunk().iter().for_each(|four| fours[mixed(**four)] = true);
        }
        Self { ends, pairs, fours }
    }

    fn contains(&self, part: &[u8]) -> bool {
        let may_be = match part.first_chunk() {
            Some(four) => self.fours[mixed(*four)],
            None => part.first_chunk().is_none_or(|pair| self.pairs[index(*pair)]),
        };
        if !may_be {
            return false;
        }
        let first = self.ends.partition_point(|end| *end < part);
        part.is_empty() || self.ends.get(first).is_some_and(|end| end.starts_with(part))
    }
}

fn index(pair: [u8; 2]) -> usize {
    usize::from(u16::from_le_bytes(pair))
}

/// 16 bits that differ for most texts of four bytes: those of a product with 2^32 divided by the golden ratio.
fn mixed(four: [u8; 4]) -> usize {
    (u32::from_le_bytes(four).wrapping_mul(0x9e37_79b9) >> 16) as usize
}

/// A model of which only an excerpt is there for encoding, but all tokens are known.
pub struct Excerpt<'a> {
    /// The excerpt, or all.
    pub model: ModelWrapper,
    /// The tokens of the whole, if that has more.
    pub vocabulary: Option<&'a Vocabulary>,
}

impl Model for Excerpt<'_> {
    type Trainer = TrainerWrapper;

    fn tokenize(&self, word: &str) -> tokenizers::Result<Vec<Token>> {
        self.model.tokenize(word)
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.vocabulary.map_or_else(|| self.model.token_to_id(token), |vocabulary| vocabulary.id(token))
    }

    /// Knows only those that encoding can give.
    fn id_to_token(&self, id: u32) -> Option<String> {
        self.model.id_to_token(id)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        let owned =
            |vocabulary: &Vocabulary| vocabulary.iter().map(|(text, id)| (text.to_owned(), id)).collect();
        self.vocabulary.map_or_else(|| self.model.get_vocab(), owned)
    }

    fn get_vocab_size(&self) -> usize {
        self.vocabulary.map_or_else(|| self.model.get_vocab_size(), Vocabulary::len)
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
    use std::fs;

    use super::*;
    use crate::error::Result;
    use crate::source::ModelDir;
    use crate::vocab::files::TokenizerFiles;
    use crate::vocab::hf::HfTokenizer;
    use crate::vocab::pre::CHECK_TEXT;
    use crate::vocab::{TokenizerFile, tokenizer_json};

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
    const TEXTS: [&str; 5] = [
        CHECK_TEXT,
        include_str!("../../LICENSE-APACHE"),
        "",
        "<|endoftext|> </s><unk><0x41> a<s>\u{2581}the \u{120}the\0\u{fffd}",
        "日本語のテキスト, עברית, 한국어, ไทย, العربية \u{1f469}\u{200d}\u{1f469} ǅ ﬁ e\u{301}",
    ];

    /// What excerpts give is what whole models give, for all usual tokenizers, and for all variations of
    /// those of the tests. `GGRAFT_TOKENIZERS` may name a directory of model directories to try as well.
    #[test]
    fn excerpts_encode_as_whole_models() {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers");
        let mut compared = 0;
        for dir in directories(&tests) {
            let json = fs::read(dir.join("tokenizer.json")).unwrap();
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            for (place, value) in variations() {
                let mut varied = json.clone();
                let (parent, key) = place.rsplit_once('/').unwrap();
                varied.pointer_mut(parent).unwrap()[key] = value.clone();
                compared += compare(&dir, varied.to_string().as_bytes(), &format!("{place} is {value}"));
            }
        }
        assert!(compared > 100, "{compared}");
        for dir in std::env::var_os("GGRAFT_TOKENIZERS").iter().flat_map(|dir| directories(Path::new(dir))) {
            compare(&dir, &fs::read(dir.join("tokenizer.json")).unwrap(), "as it is");
        }
    }

    fn directories(parent: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|dir| dir.join("tokenizer.json").exists()).collect()
    }

    fn variations() -> Vec<(&'static str, serde_json::Value)> {
        use serde_json::json;
        let rare = json!([{"type": "Replace", "pattern": {"String": "e"}, "content": "\u{1f980}"}]);
        vec![
            ("/truncation", json!(null)),
            ("/pre_tokenizer", json!(null)),
            ("/pre_tokenizer", json!({"type": "Whitespace"})),
            ("/normalizer", json!({"type": "Sequence", "normalizers": rare})),
            ("/model/ignore_merges", json!(true)),
            ("/model/ignore_merges", json!(false)),
            ("/model/byte_fallback", json!(true)),
            ("/model/byte_fallback", json!(false)),
            ("/model/unk_token", json!(null)),
            ("/model/unk_token", json!("a")),
            ("/model/fuse_unk", json!(true)),
            ("/model/fuse_unk", json!(false)),
            ("/model/continuing_subword_prefix", json!("t")),
            ("/model/end_of_word_suffix", json!("e")),
            ("/model/dropout", json!(0.0)),
        ]
    }

    /// Number of texts compared: those that the whole model can encode.
    fn compare(dir: &Path, json: &[u8], what: &str) -> usize {
        let path = dir.join("tokenizer.json");
        let dir = &ModelDir::open(dir).unwrap();
        let files = || TokenizerFiles::read(dir, TokenizerFile::new(dir)).unwrap();
        let mut excerpts = files();
        let parsed = tokenizer_json::parse(&path, json).unwrap();
        (excerpts.tokenizer, excerpts.lists) = (Some(parsed.tree.into()), parsed.lists);
        excerpts.unigram = parsed.unigram;
        let mut whole = files();
        (whole.tokenizer, whole.lists) = (Some(crate::json::parse(json).unwrap()), None);

        let config = excerpts.model_config.clone().unwrap_or_default();
        let whole = HfTokenizer::new(&whole, &config);
        let excerpts = HfTokenizer::new(&excerpts, &config);
        let (mut whole, mut excerpts) = match (whole, excerpts) {
            (Ok(whole), Ok(excerpts)) => (whole, excerpts),
            (Err(whole), Err(excerpts)) => {
                assert_eq!(whole.to_string(), excerpts.to_string(), "{dir:?}: {what}");
                return 0;
            }
            (whole, excerpts) => panic!("{dir:?}: {what}: {:?}, {:?}", whole.err(), excerpts.err()),
        };
        assert_eq!(whole.added(), excerpts.added(), "{dir:?}: {what}");
        assert_eq!(whole.base().len(), excerpts.base().len(), "{dir:?}: {what}");
        assert!(whole.tokens().all(|(text, id)| excerpts.id(text) == Some(id)), "{dir:?}: {what}");
        let texts = TEXTS.iter().filter(|text| {
            let (expected, found) = (whole.encode(text), excerpts.encode(text));
            let message = |result: Result<Vec<u32>>| result.map_err(|error| error.to_string());
            let (expected, found) = (message(expected), message(found));
            assert_eq!(expected, found, "{dir:?}: {what}: {:?}", text.chars().take(20).collect::<String>());
            expected.is_ok()
        });
        texts.count()
    }
}
