//! The `general.*` metadata of a GGUF: name, version, size, licence, base models, sampling defaults.
//!
//! It is collected as `convert_hf_to_gguf.py` does (gguf-py's `metadata.py`), from the model card, the
//! configuration files, an override file and the model's name, in that order, and is wrong wherever
//! that is. Knows nothing of tensors or architectures: parameter counts are given.
//!
//! Values keep the types they were found with until they are written, since the reference chooses by
//! type, and a value that is overridden may be anything.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::json::{self, JsonError};
use crate::source::{ModelDir, look};

mod card;
mod filename;
mod model_id;
mod object;
mod python;
mod size_label;
mod write;
mod yaml;
mod yaml_scalar;

pub use filename::fill_file_name_template;
pub use size_label::ParameterCount;

use object::{Map, Object};

/// Longest model card, in bytes; some have pictures in them.
const MAX_CARD: u64 = 16 << 20;
/// Longest JSON file, in bytes. They are a few kilobytes, and a value takes up to 40 times its text.
const MAX_JSON: u64 = 4 << 20;

/// What metadata is made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The model directory, whose [name](ModelDir::name) is a source of metadata.
    pub dir: &'a ModelDir,
    /// A JSON file whose keys (`general.author`) override what was found. Ignored if it does not exist.
    pub metadata_override: Option<&'a Path>,
    /// A name that overrides all others.
    pub model_name: Option<&'a str>,
    /// Parameter counts; all zero for a vocabulary.
    pub params: ParameterCount,
}

/// Collected metadata. [`write`](Metadata::write) makes key-values of it.
#[derive(Clone, Debug)]
pub struct Metadata {
    dir: ModelDir,
    override_path: Option<PathBuf>,
    of_adapter: bool,
    /// By GGUF key, or the override file's name for what becomes several keys. Never null.
    fields: HashMap<&'static str, (Object, Source)>,
}

/// Where a value is from, for messages.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Directory,
    Card,
    Config,
    GenerationConfig,
    Override,
}

/// GGUF key ← keys of `generation_config.json`, the first of which that is there wins.
const SAMPLING: [(&str, &[&str]); 12] = [
    ("general.sampling.sequence", &["sequence"]),
    ("general.sampling.top_k", &["top_k"]),
    ("general.sampling.top_p", &["top_p"]),
    ("general.sampling.min_p", &["min_p"]),
    ("general.sampling.xtc_probability", &["xtc_probability"]),
    ("general.sampling.xtc_threshold", &["xtc_threshold"]),
    ("general.sampling.temp", &["temperature"]),
    ("general.sampling.penalty_last_n", &["penalty_last_n"]),
    ("general.sampling.penalty_repeat", &["penalty_repeat", "repetition_penalty"]),
    ("general.sampling.mirostat", &["mirostat"]),
    ("general.sampling.mirostat_tau", &["mirostat_tau"]),
    ("general.sampling.mirostat_eta", &["mirostat_eta"]),
];

impl Metadata {
    /// Collects metadata.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for files that are not UTF-8, YAML or JSON, or hold values that make the
    /// reference stop; a `generation_config.json` that is not JSON is ignored. [`Error::Io`] if a file that
    /// is there cannot be read.
    pub fn load(inputs: &Inputs) -> Result<Self> {
        let params = &inputs.params;
        let mut metadata = Self {
            dir: inputs.dir.clone(),
            override_path: inputs.metadata_override.map(Path::to_owned),
            of_adapter: params.of_adapter,
            fields: HashMap::new(),
        };

        let path = metadata.path(Source::Card);
        if let Some(text) = metadata.read_text(Source::Card, MAX_CARD)? {
            let problem =
                |problem| Error::invalid(&path, format!("the front matter is not valid YAML: {problem}"));
            let front_matter = card::front_matter(&text).map_err(problem)?;
            card::apply(&mut metadata, &front_matter, params);
        }
        if let Some(config) = metadata.read_map(Source::Config)? {
            metadata.apply_config(&config, params)?;
        }
        let dir_name = inputs.dir.name()?;
        metadata.apply_id(&dir_name, params, Source::Directory);
        if let Some(generation) = metadata.read_map(Source::GenerationConfig)? {
            for (key, names) in SAMPLING {
                if let Some(value) = names.iter().find_map(|name| generation.entries.get(*name)) {
                    metadata.set(key, value.clone(), Source::GenerationConfig);
                }
            }
        }
        if let Some(mut overrides) = metadata.read_map(Source::Override)? {
            // The licence itself cannot be overridden, only its name and link.
            let single = write::KEYS.iter().map(|(key, _)| *key).filter(|key| *key != "general.license");
            for key in single.chain(write::ORIGINS.map(|(key, _)| key)).chain(write::LISTS) {
                if let Some(value) = overrides.entries.swap_remove(key) {
                    metadata.set(key, value, Source::Override);
                }
            }
        }
        if let Some(name) = inputs.model_name {
            metadata.set("general.name", name.into(), Source::Directory);
        }
        metadata.set_default("general.name", dir_name.into(), Source::Directory);
        if params.total > 0 && !params.of_adapter {
            let label = size_label::size_label(params);
            metadata.set_default("general.size_label", label.into(), Source::Directory);
        }
        Ok(metadata)
    }

    /// Whether it is of an adapter with factors.
    pub fn is_of_adapter(&self) -> bool {
        self.of_adapter
    }

    /// Says that an adapter called `name` was merged into the model.
    pub fn merged(&mut self, name: &str) {
        let finetune = match self.get("general.finetune") {
            Some(Object::Text(before)) => format!("{before}-{name}"),
            _ => name.to_owned(),
        };
        self.set("general.finetune", finetune.into(), Source::Directory);
    }

    fn get(&self, key: &str) -> Option<&Object> {
        self.fields.get(key).map(|(value, _)| value)
    }

    /// Sets `key`; null removes it.
    fn set(&mut self, key: &'static str, value: Object, source: Source) {
        match value {
            Object::Null => drop(self.fields.remove(key)),
            value => drop(self.fields.insert(key, (value, source))),
        }
    }

    fn set_default(&mut self, key: &'static str, value: Object, source: Source) {
        self.fields.entry(key).or_insert((value, source));
    }

    /// `_name_or_path` of `config.json` is a model's id, unless it is a path with several directories.
    fn apply_config(&mut self, config: &Map, params: &ParameterCount) -> Result<()> {
        match config.get("_name_or_path") {
            None => {}
            Some(Object::Text(id)) if id.matches('/').count() > 1 => {}
            Some(Object::Text(id)) => self.apply_id(id, params, Source::Config),
            Some(other) => {
                let problem = format!("expected text for \"_name_or_path\", found {}", other.kind());
                return Err(Error::invalid(self.path(Source::Config), problem));
            }
        }
        Ok(())
    }

    /// Takes over what `id` says and is not known yet.
    fn apply_id(&mut self, id: &str, params: &ParameterCount, source: Source) {
        let parts = model_id::parse(id, params);
        let name = Some(model_id::to_title(&parts.name));
        let organization = parts.organization.as_deref().map(model_id::to_title);
        for (key, value) in [
            ("general.name", name),
            ("general.organization", organization),
            ("general.basename", parts.basename),
            ("general.finetune", parts.finetune),
            ("general.version", parts.version),
            ("general.size_label", parts.size_label),
        ] {
            if let Some(value) = value {
                self.set_default(key, value.into(), source);
            }
        }
    }

    fn path(&self, source: Source) -> PathBuf {
        match source {
            Source::Directory => self.dir.path().to_owned(),
            Source::Card => self.dir.join("README.md"),
            Source::Config => self.dir.join("config.json"),
            Source::GenerationConfig => self.dir.join("generation_config.json"),
            Source::Override => self.override_path.clone().unwrap_or_default(),
        }
    }

    /// The error for a value of `key` that is not what was `expected`.
    fn wrong(&self, key: &'static str, expected: &str, found: &Object) -> Error {
        let source = self.fields.get(key).map_or(Source::Directory, |(_, source)| *source);
        let advice =
            if source == Source::Card { " (text that looks like something else needs quotes)" } else { "" };
        let problem = format!("{key}: expected {expected}, found {}{advice}", found.kind());
        Error::invalid(self.path(source), problem)
    }

    /// The text of the file that `source` is, if it is there.
    fn read_text(&self, source: Source, max_len: u64) -> Result<Option<String>> {
        let path = self.path(source);
        let bytes = match (source, path.strip_prefix(&self.dir)) {
            (Source::Override, _) if look(&path)?.is_none() => None,
            (Source::Override, _) | (_, Err(_)) => Some(self.dir.file_elsewhere(&path)?.read_all(max_len)?),
            (_, Ok(name)) => self.dir.read_if_there(name, max_len)?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            Error::invalid(path, format!("expected UTF-8 text, found something else at byte {at}"))
        })
    }

    /// The mapping in a JSON file; `None` if there is no file, or nothing in it that matters.
    fn read_map(&self, source: Source) -> Result<Option<Map>> {
        if source == Source::Override && self.override_path.is_none() {
            return Ok(None);
        }
        let path = self.path(source);
        let Some(text) = self.read_text(source, MAX_JSON)? else {
            return match source {
                Source::Override => {
                    Err(Error::usage(format!("--metadata: there is no file {}", path.display())).about(path))
                }
                _ => Ok(None),
            };
        };
        match json::parse(text.as_bytes()).map(Object::from) {
            Ok(Object::Map(map)) => Ok(Some(map)),
            Ok(Object::Null) if source == Source::Config => Ok(None),
            Ok(value) if source == Source::GenerationConfig && !value.is_truthy() => Ok(None),
            Ok(value) => {
                Err(Error::invalid(&path, format!("expected a JSON object, found {}", value.kind())))
            }
            // Some models have an invalid file there.
            Err(JsonError::Syntax(problem)) if source == Source::GenerationConfig => {
                tracing::warn!("{}: {problem}: ignored", path.display());
                Ok(None)
            }
            Err(error) => Err(Error::invalid(&path, error.to_string())),
        }
    }
}
