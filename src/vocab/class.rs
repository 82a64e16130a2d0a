//! Which tokenizer class the reference ends up with (`AutoTokenizer` of transformers 5).
//!
//! It matters because some classes take only vocabulary and merges from `tokenizer.json` and put
//! their own normalizer, pre-tokenizer and special tokens around them.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::files::TokenizerFiles;
use crate::error::{Error, Result};
use crate::input::quoted;

/// A tokenizer class that can be reproduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Uses `tokenizer.json` as it is.
    Backend,
    /// `GPT2Tokenizer`.
    Gpt2,
    /// `LlamaTokenizer`.
    Llama,
    /// `Qwen2Tokenizer`.
    Qwen2,
}

/// Classes of transformers 5.23 with a construction of their own that is not reproduced here.
#[rustfmt::skip]
const OTHERS: &[&str] = &[
    "AlbertTokenizer", "BartTokenizer", "BarthezTokenizer", "BartphoTokenizer", "BertGenerationTokenizer",
    "BertJapaneseTokenizer", "BertTokenizer", "BertweetTokenizer", "BigBirdTokenizer", "BioGptTokenizer",
    "BlenderbotSmallTokenizer", "BlenderbotTokenizer", "ByT5Tokenizer", "CLIPTokenizer", "CTRLTokenizer",
    "CamembertTokenizer", "CanineTokenizer", "ClvpTokenizer", "CodeLlamaTokenizer", "CohereTokenizer",
    "CpmAntTokenizer", "CpmTokenizer", "DPRQuestionEncoderTokenizer", "DebertaTokenizer",
    "DebertaV2Tokenizer", "DiaTokenizer", "EsmTokenizer", "EsmcTokenizer", "FNetTokenizer", "FSMTTokenizer",
    "FastSpeech2ConformerTokenizer", "FlaubertTokenizer", "FunnelTokenizer", "GPTNeoXJapaneseTokenizer",
    "GPTNeoXTokenizer", "GPTSw3Tokenizer", "GemmaTokenizer", "HerbertTokenizer", "LEDTokenizer",
    "LasrTokenizer", "LayoutLMv2Tokenizer", "LayoutLMv3Tokenizer", "LayoutXLMTokenizer", "LukeTokenizer",
    "LxmertTokenizer", "M2M100Tokenizer", "MBart50Tokenizer", "MBartTokenizer", "MLukeTokenizer",
    "MPNetTokenizer", "MarianTokenizer", "MarkupLMTokenizer", "MgpstrTokenizer", "MobileBertTokenizer",
    "MvpTokenizer", "MyT5Tokenizer", "NllbTokenizer", "NougatTokenizer", "OpenAIGPTTokenizer",
    "PLBartTokenizer", "ParakeetTokenizer", "PegasusTokenizer", "PerceiverTokenizer", "PhobertTokenizer",
    "ProphetNetTokenizer", "RagTokenizer", "ReformerTokenizer", "RemBertTokenizer",
    "RoCBertTokenizer", "RoFormerTokenizer", "RobertaTokenizer", "SeamlessM4TTokenizer", "Siglip2Tokenizer",
    "SiglipTokenizer", "Speech2TextTokenizer", "SpeechT5Tokenizer", "SplinterTokenizer", "T5Tokenizer",
    "TapasTokenizer", "Tipsv2Tokenizer", "UdopTokenizer", "VideoPrismTokenizer", "VitsTokenizer",
    "Wav2Vec2CTCTokenizer", "Wav2Vec2PhonemeCTCTokenizer", "WhisperTokenizer", "XGLMTokenizer",
    "XLMRobertaTokenizer", "XLMTokenizer", "XLNetTokenizer",
];

/// Model types whose `tokenizer_class` is known to be wrong; their own class is used instead.
/// Only those that this program converts.
const WRONG_ON_THE_HUB: [&str; 2] = ["qwen2", "iquestcoder"];

/// Model directories (by the start of their path, in lower case) whose class is ignored.
const ALWAYS_BACKEND: [&str; 2] = ["deepseek-ai/deepseek-r1-distill-llama-", "deepseek-ai/deepseek-coder-"];

impl Class {
    /// Decides as `AutoTokenizer.from_pretrained` does.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for classes that are not reproduced.
    pub fn of(files: &TokenizerFiles, model_config: &Map<String, Value>) -> Result<Self> {
        let model_type = model_config.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let registered = match model_type {
            "qwen2" | "qwen2_moe" | "qwen3" | "qwen3_moe" => Some("Qwen2Tokenizer"),
            "mistral" | "mixtral" | "iquestcoder" => Some("TokenizersBackend"),
            _ => None,
        };
        let in_tokenizer_config = match &files.config {
            Some(config) => declared(config, &files.dir.join("tokenizer_config.json"))?,
            None => None,
        };
        let in_model_config = declared(model_config, &files.dir.join("config.json"))?;
        let dynamic = files.config.as_ref().and_then(|c| c.get("auto_map")).is_some_and(|map| match map {
            Value::Object(map) => map.get("AutoTokenizer").is_some_and(|c| !c.is_null()),
            other => !other.is_null(),
        });
        let dir = files.dir.to_string_lossy().to_lowercase();
        if !dynamic && ALWAYS_BACKEND.iter().any(|start| dir.starts_with(start)) {
            return Ok(Self::Backend);
        }
        let Some(declared) = in_tokenizer_config.or(in_model_config) else {
            return Self::named(registered.unwrap_or("TokenizersBackend"), files);
        };
        let base = declared.strip_suffix("Fast").unwrap_or(declared);
        if dynamic && !Self::is_known(base) && registered.is_none() {
            return Err(Error::Unsupported(format!(
                "{}: tokenizer class {} is Python code that comes with the model; ggraft runs no such code",
                files.dir.display(),
                quoted(declared)
            )));
        }
        let wrong = WRONG_ON_THE_HUB.contains(&model_type);
        if !dynamic {
            let byte_level_llama = base == "LlamaTokenizer" && files.mentions_byte_level;
            if byte_level_llama && !wrong && !["mistral", "mixtral"].contains(&model_type) {
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
        ["GPT2Tokenizer", "LlamaTokenizer", "Qwen2Tokenizer"].contains(&name) || OTHERS.contains(&name)
    }

    /// The class called `name` (without "Fast"); names that transformers does not know fall back to the backend.
    fn named(name: &str, files: &TokenizerFiles) -> Result<Self> {
        match name {
            "GPT2Tokenizer" => Ok(Self::Gpt2),
            "LlamaTokenizer" => Ok(Self::Llama),
            "Qwen2Tokenizer" => Ok(Self::Qwen2),
            name if OTHERS.contains(&name) => Err(Error::Unsupported(format!(
                "{}: tokenizer class {name} is not supported yet; supported are GPT2Tokenizer, LlamaTokenizer, \
                 Qwen2Tokenizer and PreTrainedTokenizerFast",
                files.dir.display()
            ))),
            _ => Ok(Self::Backend),
        }
    }

    /// Special tokens the class has when the configuration does not name them.
    pub fn default_tokens(self) -> &'static [(&'static str, &'static str)] {
        const END: &str = "<|endoftext|>";
        match self {
            Self::Backend => &[],
            Self::Gpt2 => &[("unk_token", END), ("bos_token", END), ("eos_token", END)],
            Self::Llama => &[("unk_token", "<unk>"), ("bos_token", "<s>"), ("eos_token", "</s>")],
            Self::Qwen2 => &[("unk_token", END), ("eos_token", END), ("pad_token", END)],
        }
    }

    /// Puts the class's own components around the vocabulary and merges of `tokenizer`. Tokens are
    /// added afterwards.
    ///
    /// # Errors
    /// If `add_prefix_space` is neither true nor false, nor absent.
    pub fn rebuild(
        self,
        tokenizer: &mut Map<String, Value>,
        add_prefix_space: Option<&Value>,
        dir: &Path,
    ) -> Result<()> {
        let add_prefix_space = match add_prefix_space {
            None => None,
            Some(Value::Bool(add)) => Some(*add),
            Some(Value::Null) if self != Self::Gpt2 => None,
            Some(_) => {
                let path = dir.join("tokenizer_config.json");
                return Err(Error::invalid(path, "add_prefix_space: expected true or false"));
            }
        };
        let byte_level = |prefix: bool, regex: bool| json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex});
        let (normalizer, pre_tokenizer, decoder, byte_fallback) = match self {
            Self::Backend => return Ok(()),
            Self::Gpt2 => {
                let prefix = add_prefix_space.unwrap_or(false);
                (Value::Null, byte_level(prefix, true), byte_level(true, true), false)
            }
            Self::Qwen2 => {
                let split = json!({
                    "type": "Split", "pattern": {"Regex": QWEN2_PATTERN}, "behavior": "Isolated", "invert": false,
                });
                let prefix = add_prefix_space.unwrap_or(false);
                let steps = json!({"type": "Sequence", "pretokenizers": [split, byte_level(prefix, false)]});
                (json!({"type": "NFC"}), steps, byte_level(true, true), false)
            }
            Self::Llama => {
                let prefix = add_prefix_space.unwrap_or(true);
                let scheme = if prefix { "first" } else { "never" };
                let metaspace = json!({
                    "type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": scheme, "split": false,
                });
                let mut decoders = vec![
                    json!({"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "}),
                    json!({"type": "ByteFallback"}),
                    json!({"type": "Fuse"}),
                ];
                if prefix {
                    decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
                }
                (Value::Null, metaspace, json!({"type": "Sequence", "decoders": decoders}), true)
            }
        };
        tokenizer.insert("normalizer".into(), normalizer);
        tokenizer.insert("pre_tokenizer".into(), pre_tokenizer);
        tokenizer.insert("decoder".into(), decoder);
        tokenizer.insert("added_tokens".into(), json!([]));
        if let Some(model) = tokenizer.get_mut("model").and_then(Value::as_object_mut) {
            model.retain(|key, _| key == "vocab" || key == "merges");
            model.insert("type".into(), "BPE".into());
            model.insert("byte_fallback".into(), byte_fallback.into());
            model.insert("fuse_unk".into(), byte_fallback.into());
            // Strings and pairs may stand side by side here.
            for merge in model.get_mut("merges").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Value::String(text) = merge {
                    *merge = text.split(' ').collect::<Vec<_>>().into();
                }
            }
        }
        Ok(())
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

/// How `Qwen2Tokenizer` splits text (models/qwen2/tokenization_qwen2.py).
const QWEN2_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
