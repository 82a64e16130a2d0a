//! Vocabularies that lie in files of their own, as before there was `tokenizer.json`: `vocab.json` and `merges.txt`, or
//! `vocab.txt`. What they say is put into the form of `tokenizer.json`, so that only one form is read.

use serde_json::json;

use super::class::Class;
use super::files;
use super::tokenizer_json::{self, TokenizerJson};
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::json::{Map, Value};
use crate::source::ModelDir;

/// Reads the files that a tokenizer of this class would be saved to, if they are there.
///
/// # Errors
/// If they cannot be read, or are not what they should be.
pub fn read(dir: &ModelDir, class: Class) -> Result<Option<TokenizerJson>> {
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
    let Some(text) = files::text_if_there(dir, WORDS)? else { return Ok(None) };
    let words =
        text.lines().enumerate().map(|(id, line)| (line.trim_end().to_owned(), Value::Int(id as i64)));
    let vocab: Map<String, Value> = words.collect();
    let model = json!({
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": Value::Object(vocab),
    });
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
    let Some(text) = files::text_if_there(dir, MERGES)? else { return Ok(None) };
    let lines = text.lines().filter(|line| !line.starts_with("#version"));
    let pair = |line: &str| match line.split_once(' ') {
        Some((left, right)) if !right.contains(' ') => Ok(json!([left, right])),
        _ => Err(Error::invalid(
            dir.join(MERGES),
            format!("expected two tokens in each line, found {}", quoted(line)),
        )),
    };
    let list = lines.map(pair).collect::<Result<Vec<_>>>()?;
    document(dir, VOCAB, &json!({"type": "BPE", "vocab": Value::Object(tokens), "merges": list}))
}

/// `tokenizer.json` with this model, made from the file `name`, and nothing else: from here on it is one of many, and read
/// as compactly as they are.
fn document(dir: &ModelDir, name: &str, model: &serde_json::Value) -> Result<Option<TokenizerJson>> {
    let document = json!({"added_tokens": [], "model": model});
    tokenizer_json::parse(&dir.join(name), document.to_string().as_bytes()).map(Some)
}
