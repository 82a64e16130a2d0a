//! The files a tokenizer consists of, read once and with limits.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use memchr::memmem;
use serde_json::{Map, Value};

use super::apart;
use super::class::Class;
use super::lists::BpeLists;
use super::tokenizer_json::{self, TokenizerJson};
use crate::error::{Error, Result};
use crate::input::{self, bounded};

/// `tokenizer.json` of the largest vocabularies has 33 MB.
const LARGEST: u64 = 256 << 20;

/// The JSON files that describe a tokenizer, as far as they are there.
#[derive(Debug)]
pub struct TokenizerFiles {
    /// The model directory.
    pub dir: PathBuf,
    /// `tokenizer.json`, without what is in `lists`.
    pub tokenizer: Option<Value>,
    /// Vocabulary and merges of `tokenizer.json`, if that is a usual BPE model.
    pub lists: Option<BpeLists>,
    /// Whether the word "ByteLevel" occurs in it, which decides the tokenizer's class.
    pub mentions_byte_level: bool,
    /// `tokenizer_config.json`.
    pub config: Option<Map<String, Value>>,
    /// `config.json` as it stands in the file.
    pub model_config: Option<Map<String, Value>>,
    /// What takes the place of `tokenizer.json`, once it was asked for.
    pub apart: OnceCell<Option<TokenizerJson>>,
}

impl TokenizerFiles {
    /// Reads what is there.
    ///
    /// # Errors
    /// If a file cannot be read, is too large, or is not a JSON object.
    pub fn read(dir: &Path) -> Result<Self> {
        let (mut tokenizer, mut lists, mut mentions_byte_level) = (None, None, false);
        let path = dir.join("tokenizer.json");
        if input::exists(&path)? {
            let bytes = input::read_limited(&path, LARGEST)?;
            mentions_byte_level = memmem::find(&bytes, b"\"ByteLevel\"").is_some();
            let json = tokenizer_json::parse(&path, &bytes)?;
            (tokenizer, lists) = (Some(json.tree.into()), json.lists);
        }
        Ok(Self {
            dir: dir.to_owned(),
            tokenizer,
            lists,
            mentions_byte_level,
            config: object(&dir.join("tokenizer_config.json"))?,
            model_config: object(&dir.join("config.json"))?,
            apart: OnceCell::new(),
        })
    }

    /// `tokenizer.json` and the lists taken out of it; or, where there is none, what the files say that a tokenizer of
    /// this class has instead.
    ///
    /// # Errors
    /// If these are not what they should be.
    pub fn serialized(&self, class: Class) -> Result<Option<(&Map<String, Value>, Option<&BpeLists>)>> {
        if let Some(Value::Object(tree)) = &self.tokenizer {
            return Ok(Some((tree, self.lists.as_ref())));
        }
        let apart = match self.apart.get() {
            Some(apart) => apart,
            None => {
                let apart = apart::read(&self.dir, class)?;
                self.apart.get_or_init(|| apart)
            }
        };
        Ok(apart.as_ref().map(|json| (&json.tree, json.lists.as_ref())))
    }
}

/// The JSON object in `path`, if there is such a file.
///
/// # Errors
/// If it cannot be read, is too large, or is something else.
pub fn object(path: &Path) -> Result<Option<Map<String, Value>>> {
    match input::exists(path)? {
        true => parse(path, &input::read_limited(path, LARGEST)?).map(Some),
        false => Ok(None),
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::invalid(path, format!("expected a JSON object: {}", bounded(&e.to_string()))))
}

/// The text in `path`, with the line ends that Python makes of all.
///
/// # Errors
/// If it cannot be read, is too large, or is no UTF-8.
pub fn text(path: &Path) -> Result<String> {
    let bytes = input::read_limited(path, LARGEST)?;
    let text = String::from_utf8(bytes).map_err(|e| Error::invalid(path, format!("expected UTF-8: {e}")))?;
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The chat template: from `tokenizer_config.json`, or else from files of its own.
///
/// # Errors
/// If one of those cannot be read.
pub fn chat_template(dir: &Path, config: &Map<String, Value>) -> Result<Option<Value>> {
    let own = config.get("chat_template").cloned();
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

fn template_files(dir: &Path) -> Result<Option<Value>> {
    let (jinja, json) = (dir.join("chat_template.jinja"), dir.join("chat_template.json"));
    if input::exists(&jinja)? {
        let default = text(&jinja)?;
        let mut more: Vec<PathBuf> = fs::read_dir(dir.join("additional_chat_templates"))
            .map(|entries| entries.flatten().map(|e| e.path()).collect())
            .unwrap_or_default();
        more.retain(|path| path.extension().is_some_and(|e| e == "jinja"));
        // The reference takes them as the directory lists them, which is no order to rely on.
        more.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
        if more.is_empty() {
            return Ok(Some(default.into()));
        }
        let named = |name: &str, template: String| serde_json::json!({"name": name, "template": template});
        let mut list = vec![named("default", default)];
        for path in more {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            list.push(named(&name, text(&path)?));
        }
        return Ok(Some(list.into()));
    }
    Ok(object(&json)?.and_then(|mut json| json.remove("chat_template")))
}

/// Merges from `merges.txt`, one "left right" per line, if there is such a file.
///
/// # Errors
/// If it cannot be read.
pub fn merges_txt(dir: &Path) -> Result<Vec<String>> {
    let path = dir.join("merges.txt");
    if !input::exists(&path)? {
        return Ok(Vec::new());
    }
    let text = text(&path)?;
    let skip = usize::from(text.lines().next().is_some_and(|first| first.trim().starts_with('#')));
    let pair = |line: &str| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        [left, right] => Some(format!("{left} {right}")),
        _ => None,
    };
    Ok(text.lines().skip(skip).filter_map(pair).collect())
}

#[cfg(test)]
mod tests {
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
        let list = chat_template(dir.path(), &Map::new()).unwrap().unwrap();
        let names: Vec<_> = list.as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["default", "a", "a-b", "rag", "tool_use"]);
    }
}
