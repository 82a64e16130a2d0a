//! `config.json` as the reference sees it.
//!
//! The reference does not read the file itself: it asks transformers' `AutoConfig`, which fills in
//! defaults, renames keys and rewrites rope settings, and falls back to the bare JSON where that fails.
//! `auto` repeats it. Knows nothing of GGUF or tensors.

mod adapter;
mod auto;
mod class;
mod classes;
mod derive;
mod generated;
mod getters;
mod layers;
mod params;
mod per_layer;
mod projector;
mod rope;
mod stranger;
mod validate;
mod values;

pub use adapter::AdapterConfig;
pub(crate) use auto::{has_class, lost_size};
pub use getters::Counts;
pub(crate) use values::truthy;

use std::path::{Path, PathBuf};

use crate::json::{self, Map, Memory, Value};

use crate::error::{Error, Result};
use crate::input;
use crate::source::ModelDir;

/// Hyperparameters, with getters that check what they return (`getters`).
#[derive(Clone, Debug)]
pub struct Config {
    path: PathBuf,
    /// Prefix of key names in messages, for a section inside the file.
    within: &'static str,
    map: Map<String, Value>,
    /// The file's content, for [`Config::bare`].
    json: Map<String, Value>,
    /// What the reference would call the model; checked when asked for.
    architecture: Option<Value>,
    origin: Option<Value>,
    /// A `model_type` that transformers has a class for and this program does not.
    unknown_class: Option<String>,
}

/// Sections that hold the text model's settings under another name than `text_config`.
const TEXT_CONFIG_NAMES: [&str; 4] = ["llm_config", "lm_config", "language_config", "lfm"];

/// Architectures that win over the one named in `text_config`.
const WHOLE_MODEL_ARCHITECTURES: [&str; 5] = [
    "StepVLForConditionalGeneration",
    "Sarashina2VisionForCausalLM",
    "Exaone4_5_ForConditionalGeneration",
    "Step3p7ForConditionalGeneration",
    "KimiK3ForConditionalGeneration",
];

impl Config {
    /// Reads `config.json` in `dir`.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a JSON object.
    pub fn load(dir: &ModelDir) -> Result<Self> {
        let path = dir.join("config.json");
        match read_json(dir, "config.json")? {
            Value::Object(map) => Self::from_json(path, map),
            other => Err(Error::invalid(&path, format!("expected a JSON object, found {}", shown(&other)))),
        }
    }

    /// Interprets the JSON object read from `path`.
    ///
    /// # Errors
    /// If sections that must be objects are something else.
    pub fn from_json(path: PathBuf, json: Map<String, Value>) -> Result<Self> {
        let (map, unknown_class) = match auto::from_pretrained(&path, &json) {
            auto::Outcome::Class(map) => (map, None),
            auto::Outcome::Unknown(model_type) => (json.clone(), Some(model_type)),
            auto::Outcome::Refused(reason) => {
                tracing::warn!("{}: {reason}; missing keys get no default values", path.display());
                (json.clone(), None)
            }
        };
        Self::from_map(path, map, json, unknown_class)
    }

    /// The file as it is, without the defaults of its class: what the reference reads for models whose class
    /// in transformers does not fit.
    ///
    /// # Errors
    /// As [`Config::from_json`].
    pub fn bare(&self) -> Result<Self> {
        Self::from_map(self.path.clone(), self.json.clone(), self.json.clone(), None)
    }

    fn from_map(
        path: PathBuf,
        mut map: Map<String, Value>,
        json: Map<String, Value>,
        unknown_class: Option<String>,
    ) -> Result<Self> {
        for name in TEXT_CONFIG_NAMES {
            if let Some(section) = map.get(name).cloned() {
                map.insert("text_config".into(), section);
            }
        }
        if let Some(section) = map.get("thinker_config").and_then(|t| t.get("text_config")).cloned() {
            map.insert("text_config".into(), section);
        }
        let origin = map.get("architectures").and_then(Value::first).cloned();
        let architecture = architecture(&map);
        match map.get("text_config").cloned() {
            None => {}
            Some(Value::Object(section)) => map.extend(section),
            Some(other) => {
                let problem = format!("text_config: expected an object, found {}", shown(&other));
                return Err(Error::invalid(path, problem));
            }
        }
        Ok(Self { path, within: "", map, json, architecture, origin, unknown_class })
    }

    /// The architecture to convert as: the text model's own if it names one, else the model's.
    ///
    /// # Errors
    /// If there is none.
    pub fn architecture(&self) -> Result<&str> {
        match &self.architecture {
            Some(Value::String(name)) => Ok(name),
            other => {
                let found = other.as_ref().map_or_else(|| "nothing".to_owned(), shown);
                Err(self.invalid(format!("architectures: expected a list of class names, found {found}")))
            }
        }
    }

    /// The first entry of the model's own `architectures`, which for a wrapped text model differs
    /// from [`Config::architecture`].
    pub fn origin_architecture(&self) -> Option<&str> {
        self.origin.as_ref().and_then(Value::as_str)
    }

    /// Every key and value.
    pub fn map(&self) -> &Map<String, Value> {
        &self.map
    }

    /// Whether the file itself has the integer `number`, under whatever key: no default value of its class.
    pub fn has_number(&self, number: u64) -> bool {
        fn has(value: &Value, number: u64) -> bool {
            match value {
                Value::Object(map) => map.values().any(|value| has(value, number)),
                other => other.as_u64() == Some(number),
            }
        }
        self.json.values().any(|value| has(value, number))
    }

    /// Fails if the defaults of this `model_type` are not known here, so that missing keys would be
    /// taken for absent ones.
    ///
    /// # Errors
    /// [`Error::Unsupported`] naming the model type.
    pub fn require_known_class(&self) -> Result<()> {
        self.unknown_class.as_ref().map_or(Ok(()), |model_type| {
            Err(self.unsupported(format!("model_type {} is not supported yet", input::quoted(model_type))))
        })
    }

    /// An error about this file.
    pub fn invalid(&self, problem: impl Into<String>) -> Error {
        Error::invalid(&self.path, problem)
    }

    /// An error about something in this file that cannot be converted.
    pub fn unsupported(&self, problem: impl Into<String>) -> Error {
        Error::unsupported(problem).at(&self.path)
    }

    /// The same with another value for `key`.
    #[must_use]
    pub fn replaced(&self, key: &str, value: impl Into<Value>) -> Self {
        let mut config = self.clone();
        config.map.insert(key.into(), value.into());
        config
    }

    /// Sets `key`, whatever it was.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.map.insert(key.into(), value.into());
    }

    /// Rope settings, with settings kept elsewhere in the file mirrored into them as the reference does.
    ///
    /// # Errors
    /// If they are not an object.
    pub fn rope(&self) -> Result<Self> {
        let section = rope::mirrored(&self.map)
            .map_err(|found| self.mismatch("rope_parameters/rope_scaling", "an object", found))?;
        Ok(self.with("rope_parameters.", section))
    }

    fn with(&self, within: &'static str, map: Map<String, Value>) -> Self {
        Self::plain(self.path.clone(), within, map)
    }

    /// Settings that are no model's, or not all of it.
    fn plain(path: PathBuf, within: &'static str, map: Map<String, Value>) -> Self {
        let json = Map::new();
        Self { path, within, map, json, architecture: None, origin: None, unknown_class: None }
    }
}

/// Reads the small JSON file `name` of the model in `dir`.
///
/// # Errors
/// If it is missing, cannot be read, is not JSON, or is too large for what it should hold.
pub(crate) fn read_json(dir: &ModelDir, name: impl AsRef<Path>) -> Result<Value> {
    const LARGEST: u64 = 4 << 20;
    const LARGEST_TREE: usize = 16 << 20;
    let path = &dir.join(&name);
    let Some(text) = dir.read_if_there(&name, LARGEST)? else {
        return match name.as_ref() == Path::new("config.json") {
            true => stranger::explain(dir),
            false => Err(Error::invalid(path, "no such file")),
        };
    };
    json::parse_within(&text, Memory::new(LARGEST_TREE)).map_err(|e| Error::invalid(path, e.to_string()))
}

/// A value for use in a message: short, and on one line.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What the reference takes for the model's class: `text_config` first, then the model itself.
fn architecture(map: &Map<String, Value>) -> Option<Value> {
    let first = |value: Option<&Value>| value.and_then(Value::first).cloned();
    let own = first(map.get("architectures")).or_else(|| {
        let layer = map.get("ssm_cfg")?.get("layer").map_or(Some("Mamba"), Value::as_str)?;
        Some(format!("{layer}ForCausalLM").into())
    });
    if own.as_ref().and_then(Value::as_str).is_some_and(|a| WHOLE_MODEL_ARCHITECTURES.contains(&a)) {
        return own;
    }
    match map.get("text_config").and_then(|t| t.get("architectures")) {
        None | Some(Value::Null) => own,
        text => first(text),
    }
}
