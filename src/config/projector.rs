//! The configuration of a whole model as its projector is made from it: sections stay apart, and so do the settings
//! of the text model (`MmprojModel` of the reference).

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::json::Value;
use crate::source::ModelDir;

use super::{Config, TEXT_CONFIG_NAMES, auto, read_json, shown};

impl Config {
    /// Reads `config.json` in `dir`, with the defaults of its class and of those of its sections.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a JSON object.
    pub fn load_whole(dir: &ModelDir) -> Result<Self> {
        let path = dir.join("config.json");
        let json = match read_json(dir, "config.json")? {
            Value::Object(map) => map,
            other => {
                let problem = format!("expected a JSON object, found {}", shown(&other));
                return Err(Error::invalid(&path, problem));
            }
        };
        let (mut map, unknown_class) = match auto::from_pretrained(&path, &json) {
            auto::Outcome::Class(map) => {
                let unknown = auto::unknown_part(&map).map(str::to_owned);
                (map, unknown)
            }
            auto::Outcome::Unknown(model_type) => (json.clone(), Some(model_type)),
            auto::Outcome::Refused(reason) => {
                tracing::warn!("{}: {reason}; missing keys get no default values", path.display());
                (json.clone(), None)
            }
        };
        let thinker = map.get("thinker_config").and_then(|thinker| thinker.get("text_config")).cloned();
        let renamed = TEXT_CONFIG_NAMES.iter().filter_map(|name| map.get(*name).cloned());
        if let Some(section) = renamed.chain(thinker).last() {
            map.insert("text_config".into(), section);
        }
        let first = |value: Option<&Value>| value.and_then(Value::first).cloned();
        let of_vision = map.get("vision_config").and_then(|vision| vision.get("architectures"));
        let architecture = match of_vision {
            None | Some(Value::Null) => first(map.get("architectures")),
            named => first(named),
        };
        let origin = first(map.get("architectures"));
        Ok(Self { path, within: "", map, json, architecture, origin, unknown_class })
    }

    /// Reads `params.json` in `dir` as it is.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a JSON object.
    pub fn load_whole_params(dir: &ModelDir) -> Result<Self> {
        let path = dir.join("params.json");
        match read_json(dir, "params.json")? {
            Value::Object(map) => {
                let (json, architecture, origin, unknown_class) = (map.clone(), None, None, None);
                Ok(Self { path, within: "", map, json, architecture, origin, unknown_class })
            }
            other => Err(Error::invalid(&path, format!("expected a JSON object, found {}", shown(&other)))),
        }
    }

    /// The same with the settings of the section `key` in place of its own, where there is one.
    ///
    /// # Errors
    /// If it is no object.
    pub fn with_section(&self, key: &'static str) -> Result<Self> {
        let mut config = self.clone();
        config.map.extend(self.section(key)?.map);
        Ok(config)
    }

    /// What `preprocessor_config.json` and `processor_config.json` in `dir` say of images: the second wins, and in
    /// each of them what a section for media says. Empty where there is neither.
    ///
    /// # Errors
    /// If a file is there and is not what it should be.
    pub fn load_preprocessor(dir: &ModelDir) -> Result<Self> {
        let mut all = Self::empty(dir.join("preprocessor_config.json"));
        for (name, part) in
            [("preprocessor_config.json", "media_proc_cfg"), ("processor_config.json", "image_processor")]
        {
            if !dir.exists(name)? {
                continue;
            }
            all.path = dir.join(name);
            let Value::Object(mut map) = read_json(dir, name)? else {
                return Err(all.invalid("expected a JSON object"));
            };
            match map.get(part).cloned() {
                None => {}
                Some(Value::Object(section)) => map.extend(section),
                Some(other) => return Err(all.mismatch(part, "an object", &other)),
            }
            all.map.extend(map);
        }
        Ok(all)
    }

    fn empty(path: PathBuf) -> Self {
        let (map, json) = Default::default();
        Self { path, within: "", map, json, architecture: None, origin: None, unknown_class: None }
    }

    /// A list of numbers under `key`, unless it is missing or null.
    ///
    /// # Errors
    /// If the value is anything else.
    pub fn numbers(&self, key: &str) -> Result<Option<Vec<Value>>> {
        let Some((_, value)) = self.get(&[key]) else { return Ok(None) };
        let number = |item: &Value| matches!(item, Value::Int(_) | Value::Float(_));
        match value {
            Value::Array(items) if items.iter().all(number) => Ok(Some(items.clone())),
            other => Err(self.mismatch(key, "a list of numbers", other)),
        }
    }

    /// A list of unsigned integers under `key`, unless it is missing or null.
    ///
    /// # Errors
    /// If the value is anything else.
    pub fn u32s(&self, key: &str) -> Result<Option<Vec<u32>>> {
        let Some((_, value)) = self.get(&[key]) else { return Ok(None) };
        let items = value.as_array().map(|items| items.iter().map(super::values::u32).collect());
        match items {
            Some(Some(items)) => Ok(Some(items)),
            _ => Err(self.mismatch(key, "a list of unsigned integers", value)),
        }
    }
}
