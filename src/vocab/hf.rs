//! A tokenizer as transformers 5 loads it: `tokenizer.json`, rebuilt by its class, plus the tokens that
//! the configuration adds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokenizers::{AddedToken, PostProcessorWrapper, Tokenizer};

use super::class::Class;
use super::files::TokenizerFiles;
use super::guard::guarded;
use super::mistral;
use super::settings::{Settings, Token};
use crate::error::{Error, Result};
use crate::input::{bounded, quoted};

/// A loaded tokenizer.
pub struct HfTokenizer {
    tokenizer: Tokenizer,
    path: PathBuf,
    /// Named special tokens by attribute, then the others.
    special: Vec<String>,
    add_prefix_space: bool,
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
        check_ids(files)?;
        let class = Class::of(files, model_config)?;
        let empty = Map::new();
        let config = files.config.as_ref().unwrap_or(&empty);
        let settings = Settings::read(files, config, json, class)?;

        let mut json = json.clone();
        if class != Class::Backend {
            check_model(class, &json, &path)?;
            parse(&path, without_vocabulary(&json))?;
            class.rebuild(&mut json, config, &files.dir)?;
        }
        let add_prefix_space = config.get("add_prefix_space").and_then(Value::as_bool);
        let add_prefix_space = add_prefix_space.unwrap_or(class == Class::XlmRoberta);
        if mistral::wants_other_pattern(files, &json) {
            mistral::replace_pattern(&mut json);
        }
        json.insert("truncation".into(), Value::Null);
        json.insert("padding".into(), Value::Null);
        let tokenizer = parse(&path, json)?;
        let mut loaded = Self { tokenizer, path, special: settings.special(), add_prefix_space };
        loaded.add(&settings)?;
        let again: Vec<_> = match class {
            Class::Qwen2 => loaded.special.iter().map(|t| AddedToken::from(t.as_str(), true)).collect(),
            Class::Cohere => settings.named.values().chain(&settings.extra).map(as_special).collect(),
            _ => Vec::new(),
        };
        guarded(&loaded.path, || loaded.tokenizer.add_tokens(&again))?;
        let named = |key: &str| settings.named.get(key).map(Token::text);
        let id = |text: &str| loaded.tokenizer.token_to_id(text);
        if let Some(post_processor) = class.post_processor(named, id, &files.dir)? {
            let post_processor = serde_json::from_value(post_processor);
            let post_processor = post_processor.map_err(|e| Error::invalid(&loaded.path, e.to_string()))?;
            loaded.tokenizer.with_post_processor(Some::<PostProcessorWrapper>(post_processor));
        }
        Ok(loaded)
    }

    /// Adds the tokens that the configuration names, as `TokenizersBackend.__init__` does.
    fn add(&mut self, settings: &Settings) -> Result<()> {
        let mut tokens: Vec<AddedToken> = settings.added.values().cloned().collect();
        let present = self.tokenizer.get_added_tokens_decoder();
        let mut known: HashSet<String> =
            present.into_values().chain(tokens.iter().cloned()).map(|token| token.content).collect();
        for token in settings.named.values().chain(&settings.extra) {
            if known.insert(token.text().to_owned()) {
                tokens.push(match token {
                    Token::Text(text) => AddedToken::from(text.as_str(), true),
                    Token::Added(token) => token.clone(),
                });
            }
        }
        let named: HashSet<&str> = settings.named.values().map(Token::text).collect();
        for token in &mut tokens {
            token.special |= named.contains(token.content.as_str());
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

    /// The id of a token.
    pub fn id(&self, text: &str) -> Option<u32> {
        self.tokenizer.token_to_id(text)
    }

    /// Whether a space is put in front of texts, as the configuration or else the class says.
    pub fn add_prefix_space(&self) -> bool {
        self.add_prefix_space
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
        let failed = |e: tokenizers::Error| {
            Error::invalid(&self.path, format!("cannot encode {}: {}", quoted(text), bounded(&e.to_string())))
        };
        encoding.map(|e| e.get_ids().to_vec()).map_err(failed)
    }

    /// The text that encoding `text` and decoding it again gives.
    ///
    /// # Errors
    /// If the tokenizer cannot encode or decode it.
    pub fn round_trip(&self, text: &str) -> Result<String> {
        let ids = self.encode(text, false)?;
        let decoded = guarded(&self.path, || self.tokenizer.decode(&ids, false))?;
        decoded.map_err(|e| {
            Error::invalid(&self.path, format!("cannot decode what {} is encoded to: {e}", quoted(text)))
        })
    }
}

/// Builds the tokenizer that `json` describes.
fn parse(path: &Path, json: Map<String, Value>) -> Result<Tokenizer> {
    guarded(path, || serde_json::from_value::<Tokenizer>(Value::Object(json)))?
        .map_err(|e| Error::invalid(path, format!("not a tokenizer: {}", bounded(&e.to_string()))))
}

/// Refuses a model whose lists are not those that the class needs.
fn check_model(class: Class, json: &Map<String, Value>, path: &Path) -> Result<()> {
    let model = json.get("model");
    let list = |key: &str| model.and_then(|m| m.get(key));
    let (fits, needed) = match class.model() {
        Some("Unigram") => (list("vocab").is_some_and(Value::is_array), "a Unigram model"),
        Some("WordPiece") => (list("vocab").is_some_and(Value::is_object), "a WordPiece model"),
        _ => (list("merges").is_some(), "a BPE model with merges"),
    };
    match fits {
        true => Ok(()),
        false => {
            Err(Error::Unsupported(format!("{}: tokenizer class {class:?} needs {needed}", path.display())))
        }
    }
}

/// A token with its flags, but special in any case.
fn as_special(token: &Token) -> AddedToken {
    match token {
        Token::Text(text) => AddedToken::from(text.as_str(), true),
        Token::Added(token) => AddedToken { special: true, ..token.clone() },
    }
}

/// The tokenizer whose parts a class replaces: they are never used, but must be valid.
fn without_vocabulary(json: &Map<String, Value>) -> Map<String, Value> {
    let mut json = json.clone();
    if let Some(model) = json.get_mut("model").and_then(Value::as_object_mut)
        && model.get("type").is_some_and(|kind| kind != "Unigram")
    {
        model.insert("vocab".into(), json!({}));
        if model.get("type").is_some_and(|kind| kind == "BPE") {
            model.insert("merges".into(), json!([]));
        }
        json.insert("added_tokens".into(), json!([]));
    }
    json
}

/// transformers reads `config.json` too, and refuses token ids of other types.
fn check_ids(files: &TokenizerFiles) -> Result<()> {
    let Some(config) = &files.model_config else { return Ok(()) };
    for key in ["bos_token_id", "eos_token_id", "pad_token_id"] {
        let is_id = |id: &Value| id.is_i64() || id.is_u64();
        let valid = match config.get(key) {
            None | Some(Value::Null) => true,
            Some(Value::Array(ids)) => key == "eos_token_id" && ids.iter().all(is_id),
            Some(id) => is_id(id),
        };
        if !valid {
            let found = config.get(key).map(Value::to_string).unwrap_or_default();
            let problem = format!("{key}: expected a token id, found {}", bounded(&found));
            return Err(Error::invalid(files.dir.join("config.json"), problem));
        }
    }
    Ok(())
}
