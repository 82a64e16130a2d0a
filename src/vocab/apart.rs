//! Vocabularies that lie in files of their own, as before there was `tokenizer.json`: `vocab.json` and `merges.txt`, or
//! `vocab.txt`. What they say is put into the form of `tokenizer.json`, so that only one form is read.

use serde::{Serialize, Serializer};

use super::class::Class;
use super::files::{self, TokenizerFiles};
use super::lists::BpeLists;
use super::tokenizer_json::{self, TokenizerJson};
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::json::{Map, Value};
use crate::source::ModelDir;

/// `tokenizer.json` and, if that is a usual BPE model, its lists.
type Serialized<'a> = (&'a Map<String, Value>, Option<&'a BpeLists>);

/// `tokenizer.json` and the lists taken out of it; or, where there is none, what the files say that a tokenizer of
/// this class has instead.
///
/// # Errors
/// If these are not what they should be.
pub fn serialized(files: &TokenizerFiles, class: Class) -> Result<Option<Serialized<'_>>> {
    if let Some(Value::Object(tree)) = &files.tokenizer {
        return Ok(Some((tree, files.lists.as_ref())));
    }
    let apart = match files.apart.get() {
        Some(apart) => apart,
        None => {
            let apart = read(&files.dir, class)?;
            files.apart.get_or_init(|| apart)
        }
    };
    Ok(apart.as_ref().map(|json| (&json.tree, json.lists.as_ref())))
}

/// Reads the files that a tokenizer of this class would be saved to, if they are there.
///
/// # Errors
/// If they cannot be read, or are not what they should be.
fn read(dir: &ModelDir, class: Class) -> Result<Option<TokenizerJson>> {
    match class {
        Class::Bert => words(dir),
        Class::Cohere | Class::Gpt2 | Class::GptNeoX | Class::Qwen2 | Class::Qwen35 | Class::Roberta => {
            pairs(dir)
        }
        Class::Backend | Class::Gemma | Class::Llama | Class::XlmRoberta => Ok(None),
    }
}

/// A WordPiece vocabulary: a token a line, whose id is the line's number.
fn words(dir: &ModelDir) -> Result<Option<TokenizerJson>> {
    let Some(text) = files::text_if_there(dir, WORDS, files::LARGEST)? else { return Ok(None) };
    // A word that is there twice becomes a key that is, of which the last counts.
    let words = || text.lines().enumerate().map(|(id, line)| (line.trim_end(), id));
    let model = Words {
        kind: "WordPiece",
        unk_token: "[UNK]",
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab: Entries(words),
    };
    document(dir, WORDS, &model)
}

const WORDS: &str = "vocab.txt";
const VOCAB: &str = "vocab.json";

/// A BPE vocabulary: ids by token, and two tokens a line that become one.
fn pairs(dir: &ModelDir) -> Result<Option<TokenizerJson>> {
    const MERGES: &str = "merges.txt";
    let Some(tokens) = files::object(dir, VOCAB)?.filter(|tokens| !tokens.is_empty()) else {
        return Ok(None);
    };
    let Some(text) = files::text_if_there(dir, MERGES, files::LARGEST)? else { return Ok(None) };
    let lines = || text.lines().filter(|line| !line.starts_with("#version"));
    let pair = |line| str::split_once(line, ' ').filter(|(_, right)| !right.contains(' '));
    if let Some(line) = lines().find(|line| pair(line).is_none()) {
        let problem = format!("expected two tokens in each line, found {}", quoted(line));
        return Err(Error::invalid(dir.join(MERGES), problem));
    }
    document(
        dir,
        VOCAB,
        &Pairs { kind: "BPE", vocab: Entries(|| tokens.iter()), merges: Items(|| lines().filter_map(pair)) },
    )
}

/// A WordPiece model in the form of `tokenizer.json`.
#[derive(Serialize)]
struct Words<V> {
    #[serde(rename = "type")]
    kind: &'static str,
    unk_token: &'static str,
    continuing_subword_prefix: &'static str,
    max_input_chars_per_word: u32,
    vocab: V,
}

/// A BPE model in the form of `tokenizer.json`.
#[derive(Serialize)]
struct Pairs<V, M> {
    #[serde(rename = "type")]
    kind: &'static str,
    vocab: V,
    merges: M,
}

/// An object whose entries are made one after the other: as a tree they could take all memory.
struct Entries<F>(F);

impl<K: Serialize, V: Serialize, I: Iterator<Item = (K, V)>, F: Fn() -> I> Serialize for Entries<F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map((self.0)())
    }
}

/// A list whose items are.
struct Items<F>(F);

impl<T: Serialize, I: Iterator<Item = T>, F: Fn() -> I> Serialize for Items<F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq((self.0)())
    }
}

/// `tokenizer.json` with this model, made from the file `name`, and nothing else: from here on it is one of many, and read
/// as compactly as they are.
fn document(dir: &ModelDir, name: &str, model: &impl Serialize) -> Result<Option<TokenizerJson>> {
    #[derive(Serialize)]
    struct Document<'a, M> {
        added_tokens: [(); 0],
        model: &'a M,
    }
    let path = dir.join(name);
    let document = serde_json::to_vec(&Document { added_tokens: [], model });
    let document = document.map_err(|error| Error::invalid(&path, error.to_string()))?;
    tokenizer_json::parse(&path, &document).map(Some)
}
