//! A tokenizer as transformers 5 loads it: `tokenizer.json`, rebuilt by its class, plus the tokens that
//! the configuration adds.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use crate::json::{Map, Mismatch, Value, json};
use serde::Deserialize;
use tokenizers::models::ModelWrapper;
use tokenizers::tokenizer::{OffsetReferential, OffsetType};
use tokenizers::{
    AddedToken, DecoderWrapper, Model, Normalizer, NormalizerWrapper, PostProcessorWrapper, PreTokenizer,
    PreTokenizerWrapper, TokenizerImpl,
};

use super::apart;
use super::bounded::{self, Bounded};
use super::class::Class;
use super::excerpt::{self, Excerpt};
use super::files::TokenizerFiles;
use super::guard::guarded;
use super::lists::{BpeLists, UnigramLists, Vocabulary};
use super::mistral;
use super::settings::{Settings, Token};
use crate::config::lost_size;
use crate::error::{Error, Result};
use crate::input::{bounded, quoted};

/// Longest added token, in bytes. The library searches for a few of them with an automaton whose construction
/// takes the square of their lengths: minutes for one of 20,000 bytes. Real ones have a few dozen.
const LONGEST_ADDED: usize = 512;

/// Most added tokens. Models that speak have 65,000.
const MOST_ADDED: usize = 100_000;

type Tokenizer<'a> = TokenizerImpl<
    Excerpt<'a>,
    Bounded<NormalizerWrapper>,
    Bounded<PreTokenizerWrapper>,
    PostProcessorWrapper,
    Bounded<DecoderWrapper>,
>;

/// A loaded tokenizer.
pub struct HfTokenizer<'a> {
    tokenizer: Tokenizer<'a>,
    path: PathBuf,
    /// Named special tokens by attribute, then the others.
    special: Vec<String>,
    add_prefix_space: bool,
    base: Base<'a>,
}

/// The model's own tokens.
enum Base<'a> {
    /// Of a BPE model that is only built as far as it is needed, with its settings.
    Lists(&'a BpeLists, Map<String, Value>),
    /// Of a Unigram model, which is only built if texts are encoded, with its settings.
    Unigram(&'a UnigramLists, Map<String, Value>),
    /// Of a model that is there as a whole.
    Whole(Vocabulary),
}

/// `tokenizer.json`, but for the added tokens and what does not matter here.
#[derive(Deserialize)]
struct Parts {
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    post_processor: Option<PostProcessorWrapper>,
    decoder: Option<DecoderWrapper>,
    model: ModelWrapper,
}

/// An entry of `added_tokens`. The id is an expectation; the tokenizer gives its own.
#[derive(Deserialize)]
struct WithId {
    #[serde(rename = "id")]
    _id: u32,
    #[serde(flatten)]
    token: AddedToken,
}

impl<'a> HfTokenizer<'a> {
    /// Builds the tokenizer of `files` for a model with this configuration.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is no `tokenizer.json` or its class is not reproduced,
    /// [`Error::Invalid`] if files contradict what they should be.
    pub fn new(files: &'a TokenizerFiles, model_config: &Map<String, Value>) -> Result<Self> {
        let path = files.dir.join("tokenizer.json");
        let class = Class::of(files, model_config)?;
        let Some((tree, lists)) = apart::serialized(files, class)? else {
            return Err(Error::unsupported(
                "no tokenizer that ggraft can read; expected tokenizer.json or tokenizer.model",
            )
            .at(files.dir.path()));
        };
        check_ids(files)?;
        check_sizes(files)?;
        bounded::check(&path, tree)?;
        let in_tree = tree.get("model").and_then(|model| model.get("vocab"));
        if files.unigram.is_none() && in_tree.is_some_and(Value::is_array) {
            // What the library makes of it can be a hundred times as large.
            let problem =
                "model.vocab: expected pairs of a text, none of them twice, and a score of a Unigram model";
            return Err(Error::invalid(&path, problem));
        }
        let empty = Map::new();
        let config = files.config.as_ref().unwrap_or(&empty);
        let settings = Settings::read(files, config, tree, class)?;

        let parts = tree.iter().filter(|(key, _)| *key != "added_tokens");
        let mut json: Map<_, _> = parts.map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut added = tree.get("added_tokens");
        if class != Class::Backend {
            check_model(class, &json, (lists.is_some(), files.unigram.is_some()), &path)?;
            // What the class replaces is never used, but must be valid.
            let mut replaced = without_lists(tree);
            let emptied = without_vocabulary(&mut replaced);
            if let Some(unigram) = &files.unigram {
                take_unigram(&mut replaced, unigram, &path)?;
            }
            parse(&path, replaced)?;
            added_tokens(&path, added.filter(|_| !emptied))?;
            class.rebuild(&mut json, config, &files.dir)?;
            added = None;
        }
        let add_prefix_space = config.get("add_prefix_space").and_then(Value::as_bool);
        let add_prefix_space = add_prefix_space.unwrap_or(class == Class::XlmRoberta);
        if mistral::wants_other_pattern(files, &json) {
            mistral::replace_pattern(&mut json);
        }
        let mut settings_of_model = Map::new();
        let lists = match lists {
            Some(lists) => {
                let model = json.get("model").and_then(Value::as_object).cloned().unwrap_or_default();
                match excerpt::will_do(&model, lists) {
                    true => {
                        without_vocabulary(&mut json);
                        settings_of_model = model;
                        Some(lists)
                    }
                    false => {
                        let whole = excerpt::whole(&model, lists);
                        let whole = whole.map_err(|problem| Error::invalid(&path, problem))?;
                        json.insert("model".into(), whole);
                        None
                    }
                }
            }
            None => None,
        };
        if let Some(unigram) = &files.unigram {
            settings_of_model = take_unigram(&mut json, unigram, &path)?;
        }
        let parts = parse(&path, json)?;
        let base = match (lists, &files.unigram) {
            (Some(lists), _) => Base::Lists(lists, settings_of_model),
            (None, Some(unigram)) => Base::Unigram(unigram, settings_of_model),
            (None, None) => Base::Whole(vocabulary(&parts.model)),
        };
        let vocabulary = match base {
            Base::Lists(lists, _) => Some(&lists.vocabulary),
            Base::Unigram(unigram, _) => Some(&unigram.vocabulary),
            Base::Whole(_) => None,
        };
        let mut tokenizer = Tokenizer::new(Excerpt { model: parts.model, vocabulary });
        tokenizer.with_normalizer(parts.normalizer.map(Bounded));
        tokenizer.with_pre_tokenizer(parts.pre_tokenizer.map(Bounded));
        tokenizer.with_post_processor(parts.post_processor);
        tokenizer.with_decoder(parts.decoder.map(Bounded));
        let mut loaded = Self { tokenizer, path, special: settings.special(), add_prefix_space, base };
        loaded.add_tokens(&added_tokens(&loaded.path, added)?)?;
        loaded.add(&settings)?;
        let again: Vec<_> = match class {
            Class::Qwen2 => loaded.special.iter().map(|t| AddedToken::from(t.as_str(), true)).collect(),
            Class::Cohere => settings.named.values().chain(&settings.extra).map(as_special).collect(),
            _ => Vec::new(),
        };
        loaded.add_tokens(&again)?;
        let named = |key: &str| settings.named.get(key).map(Token::text);
        let id = |text: &str| loaded.tokenizer.token_to_id(text);
        if let Some(post_processor) = class.post_processor(named, id, &files.dir)? {
            let post_processor = PostProcessorWrapper::deserialize(&post_processor);
            let post_processor = post_processor.map_err(|e| Error::invalid(&loaded.path, e.to_string()))?;
            loaded.tokenizer.with_post_processor(Some(post_processor));
        }
        Ok(loaded)
    }

    fn add_tokens(&mut self, tokens: &[AddedToken]) -> Result<()> {
        if tokens.len() > MOST_ADDED {
            let found = tokens.len();
            let problem = format!("expected at most {MOST_ADDED} added tokens, found {found}");
            return Err(Error::invalid(&self.path, problem));
        }
        for token in tokens {
            let mut len = token.content.len();
            if let Some(normalizer) = self.tokenizer.get_normalizer()
                && token.normalized
                && len <= LONGEST_ADDED
            {
                let mut text = token.content.as_str().into();
                // What it cannot normalize, the library leaves as it is.
                _ = guarded(&self.path, || normalizer.normalize(&mut text))?;
                len = text.len();
            }
            if len > LONGEST_ADDED {
                let text = quoted(&token.content);
                let problem =
                    format!("added token {text}: expected at most {LONGEST_ADDED} bytes, found {len}");
                return Err(Error::invalid(&self.path, problem));
            }
        }
        guarded(&self.path, || self.tokenizer.add_tokens(tokens)).map(drop)
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
        self.add_tokens(&tokens)
    }

    /// The model's tokens, without added ones.
    pub fn base(&self) -> &Vocabulary {
        match &self.base {
            Base::Lists(lists, _) => &lists.vocabulary,
            Base::Unigram(unigram, _) => &unigram.vocabulary,
            Base::Whole(vocabulary) => vocabulary,
        }
    }

    /// Texts and ids of all tokens, each text once.
    pub fn tokens(&self) -> impl Iterator<Item = (&str, u32)> {
        let added = self.tokenizer.get_added_vocabulary().get_vocab().iter();
        let added = added.map(|(text, id)| (text.as_str(), *id));
        self.base().iter().chain(added.filter(|(text, _)| self.base().place(text).is_none()))
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

    /// Token ids of `text`, with what the tokenizer puts around texts.
    ///
    /// # Errors
    /// If the tokenizer cannot encode it.
    pub fn encode(&mut self, text: &str) -> Result<Vec<u32>> {
        self.get_ready(&[text])?;
        self.ids(text, true)
    }

    /// What encoding each of `texts` and decoding it again gives.
    ///
    /// # Errors
    /// If the tokenizer cannot encode or decode one.
    pub fn round_trips(&mut self, texts: &[&str]) -> Result<Vec<String>> {
        self.get_ready(texts)?;
        let round_trip = |text: &&str| {
            let ids = self.ids(text, false)?;
            let decoded = guarded(&self.path, || self.tokenizer.decode(&ids, false))?;
            decoded.map_err(|e| {
                Error::invalid(&self.path, format!("cannot decode what {} is encoded to: {e}", quoted(text)))
            })
        };
        texts.iter().map(round_trip).collect()
    }

    fn ids(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        let encoding = guarded(&self.path, || self.tokenizer.encode_fast(text, add_special_tokens))?;
        encoding.map(|e| e.get_ids().to_vec()).map_err(|e| self.cannot_encode(text, &e))
    }

    fn cannot_encode(&self, text: &str, error: &tokenizers::Error) -> Error {
        let problem = format!("cannot encode {}: {}", quoted(text), bounded(&error.to_string()));
        Error::invalid(&self.path, problem)
    }

    /// Builds as much of the model as it takes to encode `texts`.
    fn get_ready(&mut self, texts: &[&str]) -> Result<()> {
        let (lists, settings) = match &self.base {
            Base::Lists(lists, settings) => (lists, settings),
            Base::Unigram(unigram, settings) => {
                let Some(model) = excerpt::small_unigram(settings, unigram) else {
                    let problem =
                        "a Unigram model, where this architecture's tokenizers have BPE or WordPiece";
                    return Err(Error::unsupported(problem).at(&self.path));
                };
                let model = guarded(&self.path, || ModelWrapper::deserialize(&model))?;
                let model = model.map_err(|e| not_a_tokenizer(&self.path, &e))?;
                self.tokenizer.with_model(Excerpt { model, vocabulary: Some(&unigram.vocabulary) });
                return Ok(());
            }
            Base::Whole(_) => return Ok(()),
        };
        let mut words = Vec::new();
        for text in texts {
            let found = guarded(&self.path, || self.words(text))?;
            words.extend(found.map_err(|e| self.cannot_encode(text, &e))?);
        }
        if words.is_empty() {
            return Ok(());
        }
        let model = excerpt::model(settings, lists, &words);
        let model = model.map_err(|problem| Error::invalid(&self.path, problem))?;
        let model = guarded(&self.path, || ModelWrapper::deserialize(&model))?;
        let model = model.map_err(|e| not_a_tokenizer(&self.path, &e))?;
        self.tokenizer.with_model(Excerpt { model, vocabulary: Some(&lists.vocabulary) });
        Ok(())
    }

    /// What the model is given to encode of `text`.
    fn words(&self, text: &str) -> tokenizers::Result<Vec<String>> {
        let normalizer = self.tokenizer.get_normalizer();
        let mut split = self.tokenizer.get_added_vocabulary().extract_and_normalize(normalizer, text);
        if let Some(pre_tokenizer) = self.tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut split)?;
        }
        let splits = split.get_splits(OffsetReferential::Original, OffsetType::None);
        let words = splits.into_iter().filter(|(_, _, tokens)| tokens.is_none());
        Ok(words.map(|(word, _, _)| word.to_owned()).collect())
    }
}

/// Refuses a model whose lists are not those that the class needs. Those of BPE and Unigram models may have been
/// taken out already, which the pair tells.
fn check_model(
    class: Class,
    json: &Map<String, Value>,
    (has_lists, has_unigram): (bool, bool),
    path: &Path,
) -> Result<()> {
    let model = json.get("model");
    let list = |key: &str| model.and_then(|m| m.get(key));
    let (fits, needed) = match class.model() {
        Some("Unigram") => (has_unigram, "a Unigram model"),
        Some("WordPiece") => (list("vocab").is_some_and(Value::is_object), "a WordPiece model"),
        _ => (has_lists || list("merges").is_some(), "a BPE model with merges"),
    };
    match fits {
        true => Ok(()),
        false => Err(Error::unsupported(format!("tokenizer class {class:?} needs {needed}")).at(path)),
    }
}

/// A token with its flags, but special in any case.
fn as_special(token: &Token) -> AddedToken {
    match token {
        Token::Text(text) => AddedToken::from(text.as_str(), true),
        Token::Added(token) => AddedToken { special: true, ..token.clone() },
    }
}

fn vocabulary(model: &ModelWrapper) -> Vocabulary {
    let mut vocabulary = Vocabulary::default();
    for (text, id) in model.get_vocab() {
        // Each text is there once.
        vocabulary.push(&text, id);
    }
    vocabulary
}

/// Reads what `json` describes.
fn parse(path: &Path, json: Map<String, Value>) -> Result<Parts> {
    if let Some(version) = json.get("version").filter(|version| *version != "1.0") {
        let found = bounded(&version.to_string());
        return Err(Error::invalid(path, format!("not a tokenizer: expected version 1.0, found {found}")));
    }
    guarded(path, || Parts::deserialize(&Value::Object(json)))?.map_err(|e| not_a_tokenizer(path, &e))
}

fn added_tokens(path: &Path, list: Option<&Value>) -> Result<Vec<AddedToken>> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let list = Vec::<WithId>::deserialize(list).map_err(|e| not_a_tokenizer(path, &e))?;
    Ok(list.into_iter().map(|entry| entry.token).collect())
}

fn not_a_tokenizer(path: &Path, error: &Mismatch) -> Error {
    Error::invalid(path, format!("not a tokenizer: {}", bounded(&error.to_string())))
}

/// All of `tokenizer.json` that is needed to see whether it is valid: a vocabulary can take a hundred megabytes.
fn without_lists(tree: &Map<String, Value>) -> Map<String, Value> {
    let parts = tree.iter().filter(|(key, _)| *key != "added_tokens");
    let part = |(key, value): (&String, &Value)| match value {
        Value::Object(model) if key == "model" && model.get("type").is_some_and(|kind| kind != "Unigram") => {
            let settings = model.iter().filter(|(key, _)| !["vocab", "merges"].contains(&key.as_str()));
            (
                key.clone(),
                settings.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>().into(),
            )
        }
        _ => (key.clone(), value.clone()),
    };
    parts.map(part).collect()
}

/// Empties the lists of the model. `false` if there are none to empty.
fn without_vocabulary(json: &mut Map<String, Value>) -> bool {
    let Some(model) = json.get_mut("model").and_then(Value::as_object_mut) else { return false };
    let Some(kind) = model.get("type").filter(|kind| *kind != "Unigram") else { return false };
    if kind == "BPE" {
        model.insert("merges".into(), json!([]));
    }
    model.insert("vocab".into(), json!({}));
    true
}

/// Puts a model of one token in the place of a Unigram model, after looking at what the library would check. Gives
/// the model's settings.
fn take_unigram(
    json: &mut Map<String, Value>,
    lists: &UnigramLists,
    path: &Path,
) -> Result<Map<String, Value>> {
    let Some(model) = json.get_mut("model").and_then(Value::as_object_mut) else { return Ok(Map::new()) };
    if let Some(id) = model.get("unk_id").filter(|id| !id.is_null())
        && id.as_u64().is_none_or(|id| id >= lists.scores.len() as u64)
    {
        let found = bounded(&id.to_string());
        return Err(Error::invalid(path, format!("model.unk_id: expected the id of a token, found {found}")));
    }
    let settings = model.clone();
    model.insert("unk_id".into(), Value::Null);
    model.insert("vocab".into(), json!([["", 0.0]]));
    Ok(settings)
}

/// transformers reads `config.json` too, and then refuses what its class does not take. That is followed where what would
/// come out is of no use, because a size is missing that the class would have given.
fn check_sizes(files: &TokenizerFiles) -> Result<()> {
    let path = files.dir.join("config.json");
    match files.model_config.as_ref().and_then(|config| lost_size(&path, config)) {
        Some((key, reason)) => {
            let hint =
                format!("correct that, or add {key}, which is missing without the defaults of the class");
            Err(Error::invalid(path, reason).hint(hint))
        }
        None => Ok(()),
    }
}

/// transformers reads `config.json` too, and refuses token ids of other types.
fn check_ids(files: &TokenizerFiles) -> Result<()> {
    let Some(config) = &files.model_config else { return Ok(()) };
    for key in ["bos_token_id", "eos_token_id", "pad_token_id"] {
        let is_id = Value::is_int;
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
