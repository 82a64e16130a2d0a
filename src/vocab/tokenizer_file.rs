//! `tokenizer.json`, read once: tens of megabytes, which most models ask for but once, and some also while their
//! tensors are described.

use std::cell::OnceCell;

use memchr::memmem;

use super::lists::Vocabulary;
use super::missing;
use super::tokenizer_json::{self, TokenizerJson};
use crate::error::{Error, Result};
use crate::json::{Map, Value};
use crate::source::ModelDir;

/// `tokenizer.json` of the largest vocabularies has 33 MB.
const LARGEST: u64 = 64 << 20;
const NAME: &str = "tokenizer.json";

/// The file, read when it is first asked for.
#[derive(Debug)]
pub struct TokenizerFile {
    dir: ModelDir,
    content: OnceCell<Option<Content>>,
}

/// What is in the file.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) json: TokenizerJson,
    /// Whether the word "ByteLevel" occurs in it.
    pub(super) mentions_byte_level: bool,
}

impl TokenizerFile {
    /// That of the model in `dir`.
    pub fn new(dir: &ModelDir) -> Self {
        Self { dir: dir.clone(), content: OnceCell::new() }
    }

    /// The id of a token, an added one or else one of the model's.
    ///
    /// # Errors
    /// If there is no file, it is no JSON object, or `text` is no token in it.
    pub fn require_id(&self, text: &str) -> Result<u64> {
        let TokenizerJson { tree, lists, .. } = self.require()?;
        let added = tree.get("added_tokens").and_then(Value::as_array).into_iter().flatten();
        let added = added.filter(|entry| entry.get("content").is_some_and(|content| *content == *text));
        let id = match (added.filter_map(|entry| entry.get("id")).next(), lists) {
            (Some(id), _) => id.as_u64(),
            (None, Some(lists)) => lists.vocabulary.id(text).map(u64::from),
            (None, None) => vocabulary(tree).and_then(|vocab| vocab.get(text)?.as_u64()),
        };
        id.ok_or_else(|| {
            Error::invalid(self.dir.join(NAME), format!("expected a token {text:?}, found none"))
        })
    }

    /// Number of tokens: the model's, and added ones, which may be the same.
    ///
    /// # Errors
    /// If there is no file, it is no JSON object, or lacks lists of them.
    pub fn count(&self) -> Result<u64> {
        let (own, added) = self.counts()?;
        Ok(own + added)
    }

    /// Number of the model's own tokens.
    ///
    /// # Errors
    /// As [`TokenizerFile::count`].
    pub fn own_count(&self) -> Result<u64> {
        Ok(self.counts()?.0)
    }

    fn counts(&self) -> Result<(u64, u64)> {
        let TokenizerJson { tree, lists, unigram } = self.require()?;
        let len = |value: &Value| match value {
            Value::Object(entries) => Some(entries.len()),
            Value::Array(entries) => Some(entries.len()),
            _ => None,
        };
        let listed = lists.as_ref().map(|lists| &lists.vocabulary);
        let listed = listed.or(unigram.as_ref().map(|unigram| &unigram.vocabulary));
        let own = listed.map(Vocabulary::len).or_else(|| len(vocabulary(tree)?));
        let added = tree.get("added_tokens").and_then(len);
        own.zip(added)
            .map(|(own, added)| (own as u64, added as u64))
            .ok_or_else(|| Error::invalid(self.dir.join(NAME), "expected model.vocab and added_tokens"))
    }

    /// Whether the model is of this kind: "Unigram".
    ///
    /// # Errors
    /// If there is no file, or it is no JSON object.
    pub fn is_model(&self, kind: &str) -> Result<bool> {
        let model = self.require()?.tree.get("model");
        Ok(model.and_then(|model| model.get("type")).is_some_and(|found| *found == *kind))
    }

    /// What is in it; none if there is no file.
    pub(super) fn into_content(self) -> Result<Option<Content>> {
        self.content()?;
        Ok(self.content.into_inner().flatten())
    }

    fn require(&self) -> Result<&TokenizerJson> {
        self.content()?.map(|content| &content.json).ok_or_else(|| missing(&self.dir, NAME))
    }

    fn content(&self) -> Result<Option<&Content>> {
        if self.content.get().is_none() {
            // Nobody else can have set it meanwhile.
            _ = self.content.set(read(&self.dir)?);
        }
        Ok(self.content.get().and_then(Option::as_ref))
    }
}

fn vocabulary(tree: &Map<String, Value>) -> Option<&Value> {
    tree.get("model")?.get("vocab")
}

fn read(dir: &ModelDir) -> Result<Option<Content>> {
    let Some(bytes) = dir.read_if_there(NAME, LARGEST)? else { return Ok(None) };
    let mentions_byte_level = memmem::find(&bytes, b"\"ByteLevel\"").is_some();
    Ok(Some(Content { json: tokenizer_json::parse(&dir.join(NAME), &bytes)?, mentions_byte_level }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(json: &str) -> (tempfile::TempDir, TokenizerFile) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NAME), json).unwrap();
        let file = TokenizerFile::new(&ModelDir::open(dir.path()).unwrap());
        (dir, file)
    }

    const ADDED: &str = r#""added_tokens": [{"id": 7, "content": "yes"}]"#;

    #[test]
    fn answers_are_the_same_whatever_the_model() {
        let bpe = r#"{"type": "BPE", "vocab": {"no": 3, "yes": 4}, "merges": []}"#;
        let words = r#"{"type": "WordPiece", "vocab": {"no": 3, "yes": 4}}"#;
        for (model, kind) in [(bpe, "BPE"), (words, "WordPiece")] {
            let (_dir, file) = file(&format!(r#"{{"model": {model}, {ADDED}}}"#));
            assert_eq!((file.require_id("yes").unwrap(), file.require_id("no").unwrap()), (7, 3));
            assert!(file.require_id("maybe").unwrap_err().to_string().contains("\"maybe\""));
            assert_eq!(file.count().unwrap(), 3);
            assert!(file.is_model(kind).unwrap() && !file.is_model("Unigram").unwrap());
        }
        let (_dir, file) = file(&format!(r#"{{"model": {{"vocab": [["a", 0.0]]}}, {ADDED}}}"#));
        assert_eq!((file.count().unwrap(), file.require_id("a").is_err()), (2, true));
    }

    #[test]
    fn the_file_is_read_once() {
        let (dir, file) = file(&format!(r#"{{"model": {{"type": "BPE"}}, {ADDED}}}"#));
        assert!(file.is_model("BPE").unwrap());
        fs::remove_file(dir.path().join(NAME)).unwrap();
        assert_eq!(file.require_id("yes").unwrap(), 7);
        assert!(file.into_content().unwrap().is_some());
        let gone = TokenizerFile::new(&ModelDir::open(dir.path()).unwrap());
        assert_eq!(gone.count().unwrap_err().exit_code(), 4);
        assert!(gone.into_content().unwrap().is_none());
    }
}
