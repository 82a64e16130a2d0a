//! What the configuration files say about tokens: `tokenizer_config.json`, `special_tokens_map.json` and
//! `added_tokens.json`, put together as transformers does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use crate::json::{Map, Value};
use indexmap::IndexMap;
use tokenizers::AddedToken;

use super::class::Class;
use super::files::{self, DECODER, TokenizerFiles};
use crate::error::{Error, Result};
use crate::input::{bounded, quoted};
use crate::source::ModelDir;

/// Named special tokens that every class knows.
const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Special tokens without a name, and what they were called before transformers 5.
const EXTRA: &str = "extra_special_tokens";
const ADDITIONAL: &str = "additional_special_tokens";
/// Named special tokens that only some models have.
const SPECIFIC: &str = "model_specific_special_tokens";

/// A special token as a configuration gives it: only its text, or all its flags.
#[derive(Clone)]
pub enum Token {
    /// The text.
    Text(String),
    /// Text and flags.
    Added(AddedToken),
}

impl Token {
    /// The text.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Added(token) => &token.content,
        }
    }
}

/// What the configuration files say about tokens.
pub struct Settings {
    /// Added tokens by id. Ids are only an order: the tokenizer gives its own.
    pub added: BTreeMap<i64, AddedToken>,
    /// Named special tokens by attribute.
    pub named: IndexMap<String, Token>,
    /// Special tokens without a name.
    pub extra: Vec<Token>,
}

impl Settings {
    /// Reads them. `config` is `tokenizer_config.json`, `json` is `tokenizer.json`.
    ///
    /// # Errors
    /// For what transformers refuses.
    pub fn read(
        files: &TokenizerFiles,
        config: &Map<String, Value>,
        json: &Map<String, Value>,
        class: Class,
    ) -> Result<Self> {
        let path = files.dir.join("tokenizer_config.json");
        check(config, &path)?;
        let decoder = config.get(DECODER);
        let mut config: Map<_, _> =
            config.iter().filter(|(k, _)| *k != DECODER).map(|(k, v)| (k.clone(), v.clone())).collect();
        // The post-processor of tokenizer.json decides.
        config.shift_remove("add_bos_token");
        config.shift_remove("add_eos_token");
        if !is_truthy(config.get(EXTRA))
            && let Some(additional) = config.shift_remove(ADDITIONAL)
        {
            config.insert(EXTRA.into(), additional);
        }
        let mut specific = specific(&mut config, &path)?;
        let mut added = BTreeMap::new();
        match decoder {
            Some(Value::Object(decoder)) => {
                for (id, token) in decoder {
                    let id = id.trim().parse().map_err(|_| {
                        Error::invalid(
                            &path,
                            format!("added_tokens_decoder: {} is not a token id", quoted(id)),
                        )
                    })?;
                    added.insert(id, added_token(token, &path)?);
                }
            }
            Some(_) => return Err(Error::invalid(&path, "added_tokens_decoder: expected an object")),
            None => {
                legacy(&files.dir, &mut config, json, &mut added)?;
                if let Some(Value::Object(named)) = config.get(EXTRA) {
                    specific.extend(named.clone());
                    config.shift_remove(EXTRA);
                }
            }
        }
        if !config.contains_key(EXTRA)
            && let Some(additional) = config.shift_remove(ADDITIONAL)
        {
            config.insert(EXTRA.into(), additional);
        }
        if let Some(token) = json.get("padding").and_then(|p| p.get("pad_token"))
            && [Class::Backend, Class::Llama].contains(&class)
        {
            config.entry("pad_token".into()).or_insert_with(|| token.clone());
        }

        let by_text: HashMap<&str, &AddedToken> = added.values().map(|t| (t.content.as_str(), t)).collect();
        let mut named = IndexMap::new();
        for key in NAMED {
            let default = class.default_tokens().iter().find(|(k, _)| *k == key);
            let token = match config.get(key) {
                None => default.map(|(_, text)| Token::Text((*text).into())),
                Some(Value::Null) => None,
                Some(value) => {
                    let token = token(value, &path, key)?;
                    Some(by_text.get(token.text()).map_or(token, |added| Token::Added((*added).clone())))
                }
            };
            if let Some(token) = token {
                named.insert(key.to_owned(), token);
            }
        }
        // Those left in the configuration come first: tokens with flags, or from special_tokens_map.json.
        let is_token = |value: &Value| value.is_string() || is_added_token(value);
        let others = config.iter().filter(|(k, v)| is_other_name(k) && is_token(v));
        for (key, value) in others.chain(&specific) {
            named.insert(key.clone(), token(value, &path, key)?);
        }
        let extra = match config.get(EXTRA) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => {
                list.iter().map(|value| token(value, &path, EXTRA)).collect::<Result<_>>()?
            }
            Some(_) => return Err(Error::invalid(&path, format!("{EXTRA}: expected a list or an object"))),
        };
        Ok(Self { added, named, extra })
    }

    /// Texts of all special tokens, each once.
    pub fn special(&self) -> Vec<String> {
        let all = self.named.values().chain(&self.extra).map(|t| t.text().to_owned());
        let unique: indexmap::IndexSet<String> = all.collect();
        unique.into_iter().collect()
    }
}

/// Refuses settings that transformers refuses, and those that change more than is done here.
fn check(config: &Map<String, Value>, path: &Path) -> Result<()> {
    for key in ["padding_side", "truncation_side"] {
        if config.get(key).is_some_and(|side| side != "left" && side != "right") {
            return Err(Error::invalid(path, format!("{key}: expected \"left\" or \"right\"")));
        }
    }
    if let Some(Value::Array(templates)) = config.get("chat_template") {
        let complete = |t: &Value| t.get("name").is_some() && t.get("template").is_some();
        if !templates.iter().all(complete) {
            let problem = "chat_template: expected a list of objects with name and template";
            return Err(Error::invalid(path, problem));
        }
    }
    let files = config.get("fast_tokenizer_files");
    let only_usual = |files: &Value| {
        files.as_array().is_some_and(|files| files.iter().all(|file| file == "tokenizer.json"))
    };
    if files.is_some_and(|files| !only_usual(files)) {
        return Err(Error::unsupported(
            "fast_tokenizer_files names other files than tokenizer.json, which is not supported",
        )
        .at(path));
    }
    Ok(())
}

/// Takes the named tokens that only some models have out of `config`: "image_token" and the like.
fn specific(config: &mut Map<String, Value>, path: &Path) -> Result<Map<String, Value>> {
    let keys: Vec<String> = config
        .iter()
        .filter(|(key, value)| is_other_name(key) && value.is_string())
        .map(|(key, _)| key.clone())
        .collect();
    let mut found: Map<String, Value> =
        keys.into_iter().filter_map(|key| config.shift_remove_entry(&key)).collect();
    if let Some(Value::Object(named)) = config.get(EXTRA) {
        found.extend(named.clone());
        config.shift_remove(EXTRA);
    }
    match config.shift_remove(SPECIFIC) {
        Some(Value::Object(explicit)) if found.is_empty() => Ok(explicit),
        None | Some(Value::Null) => Ok(found),
        _ if !found.is_empty() => Ok(found),
        Some(_) => Err(Error::invalid(path, format!("{SPECIFIC}: expected an object"))),
    }
}

/// Without `added_tokens_decoder`: `special_tokens_map.json`, `added_tokens.json` and the tokens added
/// in `tokenizer.json` take its place.
fn legacy(
    dir: &ModelDir,
    config: &mut Map<String, Value>,
    json: &Map<String, Value>,
    added: &mut BTreeMap<i64, AddedToken>,
) -> Result<()> {
    let path = dir.join("special_tokens_map.json");
    for (key, mut value) in files::object(dir, "special_tokens_map.json")?.unwrap_or_default() {
        if key == "add_bos_token" || key == "add_eos_token" {
            return Err(Error::unsupported(format!("{key} is not supported here")).at(path));
        }
        if key == EXTRA {
            if let Value::Array(list) = value {
                value = merged(config.get(EXTRA), list, &path)?;
            }
        } else if let Some(token) = value.as_object_mut() {
            token.insert("__type".into(), "AddedToken".into());
            token.insert("special".into(), true.into());
        }
        config.insert(key, value);
    }
    let path = dir.join("added_tokens.json");
    let texts: HashSet<String> = NAMED
        .iter()
        .filter_map(|k| config.get(*k))
        .chain(config.get(EXTRA).and_then(Value::as_array).into_iter().flatten())
        .filter_map(|v| v.as_str().or_else(|| v.get("content")?.as_str()).map(str::to_owned))
        .collect();
    for (text, id) in files::object(dir, "added_tokens.json")?.unwrap_or_default() {
        let id = id.as_i64();
        let id =
            id.ok_or_else(|| Error::invalid(&path, format!("{}: expected a token id", quoted(&text))))?;
        let special = texts.contains(&text);
        added.insert(id, AddedToken::from(text, special).normalized(!special));
    }
    let path = dir.join("tokenizer.json");
    let list = json.get("added_tokens").and_then(Value::as_array);
    for token in list.ok_or_else(|| Error::invalid(&path, "added_tokens: expected a list"))? {
        let id = token.get("id").and_then(Value::as_i64);
        let id =
            id.ok_or_else(|| Error::invalid(&path, "added_tokens: expected every token to have an id"))?;
        added.insert(id, added_token(token, &path)?);
    }
    Ok(())
}

/// The extra special tokens of `tokenizer_config.json`, then those of `special_tokens_map.json`.
fn merged(old: Option<&Value>, new: Vec<Value>, path: &Path) -> Result<Value> {
    let mut list = match old {
        Some(Value::Array(list)) => list.clone(),
        old if !is_truthy(old) => Vec::new(),
        _ => return Err(Error::invalid(path, format!("{EXTRA}: the tokenizer_config.json has no list"))),
    };
    let mut known: HashSet<String> = list.iter().map(Value::to_string).collect();
    for mut token in new {
        if let Some(flags) = token.as_object_mut() {
            if flags.insert("special".into(), true.into()).is_some() {
                return Err(Error::invalid(path, format!("{EXTRA}: expected no \"special\" in a token")));
            }
            flags.insert("__type".into(), "AddedToken".into());
        }
        if known.insert(token.to_string()) {
            list.push(token);
        }
    }
    Ok(list.into())
}

fn is_other_name(key: &str) -> bool {
    key.ends_with("_token") && !NAMED.contains(&key)
}

/// Whether there is anything in a list, object or text.
fn is_truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

fn is_added_token(value: &Value) -> bool {
    value.get("__type").is_some_and(|kind| kind == "AddedToken")
}

/// A special token: its text, or `{"__type": "AddedToken", …}`.
fn token(value: &Value, path: &Path, key: &str) -> Result<Token> {
    match value {
        Value::String(text) => Ok(Token::Text(text.clone())),
        value if is_added_token(value) => added_token(value, path).map(Token::Added),
        _ => {
            let found = value.to_string();
            let problem =
                format!("{key}: expected a token (a string or an AddedToken), found {}", bounded(&found));
            Err(Error::invalid(path, problem))
        }
    }
}

/// A token with flags; all have defaults.
fn added_token(value: &Value, path: &Path) -> Result<AddedToken> {
    let invalid = || {
        let found = value.to_string();
        Error::invalid(path, format!("expected an added token with its flags, found {}", bounded(&found)))
    };
    let token = value.as_object().ok_or_else(invalid)?;
    let flag = |key: &str, default: bool| match token.get(key) {
        None => Ok(default),
        Some(value) => value.as_bool().ok_or_else(invalid),
    };
    let content = token.get("content").map_or(Some(""), Value::as_str).ok_or_else(invalid)?;
    let special = flag("special", false)?;
    Ok(AddedToken::from(content, special)
        .single_word(flag("single_word", false)?)
        .lstrip(flag("lstrip", false)?)
        .rstrip(flag("rstrip", false)?)
        .normalized(flag("normalized", !special)?))
}
