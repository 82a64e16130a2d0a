//! Which tokenizer class the reference ends up with (`AutoTokenizer` of transformers 5).
//!
//! It matters because some classes take only vocabulary and merges from `tokenizer.json` and put
//! their own normalizer, pre-tokenizer and special tokens around them.

use std::path::Path;

use crate::json::{Map, Value};

use super::auto_classes;
use super::files::TokenizerFiles;
use crate::error::{Error, Result};
use crate::input::quoted;

/// A tokenizer class that can be reproduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Class {
    /// Uses `tokenizer.json` as it is.
    Backend,
    /// `BertTokenizer` and `DistilBertTokenizer`.
    Bert,
    Cohere,
    Gemma,
    Gpt2,
    GptNeoX,
    Llama,
    Qwen2,
    Qwen35,
    Roberta,
    XlmRoberta,
}

/// Model types of Mistral's, whose byte-level tokenizers are loaded by other means.
const MISTRAL: [&str; 7] =
    ["ministral", "ministral3", "mistral", "mistral3", "mixtral", "pixtral", "voxtral"];

/// Model directories (by the start of their path, in lower case) whose class is ignored.
const ALWAYS_BACKEND: [&str; 2] = ["deepseek-ai/deepseek-r1-distill-llama-", "deepseek-ai/deepseek-coder-"];

impl Class {
    /// Decides as `AutoTokenizer.from_pretrained` does.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for classes that are not reproduced.
    pub fn of(files: &TokenizerFiles, model_config: &Map<String, Value>) -> Result<Self> {
        // That of the whole model, not of its text part.
        let model_config = files.model_config.as_ref().unwrap_or(model_config);
        let model_type = model_config.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let registered = auto_classes::registered(model_type);
        let in_tokenizer_config = match &files.config {
            Some(config) => declared(config, &files.dir.join("tokenizer_config.json"))?,
            None => None,
        };
        let in_model_config = declared(model_config, &files.dir.join("config.json"))?;
        let dynamic = files.config.as_ref().and_then(|c| c.get("auto_map")).is_some_and(|map| match map {
            Value::Object(map) => map.get("AutoTokenizer").is_some_and(|c| !c.is_null()),
            other => !other.is_null(),
        });
        let dir = files.dir.path().to_string_lossy().to_lowercase();
        if !dynamic && ALWAYS_BACKEND.iter().any(|start| dir.starts_with(start)) {
            return Ok(Self::Backend);
        }
        let Some(declared) = in_tokenizer_config.or(in_model_config) else {
            return Self::named(registered.unwrap_or("TokenizersBackend"), files);
        };
        let base = declared.strip_suffix("Fast").unwrap_or(declared);
        if dynamic && !Self::is_known(base) && registered.is_none() {
            let problem = format!(
                "tokenizer class {} is Python code that comes with the model; ggraft runs no such code",
                quoted(declared)
            );
            return Err(Error::unsupported(problem).at(files.dir.path()));
        }
        let wrong = auto_classes::is_wrong_on_the_hub(model_type);
        if !dynamic {
            let byte_level_llama = base == "LlamaTokenizer" && files.mentions_byte_level;
            if byte_level_llama && !wrong && !MISTRAL.contains(&model_type) {
                return Ok(Self::Backend);
            }
            if let Some(registered) = registered.filter(|registered| *registered != base) {
                return match registered {
                    "TokenizersBackend" => Ok(Self::Backend),
                    own if wrong => Self::named(own, files),
                    _ => Self::named(base, files),
                };
            }
        }
        let backend = ["TokenizersBackend", "PreTrainedTokenizer", "BloomTokenizer"];
        if in_tokenizer_config.is_none() && !Self::is_known(base) && !backend.contains(&base) {
            let problem = format!("tokenizer_class: there is no class {}", quoted(declared));
            return Err(Error::invalid(files.dir.join("config.json"), problem));
        }
        Self::named(base, files)
    }

    fn is_known(name: &str) -> bool {
        Self::reproduced(name).is_some() || auto_classes::is_not_reproduced(name)
    }

    fn reproduced(name: &str) -> Option<Self> {
        Some(match name {
            "BertTokenizer" | "DistilBertTokenizer" | "SqueezeBertTokenizer" => Self::Bert,
            "CohereTokenizer" => Self::Cohere,
            "GPT2Tokenizer" => Self::Gpt2,
            "GPTNeoXTokenizer" => Self::GptNeoX,
            "GemmaTokenizer" => Self::Gemma,
            "LlamaTokenizer" => Self::Llama,
            "Qwen2Tokenizer" => Self::Qwen2,
            "Qwen3_5Tokenizer" => Self::Qwen35,
            "RobertaTokenizer" => Self::Roberta,
            "XLMRobertaTokenizer" => Self::XlmRoberta,
            _ => return None,
        })
    }

    /// The class called `name` (without "Fast"); names that transformers does not know fall back to the backend.
    fn named(name: &str, files: &TokenizerFiles) -> Result<Self> {
        if auto_classes::is_not_reproduced(name) {
            let problem = format!("tokenizer class {name} is not supported yet");
            return Err(Error::unsupported(problem).at(files.dir.path()));
        }
        Ok(Self::reproduced(name).unwrap_or(Self::Backend))
    }
}

/// `tokenizer_class` of a configuration.
fn declared<'a>(config: &'a Map<String, Value>, path: &Path) -> Result<Option<&'a str>> {
    match config.get("tokenizer_class") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(class)) => Ok(Some(class.as_str()).filter(|class| !class.is_empty())),
        Some(_) => Err(Error::invalid(path, "tokenizer_class: expected the name of a class")),
    }
}
