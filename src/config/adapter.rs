//! `adapter_config.json`, as PEFT writes it beside the weights of an adapter.
//!
//! Knows nothing of tensors. What of it the reference's `convert_lora_to_gguf.py` reads is `lora_alpha`,
//! `base_model_name_or_path`, `alora_invocation_tokens` and `invocation_string`; the rest decides how PEFT scales.

use super::{Config, read_json, shown};
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::json::{Map, Value};
use crate::source::ModelDir;

const FILE: &str = "adapter_config.json";

/// How an adapter is to be applied.
#[derive(Clone, Debug)]
pub struct AdapterConfig {
    config: Config,
    /// What the product of two factors is multiplied with, times the rank.
    pub alpha: f64,
}

impl AdapterConfig {
    /// Reads that of the adapter in `dir`.
    ///
    /// # Errors
    /// If there is none, it is no JSON object, has no usable `lora_alpha`, or is for other than low-rank factors.
    pub fn load(dir: &ModelDir) -> Result<Self> {
        let path = dir.join(FILE);
        if !dir.exists(FILE)? {
            let error = Error::invalid(dir.path(), format!("there is no {FILE}: not an adapter's directory"));
            return Err(match dir.exists("config.json")? {
                true => {
                    error.hint("this is a model: name the adapter's directory, and the model with --base")
                }
                false => error.hint("name the directory that PEFT's save_pretrained has written"),
            });
        }
        let config = match read_json(dir, FILE)? {
            Value::Object(map) => Config::plain(path, "", map),
            other => {
                return Err(Error::invalid(path, format!("expected a JSON object, found {}", shown(&other))));
            }
        };
        if let Some(kind) = config.str(&["peft_type"])?.filter(|kind| !kind.eq_ignore_ascii_case("LORA")) {
            let problem = format!("peft_type is {}, and only LORA adapters can be converted", quoted(kind));
            return Err(config.unsupported(problem));
        }
        let alpha = config.require_f64(&["lora_alpha"])?;
        #[allow(clippy::cast_possible_truncation, reason = "that is what is asked")]
        if !(alpha as f32).is_finite() {
            return Err(config.invalid(format!("lora_alpha: expected a finite 32-bit float, found {alpha}")));
        }
        Ok(Self { config, alpha })
    }

    /// What it says it adapts: a path, or the id of a repository.
    ///
    /// # Errors
    /// If that is no text.
    pub fn base(&self) -> Result<Option<&str>> {
        Ok(self.config.str(&["base_model_name_or_path"])?.filter(|base| !base.is_empty()))
    }

    /// The tokens after which an "activated" adapter begins to work.
    ///
    /// # Errors
    /// If they are no list of token ids.
    pub fn invocation_tokens(&self) -> Result<Vec<u32>> {
        const KEY: &str = "alora_invocation_tokens";
        let Some((_, value)) = self.config.get(&[KEY]).filter(|(_, value)| value.is_truthy()) else {
            return Ok(Vec::new());
        };
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids = value.as_array().and_then(|items| items.iter().map(id).collect());
        ids.ok_or_else(|| {
            self.config.invalid(format!("{KEY}: expected a list of token ids, found {}", shown(value)))
        })
    }

    /// The text that stands for these tokens in adapters that were saved without.
    ///
    /// # Errors
    /// If that is no text.
    pub fn invocation_text(&self) -> Result<Option<&str>> {
        Ok(self.config.str(&["invocation_string"])?.filter(|text| !text.is_empty()))
    }

    /// Whether the scale is alpha over the square root of the rank.
    ///
    /// # Errors
    /// If that is neither true nor false.
    pub fn by_root_of_rank(&self) -> Result<bool> {
        Ok(self.config.bool(&["use_rslora"])?.unwrap_or(false))
    }

    /// Whether the layers it is for have their inputs as rows.
    ///
    /// # Errors
    /// If that is neither true nor false.
    pub fn inputs_are_rows(&self) -> Result<bool> {
        Ok(self.config.bool(&["fan_in_fan_out"])?.unwrap_or(false))
    }

    /// Exceptions from `r` or `lora_alpha`, by a part of the name of what they are for.
    ///
    /// # Errors
    /// If they are no object.
    pub fn exceptions(&self, key: &'static str) -> Result<Map<String, Value>> {
        Ok(self.config.optional_section(key)?.map().clone())
    }

    /// The settings themselves.
    pub fn settings(&self) -> &Config {
        &self.config
    }
}
