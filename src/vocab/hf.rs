//! A tokenizer as transformers 5 loads it: `tokenizer.json`, rebuilt by its class, plus the tokens that
//! the configuration adds.

mod checks;
mod source;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use crate::json::{Map, Value};
use indexmap::IndexMap;
use serde::Deserialize;
use tokenizers::models::ModelWrapper;
use tokenizers::tokenizer::{OffsetReferential, OffsetType};
use tokenizers::{
    AddedToken, DecoderWrapper, Model, Normalizer, NormalizerWrapper, PostProcessorWrapper, PreTokenizer,
    PreTokenizerWrapper, TokenizerImpl,
};

use super::bounded::Bounded;
use super::class::Class;
use super::excerpt::{self, Excerpt};
use super::files::TokenizerFiles;
use super::guard::guarded;
use super::lists::{BpeLists, UnigramLists, Vocabulary};
use super::mistral;
use super::settings::{Settings, Token};
use crate::error::{Error, Result};
use crate::input::{bounded, quoted};
use crate::source::ModelDir;
use source::{Parts, Source, added_tokens, not_a_tokenizer, parse};

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

impl<'a> HfTokenizer<'a> {
    /// Builds the tokenizer of `files` for a model with this configuration.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is no `tokenizer.json` or its class is not reproduced,
    /// [`Error::Invalid`] if files contradict what they should be.
    pub fn new(files: &'a TokenizerFiles, model_config: &Map<String, Value>) -> Result<Self> {
        let class = Class::of(files, model_config)?;
        let source = Source::of(files, class)?;
        checks::check(files, source.tree, &source.path)?;
        let empty = Map::new();
        let config = files.config.as_ref().unwrap_or(&empty);
        let settings = Settings::read(files, config, source.tree, class)?;
        let (mut json, added) = source.components(config)?;
        let add_prefix_space = config.get("add_prefix_space").and_then(Value::as_bool);
        let add_prefix_space = add_prefix_space.unwrap_or(class == Class::XlmRoberta);
        if mistral::wants_other_pattern(files, &json) {
            mistral::replace_pattern(&mut json);
        }
        let base = source.take_lists(&mut json)?;
        let (tokenizer, base) = assemble(parse(&source.path, json)?, base);
        let mut loaded =
            Self { tokenizer, path: source.path, special: settings.special(), add_prefix_space, base };
        loaded.add_tokens(&added_tokens(&loaded.path, added)?)?;
        loaded.add(&settings)?;
        loaded.finish(class, &settings, &files.dir)?;
        Ok(loaded)
    }

    /// Adds what the class adds once more, and puts around texts what it puts there.
    fn finish(&mut self, class: Class, settings: &Settings, dir: &ModelDir) -> Result<()> {
        let again: Vec<_> = match class {
            Class::Qwen2 => self.special.iter().map(|t| AddedToken::from(t.as_str(), true)).collect(),
            Class::Cohere => settings.named.values().chain(&settings.extra).map(as_special).collect(),
            _ => Vec::new(),
        };
        self.add_tokens(&again)?;
        let named = |key: &str| settings.named.get(key).map(Token::text);
        let id = |text: &str| self.tokenizer.token_to_id(text);
        if let Some(post_processor) = class.post_processor(named, id, dir)? {
            let post_processor = PostProcessorWrapper::deserialize(&post_processor);
            let post_processor = post_processor.map_err(|e| Error::invalid(&self.path, e.to_string()))?;
            self.tokenizer.with_post_processor(Some(post_processor));
        }
        Ok(())
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
        // Where texts repeat, the last one counts for transformers; this version of the library leaves it out if that is
        // what it had before.
        let last: IndexMap<&str, &AddedToken> = tokens.iter().map(|t| (t.content.as_str(), t)).collect();
        let tokens: Vec<AddedToken> = last.into_values().cloned().collect();
        guarded(&self.path, || self.tokenizer.add_tokens(&tokens)).map(drop)
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

/// The tokenizer of `parts`, and its own tokens: those of `base`, or else all that the model has.
fn assemble(parts: Parts, base: Option<Base<'_>>) -> (Tokenizer<'_>, Base<'_>) {
    let base = base.unwrap_or_else(|| Base::Whole(vocabulary(&parts.model)));
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
    (tokenizer, base)
}

fn vocabulary(model: &ModelWrapper) -> Vocabulary {
    let mut vocabulary = Vocabulary::default();
    for (text, id) in model.get_vocab() {
        // Each text is there once.
        vocabulary.push(&text, id);
    }
    vocabulary
}

/// A token with its flags, but special in any case.
fn as_special(token: &Token) -> AddedToken {
    match token {
        Token::Text(text) => AddedToken::from(text.as_str(), true),
        Token::Added(token) => AddedToken { special: true, ..token.clone() },
    }
}
