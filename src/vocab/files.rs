//! The files a tokenizer consists of, read once and with limits.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::json::{self, Map, Memory, Value};

use super::lists::{BpeLists, UnigramLists};
use super::tokenizer_file::TokenizerFile;
use super::tokenizer_json::{LARGEST_ADDED, TokenizerJson};
use crate::error::{Error, Result};
use crate::gguf::Strings;
use crate::source::ModelDir;

/// Largest of these files, in bytes. Real ones have up to 13 MB, nearly all of it added tokens.
pub const LARGEST: u64 = 24 << 20;
/// Largest chat template, in bytes. Real ones have up to 30,000.
const LARGEST_TEMPLATE: u64 = 1 << 20;
/// The key of added tokens by id, thousands of them in some models.
pub const DECODER: &str = "added_tokens_decoder";
/// Most chat templates of a model, which has up to a handful.
pub const MOST_TEMPLATES: usize = 256;

/// The JSON files that describe a tokenizer, as far as they are there.
#[derive(Debug)]
pub struct TokenizerFiles {
    /// The model directory.
    pub dir: ModelDir,
    /// `tokenizer.json`, without what is in `lists`.
    pub tokenizer: Option<Value>,
    /// Vocabulary and merges of `tokenizer.json`, if that is a usual BPE model.
    pub(super) lists: Option<BpeLists>,
    /// The vocabulary of `tokenizer.json`, if that is a Unigram model.
    pub(super) unigram: Option<UnigramLists>,
    /// Whether the word "ByteLevel" occurs in it, which decides the tokenizer's class.
    pub mentions_byte_level: bool,
    /// `tokenizer_config.json`.
    pub config: Option<Map<String, Value>>,
    /// `config.json` as it stands in the file.
    pub model_config: Option<Map<String, Value>>,
    /// Whether the only chat template written is `chat_template.jinja`, where the family would take another.
    pub own_template_only: bool,
    /// What takes the place of `tokenizer.json`, once it was asked for.
    pub(super) apart: OnceCell<Option<TokenizerJson>>,
}

impl TokenizerFiles {
    /// Reads what is there, beside `tokenizer`.
    ///
    /// # Errors
    /// If a file cannot be read, is too large, or is not a JSON object.
    pub fn read(dir: &ModelDir, tokenizer: TokenizerFile) -> Result<Self> {
        let content = tokenizer.into_content()?;
        let mentions_byte_level = content.as_ref().is_some_and(|content| content.mentions_byte_level);
        let json = content.map(|content| content.json);
        let (tokenizer, lists, unigram) = json
            .map_or((None, None, None), |json| (Some(Value::Object(json.tree)), json.lists, json.unigram));
        Ok(Self {
            dir: dir.clone(),
            tokenizer,
            lists,
            unigram,
            mentions_byte_level,
            config: object(dir, "tokenizer_config.json")?,
            model_config: object(dir, "config.json")?,
            own_template_only: false,
            apart: OnceCell::new(),
        })
    }
}

/// The JSON object in `path`, if there is such a file.
///
/// # Errors
/// If it cannot be read, is too large, or is something else.
pub fn object(dir: &ModelDir, name: &str) -> Result<Option<Map<String, Value>>> {
    dir.read_if_there(name, LARGEST)?.map(|bytes| parse(&dir.join(name), &bytes)).transpose()
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>> {
    let added = Memory::new(LARGEST_ADDED);
    json::parse_object_with(bytes, DECODER, added).map_err(|e| Error::invalid(path, e.to_string()))
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|e| Error::invalid(path, format!("expected UTF-8: {e}")))?;
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The chat template: from `tokenizer_config.json`, or else from files of its own.
///
/// # Errors
/// If one of those cannot be read.
pub fn chat_template(dir: &ModelDir, config: &Map<String, Value>) -> Result<Option<Value>> {
    let own = config.get("chat_template").cloned();
    let jinja = "chat_template.jinja";
    if own == Some(Value::Null) && dir.exists(jinja)? {
        tracing::warn!(
            "{}: left out, because chat_template in tokenizer_config.json is null, which counts for more; remove that \
             key if the model has this template",
            dir.join(jinja).display()
        );
    }
    let template = match own {
        Some(own) => Some(own),
        None => template_files(dir)?,
    };
    Ok(template.filter(|t| match t {
        Value::String(_) | Value::Array(_) => true,
        Value::Null => false,
        _ => {
            tracing::warn!("chat_template is neither a string nor a list, ignored");
            false
        }
    }))
}

fn template_files(dir: &ModelDir) -> Result<Option<Value>> {
    const MORE: &str = "additional_chat_templates";
    if let Some(default) = text_if_there(dir, "chat_template.jinja", LARGEST_TEMPLATE)? {
        // In the order of their names. The reference takes them as the directory lists them.
        let mut more: Vec<PathBuf> = dir.list(MORE)?.iter().map(|name| Path::new(MORE).join(name)).collect();
        more.retain(|path| path.extension().is_some_and(|e| e == "jinja"));
        if more.len() > MOST_TEMPLATES {
            let problem = format!("expected at most {MOST_TEMPLATES} chat templates, found {}", more.len());
            return Err(Error::invalid(dir.join(MORE), problem));
        }
        more.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
        if more.is_empty() {
            return Ok(Some(default.into()));
        }
        let named = |name: &str, template: String| crate::json::json!({"name": name, "template": template});
        let mut list = vec![named("default", default)];
        for path in more {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            list.push(named(&name, text_if_there(dir, &path, LARGEST_TEMPLATE / 4)?.unwrap_or_default()));
        }
        return Ok(Some(list.into()));
    }
    Ok(object(dir, "chat_template.json")?.and_then(|mut json| json.swap_remove("chat_template")))
}

/// The text in `name`, with the line ends that Python makes of all, if there is such a file.
///
/// # Errors
/// If it cannot be read, is too large, or is no UTF-8.
pub fn text_if_there(dir: &ModelDir, name: impl AsRef<Path>, most: u64) -> Result<Option<String>> {
    let name = name.as_ref();
    dir.read_if_there(name, most)?.map(|bytes| text(&dir.join(name), bytes)).transpose()
}

/// Merges from `merges.txt`, one "left right" per line, if there is such a file.
///
/// # Errors
/// If it cannot be read.
pub fn merges_txt(dir: &ModelDir) -> Result<Strings> {
    let mut merges = Strings::new();
    let Some(text) = text_if_there(dir, "merges.txt", LARGEST)? else { return Ok(merges) };
    let skip = usize::from(text.lines().next().is_some_and(|first| first.trim().starts_with('#')));
    for line in text.lines().skip(skip) {
        let mut parts = line.split_whitespace();
        if let (Some(left), Some(right), None) = (parts.next(), parts.next(), parts.next()) {
            merges.push_joined(&[left.as_bytes(), b" ", right.as_bytes()]);
        }
    }
    Ok(merges)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn more_templates_come_in_the_order_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let more = dir.path().join("additional_chat_templates");
        fs::create_dir(&more).unwrap();
        fs::write(dir.path().join("chat_template.jinja"), "0").unwrap();
        for name in ["rag", "a-b", "a", "tool_use"] {
            fs::write(more.join(format!("{name}.jinja")), "1").unwrap();
        }
        let list = chat_template(&ModelDir::open(dir.path()).unwrap(), &Map::new()).unwrap().unwrap();
        let names: Vec<_> =
            list.as_array().unwrap().iter().map(|t| t.get("name").and_then(Value::as_str).unwrap()).collect();
        assert_eq!(names, ["default", "a", "a-b", "rag", "tool_use"]);
    }
}
