//! A tokenizer as transformers 5 loads it: `tokenizer.json` plus what `tokenizer_config.json`,
//! `special_tokens_map.json` and `added_tokens.json` make of it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use super::class::Class;
use super::files::{self, TokenizerFiles};
use crate::error::{Error, Result};

/// Named special tokens that every class knows.
const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A loaded tokenizer.
pub struct HfTokenizer {
    tokenizer: Tokenizer,
    path: PathBuf,
    /// Named special tokens by attribute, then the others.
    special: Vec<String>,
}

/// A special token as a configuration gives it: only its text, or all its flags.
#[derive(Clone)]
enum Token {
    Text(String),
    Added(AddedToken),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Added(token) => &token.content,
        }
    }
}

impl HfTokenizer {
    /// Builds the tokenizer of `files` for a model with this configuration.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is no `tokenizer.json` or its class is not reproduced,
    /// [`Error::Invalid`] if files contradict what they should be.
    pub fn new(files: &TokenizerFiles, model_config: &Map<String, Value>) -> Result<Self> {
        let path = files.dir.join("tokenizer.json");
        let Some(Value::Object(json)) = &files.tokenizer else {
            return Err(Error::Unsupported(format!(
                "{}: no tokenizer that ggraft can read; expected tokenizer.json or tokenizer.model",
                files.dir.display()
            )));
        };
        let class = Class::of(files, model_config)?;
        let empty = Map::new();
        let config = files.config.as_ref().unwrap_or(&empty);
        let settings = Settings::read(files, config, json, class)?;

        let mut json = json.clone();
        if class != Class::Backend && json.get("model").and_then(|m| m.get("merges")).is_none() {
            return Err(Error::Unsupported(format!(
                "{}: tokenizer class {class:?} needs a BPE model with merges",
                path.display()
            )));
        }
        class.rebuild(&mut json, config.get("add_prefix_space").and_then(Value::as_bool));
        if json.get("post_processor").is_none_or(Value::is_null) {
            json.insert("post_processor".into(), Value::Null);
        }
        json.insert("truncation".into(), Value::Null);
        json.insert("padding".into(), Value::Null);
        let tokenizer = guarded(&path, || serde_json::from_value::<Tokenizer>(Value::Object(json)))?
            .map_err(|e| Error::invalid(&path, format!("not a tokenizer: {e}")))?;
        let mut loaded = Self { tokenizer, path, special: settings.special() };
        loaded.add(&settings)?;
        if class == Class::Qwen2 {
            let tokens: Vec<_> = loaded.special.iter().map(|t| AddedToken::from(t.as_str(), true)).collect();
            loaded.tokenizer.add_tokens(&tokens);
        }
        Ok(loaded)
    }

    /// Adds the tokens that the configuration names, as `TokenizersBackend.__init__` does.
    fn add(&mut self, settings: &Settings) -> Result<()> {
        let mut tokens: Vec<AddedToken> = settings.added.values().cloned().collect();
        let known: Vec<String> =
            self.tokenizer.get_added_tokens_decoder().values().map(|t| t.content.clone()).collect();
        for token in settings.named.values().chain(&settings.extra) {
            let is_there =
                |text: &str| known.iter().any(|t| t == text) || tokens.iter().any(|t| t.content == text);
            if !is_there(token.text()) {
                tokens.push(match token {
                    Token::Text(text) => AddedToken::from(text.as_str(), true),
                    Token::Added(token) => token.clone(),
                });
            }
        }
        for token in &mut tokens {
            token.special |= settings.named.values().any(|named| named.text() == token.content);
        }
        let (path, tokenizer) = (&self.path, &mut self.tokenizer);
        guarded(path, || tokenizer.add_tokens(&tokens)).map(drop)
    }

    /// Token text to id, added tokens included.
    pub fn vocab(&self) -> HashMap<String, u32> {
        self.tokenizer.get_vocab(true)
    }

    /// Number of tokens of the model itself, without added ones.
    pub fn base_size(&self) -> usize {
        self.tokenizer.get_vocab_size(false)
    }

    /// Added tokens by id.
    pub fn added(&self) -> BTreeMap<u32, AddedToken> {
        self.tokenizer.get_added_tokens_decoder().into_iter().collect()
    }

    /// Texts of all special tokens.
    pub fn special(&self) -> &[String] {
        &self.special
    }

    /// Token ids of `text`.
    ///
    /// # Errors
    /// If the tokenizer cannot encode it.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        let encoding = guarded(&self.path, || self.tokenizer.encode_fast(text, add_special_tokens))?;
        let failed = |e| Error::invalid(&self.path, format!("cannot encode {text:?}: {e}"));
        encoding.map(|e| e.get_ids().to_vec()).map_err(failed)
    }

    /// The text that encoding `text` and decoding it again gives.
    ///
    /// # Errors
    /// If the tokenizer cannot encode or decode it.
    pub fn round_trip(&self, text: &str) -> Result<String> {
        let ids = self.encode(text, false)?;
        let decoded = guarded(&self.path, || self.tokenizer.decode(&ids, false))?;
        decoded.map_err(|e| Error::invalid(&self.path, format!("cannot decode {ids:?}: {e}")))
    }
}

/// What the configuration files say about tokens.
struct Settings {
    /// Added tokens by id.
    added: BTreeMap<u32, AddedToken>,
    /// Named special tokens by attribute.
    named: IndexMap<String, Token>,
    /// Special tokens without a name.
    extra: Vec<Token>,
}

impl Settings {
    fn read(
        files: &TokenizerFiles,
        config: &Map<String, Value>,
        json: &Map<String, Value>,
        class: Class,
    ) -> Result<Self> {
        let path = files.dir.join("tokenizer_config.json");
        let mut config = config.clone();
        let extra_key = "extra_special_tokens";
        if config.get(extra_key).is_none_or(|v| v.as_array().is_some_and(Vec::is_empty) || v.is_null())
            && let Some(extra) = config.remove("additional_special_tokens")
        {
            config.insert(extra_key.into(), extra);
        }
        let mut added = BTreeMap::new();
        if let Some(decoder) = config.get("added_tokens_decoder") {
            let decoder = decoder
                .as_object()
                .ok_or_else(|| Error::invalid(&path, "added_tokens_decoder: expected an object"))?;
            for (id, token) in decoder {
                let id: u32 = id.parse().map_err(|_| {
                    Error::invalid(&path, format!("added_tokens_decoder: {id:?} is not a token id"))
                })?;
                added.insert(id, added_token(token, &path)?);
            }
        } else {
            legacy(&files.dir, &mut config, json, &mut added)?;
        }
        let by_text: HashMap<String, AddedToken> =
            added.values().map(|t| (t.content.clone(), t.clone())).collect();
        let resolve = |token: Token| match by_text.get(token.text()) {
            Some(added) => Token::Added(added.clone()),
            None => token,
        };
        let mut named = IndexMap::new();
        for key in NAMED {
            let default = class
                .default_tokens()
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, text)| Token::Text((*text).into()));
            let token = match config.get(key) {
                None => default,
                Some(Value::Null) => None,
                Some(value) => Some(resolve(token(value, &path, key)?)),
            };
            if let Some(token) = token {
                named.insert(key.to_owned(), token);
            }
        }
        // Tokens with other names: "image_token" and the like.
        for (key, value) in config
            .iter()
            .filter(|(k, v)| k.ends_with("_token") && !NAMED.contains(&k.as_str()) && v.is_string())
        {
            named.insert(key.clone(), token(value, &path, key)?);
        }
        let mut extra = Vec::new();
        match config.get(extra_key) {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                for value in list {
                    extra.push(token(value, &path, extra_key)?);
                }
            }
            Some(Value::Object(map)) => {
                for (key, value) in map {
                    named.insert(key.clone(), token(value, &path, extra_key)?);
                }
            }
            Some(_) => {
                return Err(Error::invalid(&path, format!("{extra_key}: expected a list or an object")));
            }
        }
        Ok(Self { added, named, extra })
    }

    fn special(&self) -> Vec<String> {
        let all = self.named.values().chain(&self.extra).map(|t| t.text().to_owned());
        let unique: indexmap::IndexSet<String> = all.collect();
        unique.into_iter().collect()
    }
}

/// Without `added_tokens_decoder`: `special_tokens_map.json`, `added_tokens.json` and the tokens added
/// in `tokenizer.json` take its place.
fn legacy(
    dir: &Path,
    config: &mut Map<String, Value>,
    json: &Map<String, Value>,
    added: &mut BTreeMap<u32, AddedToken>,
) -> Result<()> {
    let path = dir.join("special_tokens_map.json");
    for (key, mut value) in files::object(&path)?.unwrap_or_default() {
        if let Some(token) = value.as_object_mut().filter(|_| key != "extra_special_tokens") {
            token.insert("__type".into(), "AddedToken".into());
            token.insert("special".into(), true.into());
        }
        let key = if key == "additional_special_tokens" { "extra_special_tokens".into() } else { key };
        config.insert(key, value);
    }
    let path = dir.join("added_tokens.json");
    let texts: Vec<String> = NAMED
        .iter()
        .filter_map(|k| config.get(*k))
        .chain(config.get("extra_special_tokens").and_then(Value::as_array).into_iter().flatten())
        .filter_map(|v| v.as_str().or_else(|| v.get("content")?.as_str()).map(str::to_owned))
        .collect();
    for (text, id) in files::object(&path)?.unwrap_or_default() {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        let id = id.ok_or_else(|| Error::invalid(&path, format!("{text:?}: expected a token id")))?;
        let special = texts.contains(&text);
        added.insert(id, AddedToken::from(text, special).normalized(!special));
    }
    let path = dir.join("tokenizer.json");
    let list = json.get("added_tokens").and_then(Value::as_array);
    for token in list.into_iter().flatten() {
        let id = token.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
        let id =
            id.ok_or_else(|| Error::invalid(&path, "added_tokens: expected every token to have an id"))?;
        added.insert(id, added_token(token, &path)?);
    }
    Ok(())
}

/// A special token: its text, or `{"__type": "AddedToken", …}`.
fn token(value: &Value, path: &Path, key: &str) -> Result<Token> {
    match value {
        Value::String(text) => Ok(Token::Text(text.clone())),
        Value::Object(map) if map.get("__type").is_some_and(|t| t == "AddedToken") => {
            added_token(value, path).map(Token::Added)
        }
        _ => Err(Error::invalid(
            path,
            format!("{key}: expected a token (a string or an AddedToken), found {value}"),
        )),
    }
}

fn added_token(value: &Value, path: &Path) -> Result<AddedToken> {
    let content = value.get("content").and_then(Value::as_str);
    let content = content.ok_or_else(|| {
        Error::invalid(path, format!("expected an added token with content, found {value}"))
    })?;
    let flag = |key: &str| value.get(key).and_then(Value::as_bool);
    let special = flag("special").unwrap_or(false);
    Ok(AddedToken::from(content, special)
        .single_word(flag("single_word").unwrap_or(false))
        .lstrip(flag("lstrip").unwrap_or(false))
        .rstrip(flag("rstrip").unwrap_or(false))
        .normalized(flag("normalized").unwrap_or(!special)))
}

/// Runs code of the tokenizers crate on a stranger's file: should it panic, that is the file's fault.
fn guarded<T>(path: &Path, run: impl FnOnce() -> T) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .map_err(|_| Error::invalid(path, "the tokenizer library cannot handle this tokenizer"))
}
