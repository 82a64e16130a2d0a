//! What a tokenizer is built from: `tokenizer.json` as the model's class changes it, its large lists apart.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokenizers::models::ModelWrapper;
use tokenizers::{AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper};

use super::Base;
use crate::error::{Error, Result};
use crate::input::bounded;
use crate::json::{Map, Mismatch, Value, json};
use crate::vocab::apart;
use crate::vocab::class::Class;
use crate::vocab::excerpt;
use crate::vocab::files::TokenizerFiles;
use crate::vocab::guard::guarded;
use crate::vocab::lists::{BpeLists, UnigramLists};

/// The parts of a tokenizer as its files have them.
pub(super) struct Source<'a> {
    /// `tokenizer.json`, or what stands for it.
    pub(super) tree: &'a Map<String, Value>,
    /// What to call that in messages.
    pub(super) path: PathBuf,
    files: &'a TokenizerFiles,
    class: Class,
    lists: Option<&'a BpeLists>,
}

/// The parts of `tokenizer.json` but vocabulary and merges, and the tokens to add.
type Components<'a> = (Map<String, Value>, Option<&'a Value>);

impl<'a> Source<'a> {
    /// Those of `files`, for a tokenizer of this class.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there are none.
    pub(super) fn of(files: &'a TokenizerFiles, class: Class) -> Result<Self> {
        let Some((tree, lists)) = apart::serialized(files, class)? else {
            return Err(Error::unsupported(
                "no tokenizer that ggraft can read; expected tokenizer.json or tokenizer.model",
            )
            .at(files.dir.path()));
        };
        Ok(Self { tree, path: files.dir.join("tokenizer.json"), files, class, lists })
    }

    /// The parts as the class has them. `config` is `tokenizer_config.json`.
    ///
    /// # Errors
    /// If they are invalid, those that the class replaces as well.
    pub(super) fn components(&self, config: &Map<String, Value>) -> Result<Components<'a>> {
        let parts = self.tree.iter().filter(|(key, _)| *key != "added_tokens");
        let mut json: Map<_, _> = parts.map(|(key, value)| (key.clone(), value.clone())).collect();
        let added = self.tree.get("added_tokens");
        if self.class == Class::Backend {
            return Ok((json, added));
        }
        check_model(self.class, &json, (self.lists.is_some(), self.files.unigram.is_some()), &self.path)?;
        // What the class replaces is never used, but must be valid.
        let mut replaced = without_lists(self.tree);
        let emptied = without_vocabulary(&mut replaced);
        if let Some(unigram) = &self.files.unigram {
            take_unigram(&mut replaced, unigram, &self.path)?;
        }
        parse(&self.path, replaced)?;
        added_tokens(&self.path, added.filter(|_| !emptied))?;
        self.class.rebuild(&mut json, config, &self.files.dir)?;
        Ok((json, None))
    }

    /// Takes out of `json` what need not be built of its model, if there is such a thing; puts in what must.
    ///
    /// # Errors
    /// If the model is invalid, or too large to be built.
    pub(super) fn take_lists(&self, json: &mut Map<String, Value>) -> Result<Option<Base<'a>>> {
        let mut base = None;
        if let Some(lists) = self.lists {
            let model = json.get("model").and_then(Value::as_object).cloned().unwrap_or_default();
            if excerpt::will_do(&model, lists) {
                without_vocabulary(json);
                base = Some(Base::Lists(lists, model));
            } else {
                let whole = excerpt::whole(&model, lists);
                json.insert("model".into(), whole.map_err(|problem| Error::invalid(&self.path, problem))?);
            }
        }
        if let Some(unigram) = &self.files.unigram {
            let settings = take_unigram(json, unigram, &self.path)?;
            base = base.or(Some(Base::Unigram(unigram, settings)));
        }
        Ok(base)
    }
}

/// `tokenizer.json`, but for the added tokens and what does not matter here.
#[derive(Deserialize)]
pub(super) struct Parts {
    pub(super) normalizer: Option<NormalizerWrapper>,
    pub(super) pre_tokenizer: Option<PreTokenizerWrapper>,
    pub(super) post_processor: Option<PostProcessorWrapper>,
    pub(super) decoder: Option<DecoderWrapper>,
    pub(super) model: ModelWrapper,
}

/// An entry of `added_tokens`. The id is an expectation; the tokenizer gives its own.
#[derive(Deserialize)]
struct WithId {
    #[serde(rename = "id")]
    _id: u32,
    #[serde(flatten)]
    token: AddedToken,
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

/// Reads what `json` describes.
///
/// # Errors
/// If that is no tokenizer.
pub(super) fn parse(path: &Path, json: Map<String, Value>) -> Result<Parts> {
    if let Some(version) = json.get("version").filter(|version| *version != "1.0") {
        let found = bounded(&version.to_string());
        return Err(Error::invalid(path, format!("not a tokenizer: expected version 1.0, found {found}")));
    }
    guarded(path, || Parts::deserialize(&Value::Object(json)))?.map_err(|e| not_a_tokenizer(path, &e))
}

/// Tokens of a list, as `tokenizer.json` has them.
///
/// # Errors
/// If they are something else.
pub(super) fn added_tokens(path: &Path, list: Option<&Value>) -> Result<Vec<AddedToken>> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let list = Vec::<WithId>::deserialize(list).map_err(|e| not_a_tokenizer(path, &e))?;
    Ok(list.into_iter().map(|entry| entry.token).collect())
}

/// The library refuses what is in the file at `path`.
pub(super) fn not_a_tokenizer(path: &Path, error: &Mismatch) -> Error {
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
