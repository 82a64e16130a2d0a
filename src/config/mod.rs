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
mod layers;
mod params;
mod per_layer;
mod projector;
mod rope;
mod stranger;
mod validate;
mod values;

pub use adapter::AdapterConfig;
pub(crate) use auto::lost_size;
pub(crate) use values::truthy;

use std::path::{Path, PathBuf};

use crate::json::{self, Map, Memory, Value};

use crate::error::{Error, Result};
use crate::input;
use crate::source::ModelDir;

/// Hyperparameters, with getters that check what they return.
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

    /// The first of `keys` that is there, unless its value is null. A null hides later keys.
    pub fn get<'k>(&self, keys: &[&'k str]) -> Option<(&'k str, &Value)> {
        let (key, value) = keys.iter().find_map(|key| Some((*key, self.map.get(*key)?)))?;
        (!value.is_null()).then_some((key, value))
    }

    /// An unsigned 32-bit integer under the first of `keys` that is there.
    ///
    /// # Errors
    /// If the value is no integer or out of range. Booleans are integers, as in Python.
    pub fn u32(&self, keys: &[&str]) -> Result<Option<u32>> {
        self.get(keys)
            .map(|(key, value)| values::u32(value).ok_or_else(|| self.mismatch(key, U32, value)))
            .transpose()
    }

    /// [`Config::u32`] of a key that must be there.
    ///
    /// # Errors
    /// Also if it is missing or null.
    pub fn require_u32(&self, keys: &[&str]) -> Result<u32> {
        self.u32(keys)?.ok_or_else(|| self.missing(keys, U32))
    }

    /// One unsigned 32-bit integer, or a list of signed ones.
    ///
    /// # Errors
    /// If the value is neither.
    pub fn u32_or_list(&self, keys: &[&str]) -> Result<Option<Counts>> {
        let Some((key, value)) = self.get(keys) else {
            return Ok(None);
        };
        let counts = match value {
            Value::Array(items) => {
                items.iter().map(values::i32).collect::<Option<Vec<_>>>().map(Counts::Each)
            }
            _ => values::u32(value).map(Counts::One),
        };
        counts
            .map(Some)
            .ok_or_else(|| self.mismatch(key, "an unsigned 32-bit integer or a list of integers", value))
    }

    /// A number under the first of `keys` that is there.
    ///
    /// # Errors
    /// If the value is not a number.
    pub fn f64(&self, keys: &[&str]) -> Result<Option<f64>> {
        self.get(keys)
            .map(|(key, value)| values::number(value).ok_or_else(|| self.mismatch(key, "a number", value)))
            .transpose()
    }

    /// A number under the first of `keys` that is there, rounded to 32 bits.
    ///
    /// # Errors
    /// If the value is not a number, or a finite one that is too large.
    pub fn f32(&self, keys: &[&str]) -> Result<Option<f32>> {
        let Some(number) = self.f64(keys)? else {
            return Ok(None);
        };
        #[allow(clippy::cast_possible_truncation)]
        let rounded = number as f32;
        if rounded.is_finite() || !number.is_finite() {
            return Ok(Some(rounded));
        }
        Err(self.invalid(format!("{}: {number} does not fit 32-bit floats", self.place(&keys.join("/")))))
    }

    /// [`Config::f64`] of a key that must be there.
    ///
    /// # Errors
    /// Also if it is missing or null.
    pub fn require_f64(&self, keys: &[&str]) -> Result<f64> {
        self.f64(keys)?.ok_or_else(|| self.missing(keys, "a number"))
    }

    /// [`Config::f32`] of a key that must be there.
    ///
    /// # Errors
    /// Also if it is missing or null.
    pub fn require_f32(&self, keys: &[&str]) -> Result<f32> {
        self.f32(keys)?.ok_or_else(|| self.missing(keys, "a number"))
    }

    /// The list of strings under `key`, unless that is missing or null.
    ///
    /// # Errors
    /// If the value is anything else.
    pub fn strings(&self, key: &str) -> Result<Option<Vec<&str>>> {
        let Some((_, value)) = self.get(&[key]) else { return Ok(None) };
        let strings = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
        strings.map(Some).ok_or_else(|| self.mismatch(key, "a list of strings", value))
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

    /// A string under the first of `keys` that is there.
    ///
    /// # Errors
    /// If the value is not a string.
    pub fn str(&self, keys: &[&str]) -> Result<Option<&str>> {
        self.get(keys)
            .map(|(key, value)| value.as_str().ok_or_else(|| self.mismatch(key, "a string", value)))
            .transpose()
    }

    /// A boolean under the first of `keys` that is there.
    ///
    /// # Errors
    /// If the value is not a boolean.
    pub fn bool(&self, keys: &[&str]) -> Result<Option<bool>> {
        self.get(keys)
            .map(|(key, value)| value.as_bool().ok_or_else(|| self.mismatch(key, "a boolean", value)))
            .transpose()
    }

    /// The object under `key`, or an empty one where the key is missing.
    ///
    /// # Errors
    /// If the value is not an object.
    pub fn section(&self, key: &'static str) -> Result<Self> {
        match self.map.get(key) {
            None => Ok(self.with(key, Map::new())),
            Some(Value::Object(map)) => Ok(self.with(key, map.clone())),
            Some(other) => Err(self.mismatch(key, "an object", other)),
        }
    }

    /// [`Config::section`], also empty where the value is null.
    ///
    /// # Errors
    /// If the value is anything but an object or null.
    pub fn optional_section(&self, key: &'static str) -> Result<Self> {
        if self.get(&[key]).is_some() { self.section(key) } else { Ok(self.with(key, Map::new())) }
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

    fn mismatch(&self, key: &str, expected: &str, found: &Value) -> Error {
        self.invalid(format!("{}: expected {expected}, found {}", self.place(key), shown(found)))
    }

    /// Where `key` is, for messages.
    fn place(&self, key: &str) -> String {
        let dot = if self.within.is_empty() || self.within.ends_with('.') { "" } else { "." };
        format!("{}{dot}{key}", self.within)
    }

    fn missing(&self, keys: &[&str], expected: &str) -> Error {
        self.invalid(format!("{}: expected {expected}, found nothing", self.place(&keys.join("/"))))
    }
}

/// A setting that is the same for all layers, or given for each.
#[derive(Clone, Debug, PartialEq)]
pub enum Counts {
    /// For all layers.
    One(u32),
    /// Layer by layer.
    Each(Vec<i32>),
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

const U32: &str = "an unsigned 32-bit integer";

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
