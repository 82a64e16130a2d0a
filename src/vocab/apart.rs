//! Vocabularies that lie in files of their own, as before there was `tokenizer.json`: `vocab.json` and `merges.txt`, or
//! `vocab.txt`. What they say is put into the form of `tokenizer.json`, so that only one form is read.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::class::Class;
use super::files;
use super::tokenizer_json::{self, TokenizerJson};
use crate::error::{Error, Result};
use crate::input::{self, quoted};

/// Reads the files that a tokenizer of this class would be saved to, if they are there.
///
/// # Errors
/// If they cannot be read, or are not what they should be.
pub fn read(dir: &Path, class: Class) -> Result<Option<TokenizerJson>> {
    match class {
        Class::Bert => words(&dir.join("vocab.txt")),
        Class::Cohere | Class::Gpt2 | Class::GptNeoX | Class::Qwen2 | Class::Qwen35 | Class::Roberta => {
            pairs(&dir.join("vocab.json"), &dir.join("merges.txt"))
        }
        Class::Backend | Class::Gemma | Class::Llama | Class::XlmRoberta => Ok(None),
    }
}

/// A WordPiece vocabulary: a token a line, whose id is the line's number.
fn words(path: &Path) -> Result<Option<TokenizerJson>> {
    if !input::exists(path)? {
        return Ok(None);
    }
    let text = files::text(path)?;
    let words = text.lines().enumerate().map(|(id, line)| (line.trim_end().to_owned(), id.into()));
    let vocab: Map<String, Value> = words.collect();
    let model = json!({
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": vocab,
    });
    Ok(Some(TokenizerJson { tree: document(model), lists: None }))
}

/// A BPE vocabulary: ids by token, and two tokens a line that become one.
fn pairs(vocab: &Path, merges: &Path) -> Result<Option<TokenizerJson>> {
    let Some(tokens) = files::object(vocab)?.filter(|tokens| !tokens.is_empty()) else { return Ok(None) };
    if !input::exists(merges)? {
        return Ok(None);
    }
    let text = files::text(merges)?;
    let lines = text.lines().filter(|line| !line.starts_with("#version"));
    let pair = |line: &str| match line.split_once(' ') {
        Some((left, right)) if !right.contains(' ') => Ok(json!([left, right])),
        _ => Err(Error::invalid(merges, format!("expected two tokens in each line, found {}", quoted(line)))),
    };
    let list = lines.map(pair).collect::<Result<Vec<_>>>()?;
    let tree = document(json!({"type": "BPE", "vocab": tokens, "merges": list}));
    // From here on it is one of many, and read as compactly as they are.
    tokenizer_json::parse(vocab, Value::Object(tree).to_string().as_bytes()).map(Some)
}

/// `tokenizer.json` with this model and nothing else.
fn document(model: Value) -> Map<String, Value> {
    [("added_tokens".to_owned(), json!([])), ("model".to_owned(), model)].into_iter().collect()
}
