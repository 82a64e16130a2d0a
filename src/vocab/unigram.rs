//! The Unigram route (llama.cpp's "t5"): vocabularies of T5 and XLM-RoBERTa, with the normalizer's
//! table of replacements.

use std::collections::HashSet;

use crate::json::{Map, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::files::TokenizerFiles;
use super::hf::HfTokenizer;
use super::sentencepiece::{self, Algorithm, Model, Pieces, kind};
use super::special::{KINDS, SpecialVocab};
use super::vocab_size;
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value as Kv};

/// What is written besides the tokens.
struct Normalizer {
    add_space_prefix: bool,
    remove_extra_whitespaces: bool,
    charsmap: Vec<u8>,
}

/// Writes the vocabulary of a T5 model. `false` if it is BPE (Pile-T5), which is written as other
/// SentencePiece models are.
///
/// # Errors
/// If there is none, or it has more tokens than `vocab_size` says.
pub fn add_t5(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<bool> {
    let path = files.dir.join("tokenizer.model");
    let (path, model) = match Model::read(&files.dir, "tokenizer.model")? {
        Some(model) => (path, model),
        None => {
            let path = files.dir.join("spiece.model");
            let missing = || super::missing(&files.dir, "tokenizer.model or spiece.model");
            let model = Model::read(&files.dir, "spiece.model")?.ok_or_else(missing)?;
            (path, model)
        }
    };
    match model.algorithm {
        Algorithm::Unigram => {}
        Algorithm::Bpe if path.ends_with("tokenizer.model") => return Ok(false),
        found => {
            let problem = format!("expected a Unigram model, found {found:?}");
            return Err(Error::invalid(path, problem));
        }
    }
    let pieces = sentencepiece::fill_up(&model, &path, &files.dir, vocab_size(config, &files.dir)?)?;
    let len = pieces.tokens.len();
    pieces.write_for(kv, "t5");
    let normalizer = Normalizer::of(model);
    kv.set_bool("tokenizer.ggml.add_space_prefix", normalizer.add_space_prefix);
    normalizer.end(kv, files, len)?;
    Ok(true)
}

/// Writes the vocabulary of an XLM-RoBERTa model: that of `sentencepiece.bpe.model`, else `tokenizer.json`.
/// `with_mask` adds the mask token that Nomic's first file lacks.
///
/// # Errors
/// If there is none, or it is invalid.
pub fn add_xlm_roberta(
    kv: &mut KeyValues,
    files: &TokenizerFiles,
    config: &Map<String, Value>,
    with_mask: bool,
) -> Result<()> {
    let path = files.dir.join("sentencepiece.bpe.model");
    let (pieces, normalizer) = match Model::read(&files.dir, "sentencepiece.bpe.model")? {
        None => from_tokenizer_json(files, config)?,
        Some(model) if model.algorithm == Algorithm::Unigram => {
            let len = model.count().max(vocab_size(config, &files.dir)?.unwrap_or(0));
            let mut pieces = realign(model.tokens(len));
            if with_mask {
                /// Where the mask token is.
                const MASK: usize = 250_001;
                if pieces.tokens.len() <= MASK {
                    let problem = format!("expected more than {MASK} tokens, found {len}");
                    return Err(Error::invalid(path, problem));
                }
                pieces.set(MASK, b"<mask>".to_vec(), 0.0, kind::CONTROL);
            }
            (pieces, Normalizer::of(model))
        }
        Some(model) => {
            let problem = format!("expected a Unigram model, found {:?}", model.algorithm);
            return Err(Error::invalid(path, problem));
        }
    };
    let len = pieces.tokens.len();
    pieces.write_for(kv, "t5");
    kv.set_bool("tokenizer.ggml.add_space_prefix", normalizer.add_space_prefix);
    super::add_token_type_count(kv, files, config)?;
    normalizer.end(kv, files, len)
}

impl Normalizer {
    fn of(model: Model) -> Self {
        Self {
            add_space_prefix: model.add_dummy_prefix,
            remove_extra_whitespaces: model.remove_extra_whitespaces,
            charsmap: model.charsmap,
        }
    }

    fn end(self, kv: &mut KeyValues, files: &TokenizerFiles, len: usize) -> Result<()> {
        kv.set_bool("tokenizer.ggml.remove_extra_whitespaces", self.remove_extra_whitespaces);
        if !self.charsmap.is_empty() {
            kv.set("tokenizer.ggml.precompiled_charsmap", Kv::U8s(self.charsmap));
        }
        SpecialVocab::load(files, false, &KINDS, Some(len))?.write(kv, &files.dir)
    }
}

/// Puts the tokens where fairseq, which trained the model, had them: SentencePiece's first three give way
/// to four, and all others move up.
fn realign(pieces: Pieces) -> Pieces {
    let first =
        [("<s>", kind::CONTROL), ("<pad>", kind::CONTROL), ("</s>", kind::CONTROL), ("<unk>", kind::UNKNOWN)];
    fn moved<T>(first: impl Iterator<Item = T>, mut rest: Vec<T>) -> Vec<T> {
        rest.pop();
        first.chain(rest.into_iter().skip(3)).collect()
    }
    Pieces {
        tokens: moved(first.iter().map(|(text, _)| text.as_bytes().to_vec()), pieces.tokens),
        scores: moved(first.iter().map(|_| 0.0), pieces.scores),
        types: moved(first.iter().map(|(_, kind)| *kind), pieces.types),
    }
}

/// The vocabulary of a `tokenizer.json` with a Unigram model.
fn from_tokenizer_json(files: &TokenizerFiles, config: &Map<String, Value>) -> Result<(Pieces, Normalizer)> {
    let path = files.dir.join("tokenizer.json");
    let invalid = |problem: &str| Error::invalid(&path, problem);
    let tokenizer = HfTokenizer::new(files, config)?;
    let json = files.tokenizer.as_ref();
    let model = json.and_then(|json| json.get("model"));
    let lists = files.unigram.as_ref();
    let lists = lists.ok_or_else(|| invalid("model.vocab: expected a list of texts and scores"))?;
    let charsmap = json.and_then(|json| json.get("normalizer")?.get("precompiled_charsmap")?.as_str());
    let charsmap = charsmap.ok_or_else(|| invalid("normalizer: expected one with a precompiled_charsmap"))?;
    let charsmap = STANDARD.decode(charsmap);
    let charsmap = charsmap.map_err(|_| invalid("normalizer.precompiled_charsmap: expected base64"))?;

    let added = tokenizer.added();
    let special: HashSet<u32> = tokenizer.special().iter().filter_map(|text| tokenizer.id(text)).collect();
    let unk_token = files.config.as_ref().and_then(|config| config.get("unk_token"));
    let unk_token = match unk_token {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.as_str()),
        Some(_) => {
            let path = files.dir.join("tokenizer_config.json");
            return Err(Error::invalid(path, "unk_token: expected the text of a token"));
        }
    };
    let named = added.iter().find(|(_, token)| Some(token.content.as_str()) == unk_token).map(|(id, _)| *id);
    let own = model.and_then(|model| model.get("unk_id"));
    let own = own.map_or(Some(3), |id| id.as_u64().and_then(|id| u32::try_from(id).ok()));
    let unk = named.or(own);

    let len = lists.scores.len().max(vocab_size(config, &files.dir)?.unwrap_or(0));
    let mut pieces = Pieces::padding(len);
    for ((text, id), score) in lists.vocabulary.iter().zip(&lists.scores) {
        let place = id as usize;
        let kind = match added.get(&id) {
            _ if Some(id) == unk => kind::UNKNOWN,
            _ if special.contains(&id) => kind::CONTROL,
            Some(_) => kind::USER_DEFINED,
            None => kind::NORMAL,
        };
        let text = added.get(&id).map_or(text, |token| &token.content);
        pieces.set(place, text.as_bytes().to_vec(), *score as f32, kind);
    }
    let normalizer = Normalizer {
        add_space_prefix: tokenizer.add_prefix_space(),
        remove_extra_whitespaces: flag(files, "clean_up_tokenization_spaces")?.unwrap_or(false),
        charsmap,
    };
    Ok((pieces, normalizer))
}

fn flag(files: &TokenizerFiles, key: &str) -> Result<Option<bool>> {
    match files.config.as_ref().and_then(|config| config.get(key)) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => {
            let path = files.dir.join("tokenizer_config.json");
            Err(Error::invalid(path, format!("{key}: expected true or false")))
        }
    }
}
