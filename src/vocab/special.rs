//! Special tokens, chat templates, merges and normalizer flags: what the reference's `SpecialVocab`
//! finds in `tokenizer.json`, `tokenizer_config.json` and `config.json`.

use crate::json::{Map, Value};
use indexmap::IndexMap;

use super::files::DECODER;
use super::files::{self, TokenizerFiles};
use super::lists::BpeLists;

use super::template;
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Strings};
use crate::source::ModelDir;

/// Kinds of special tokens that are looked for, unless told otherwise.
pub const KINDS: [&str; 7] = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"];

/// What was found.
#[derive(Debug, Default)]
pub struct SpecialVocab {
    merges: Strings,
    ids: IndexMap<String, u32>,
    add: IndexMap<&'static str, bool>,
    /// One template, or a list of named ones.
    pub chat_template: Option<Value>,
    lowercase: Option<bool>,
    strip_accents: Option<bool>,
}

impl SpecialVocab {
    /// Looks through `files`. `vocab_len` limits ids, if given.
    ///
    /// # Errors
    /// If something has a form that cannot be written.
    pub fn load(
        files: &TokenizerFiles,
        load_merges: bool,
        kinds: &[&str],
        vocab_len: Option<usize>,
    ) -> Result<Self> {
        let mut found = Self::default();
        let mut kinds: Vec<String> = kinds.iter().map(|k| (*k).to_owned()).collect();
        // Without the large part, which is of no use here.
        let small =
            |(k, v): (&String, &Value)| (k.clone(), if k == DECODER { Value::Null } else { v.clone() });
        let mut config: Option<Map<_, _>> = files.config.as_ref().map(|c| c.iter().map(small).collect());
        if let Some(tokenizer) = &files.tokenizer {
            if load_merges {
                found.merges = match &files.lists {
                    Some(lists) => usual_merges(lists),
                    None => merges(tokenizer, &files.dir)?,
                };
            }
            if let Some(normalizer) = tokenizer.get("normalizer").filter(|n| n.is_object()) {
                found.read_normalizer(normalizer);
            }
            template::read_post_processor(tokenizer, &mut config, &mut kinds, &mut found.add);
        }
        if let Some(config) = config.filter(|c| !c.is_empty()) {
            found.chat_template = files::chat_template(&files.dir, &config)?;
            found.read_tokenizer_config(&config, files, &kinds, vocab_len)?;
        }
        if let Some(config) = &files.model_config {
            for kind in &kinds {
                let key = format!("{kind}_token_id");
                let id = config.get(&key).filter(|id| !id.is_null());
                let id = id.or_else(|| config.get("text_config")?.get(&key));
                found.set(kind, id, &files.dir, vocab_len)?;
            }
        }
        if load_merges && found.merges.is_empty() {
            found.merges = files::merges_txt(&files.dir)?;
        }
        Ok(found)
    }

    /// Sets the id of a kind of token, if it has none yet.
    ///
    /// # Errors
    /// If `id` is negative or no 32-bit number.
    pub fn set(
        &mut self,
        kind: &str,
        id: Option<&Value>,
        dir: &ModelDir,
        vocab_len: Option<usize>,
    ) -> Result<()> {
        // Some configurations have lists here; the reference ignores all that is not a whole number.
        let Some(id) = id.filter(|id| id.is_int()) else { return Ok(()) };
        let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
        let number = number.ok_or_else(|| {
            Error::invalid(dir, format!("{kind}_token_id: expected a token id, found {id}"))
        })?;
        if vocab_len.is_none_or(|len| (number as usize) < len) {
            self.ids.entry(kind.to_owned()).or_insert(number);
        } else {
            tracing::warn!("{kind}_token_id {number} is not in the vocabulary, ignored");
        }
        Ok(())
    }

    /// Takes over the merges of a BPE model.
    pub fn set_merges(&mut self, lists: &BpeLists) {
        self.merges = usual_merges(lists);
    }

    /// Whether a kind of token has an id.
    pub fn has(&self, kind: &str) -> bool {
        self.ids.contains_key(kind)
    }

    /// Gives a kind of token another id.
    pub fn replace(&mut self, kind: &str, id: u32) {
        self.ids.insert(kind.to_owned(), id);
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// If the chat template has a form that cannot be written.
    pub fn write(&self, kv: &mut KeyValues, dir: &ModelDir) -> Result<()> {
        kv.set_string_list("tokenizer.ggml.merges", self.merges.clone());
        for (kind, id) in &self.ids {
            let name = match kind.as_str() {
                "bos" | "eos" | "eot" | "eom" | "mask" => kind,
                "unk" => "unknown",
                "sep" => "seperator",
                "pad" => "padding",
                // GGUF has no key for the others (cls, and CodeLlama's prefix, suffix and middle).
                _ => continue,
            };
            kv.set_u32(format!("tokenizer.ggml.{name}_token_id"), *id);
        }
        for (kind, value) in self.add.iter().filter(|(kind, _)| ["bos", "eos", "sep"].contains(*kind)) {
            kv.set_bool(format!("tokenizer.ggml.add_{kind}_token"), *value);
        }
        if let Some(template) = &self.chat_template {
            template::write_chat_template(kv, template, dir)?;
        }
        if let Some(value) = self.lowercase {
            kv.set_bool("tokenizer.ggml.normalizer.lowercase", value);
        }
        if let Some(value) = self.strip_accents {
            kv.set_bool("tokenizer.ggml.normalizer.strip_accents", value);
        }
        Ok(())
    }

    fn read_normalizer(&mut self, normalizer: &Value) {
        match normalizer.get("type").and_then(Value::as_str) {
            Some("Lowercase") => self.lowercase = Some(true),
            Some("StripAccents") => self.strip_accents = Some(true),
            Some("BertNormalizer") => {
                self.lowercase = normalizer.get("lowercase").map_or(self.lowercase, Value::as_bool);
                self.strip_accents =
                    normalizer.get("strip_accents").map_or(self.strip_accents, Value::as_bool);
            }
            Some("Sequence") => {
                let parts = normalizer.get("normalizers").and_then(Value::as_array);
                parts.into_iter().flatten().for_each(|part| self.read_normalizer(part));
            }
            _ => {}
        }
    }

    fn read_tokenizer_config(
        &mut self,
        config: &Map<String, Value>,
        files: &TokenizerFiles,
        kinds: &[String],
        vocab_len: Option<usize>,
    ) -> Result<()> {
        let added = files.tokenizer.as_ref().and_then(|t| t.get("added_tokens")).and_then(Value::as_array);
        for kind in kinds {
            if let Some(add) = config.get(&format!("add_{kind}_token")).and_then(Value::as_bool)
                && let Some(known) = ["bos", "eos", "sep"].into_iter().find(|k| k == kind)
            {
                // What the post-processor does counts for more.
                self.add.entry(known).or_insert(add);
            }
            let entry = config.get(&format!("{kind}_token"));
            let content = entry.and_then(|e| e.as_str().or_else(|| e.get("content")?.as_str()));
            let Some(content) = content else { continue };
            let token = added
                .into_iter()
                .flatten()
                .find(|t| t.get("content").and_then(Value::as_str) == Some(content));
            self.set(kind, token.and_then(|t| t.get("id")), &files.dir, vocab_len)?;
        }
        Ok(())
    }
}

/// As [`merges`].
fn usual_merges(lists: &BpeLists) -> Strings {
    let mut merges = Strings::new();
    for merge in &lists.merges {
        let (left, right) = lists.parts(*merge);
        match left.contains(' ') || right.contains(' ') {
            true => merges.push(joined(left, right).as_bytes()),
            false => merges.push_joined(&[left.as_bytes(), b" ", right.as_bytes()]),
        }
    }
    merges
}

fn joined(left: &str, right: &str) -> String {
    format!("{} {}", left.replace(' ', "\u{120}"), right.replace(' ', "\u{120}"))
}

/// `model.merges` of tokenizer.json as "left right" strings; newer files have pairs, in which a space
/// is written as byte-level BPE writes it.
fn merges(tokenizer: &Value, dir: &ModelDir) -> Result<Strings> {
    let unknown =
        || Error::invalid(dir.join("tokenizer.json"), "model.merges: expected strings or pairs of strings");
    let Some(list) = tokenizer.get("model").and_then(|m| m.get("merges")).and_then(Value::as_array) else {
        return Ok(Strings::new());
    };
    let as_strings = list.first().is_some_and(Value::is_string);
    let merge = |merge: &Value| match merge {
        Value::String(merge) if as_strings => Some(merge.clone()),
        Value::Array(pair) if !as_strings => match pair.as_slice() {
            [left, right] => Some(joined(left.as_str()?, right.as_str()?)),
            _ => None,
        },
        _ => None,
    };
    list.iter().map(|m| merge(m).ok_or_else(unknown)).collect()
}
