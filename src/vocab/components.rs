//! What a tokenizer class puts around the vocabulary and merges of `tokenizer.json` (`__init__` of the
//! classes of transformers 5.23): special tokens it has by default, normalizer, pre-tokenizer, decoder.

use std::path::PathBuf;

use crate::json::{Map, Value, json};

use super::class::Class;
use crate::error::{Error, Result};
use crate::source::ModelDir;

impl Class {
    /// Special tokens the class has when the configuration does not name them.
    pub fn default_tokens(self) -> &'static [(&'static str, &'static str)] {
        const END: &str = "<|endoftext|>";
        match self {
            Self::Backend => &[],
            Self::Bert => &[
                ("unk_token", "[UNK]"),
                ("sep_token", "[SEP]"),
                ("pad_token", "[PAD]"),
                ("cls_token", "[CLS]"),
                ("mask_token", "[MASK]"),
            ],
            Self::Cohere => &[
                ("unk_token", "<UNK>"),
                ("bos_token", "<BOS_TOKEN>"),
                ("eos_token", "<|END_OF_TURN_TOKEN|>"),
                ("pad_token", "<PAD>"),
                ("cls_token", "<CLS>"),
                ("sep_token", "<SEP>"),
                ("mask_token", "<MASK_TOKEN>"),
            ],
            Self::Gemma => &[
                ("unk_token", "<unk>"),
                ("bos_token", "<bos>"),
                ("eos_token", "<eos>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ],
            Self::Gpt2 => &[("unk_token", END), ("bos_token", END), ("eos_token", END)],
            Self::GptNeoX => {
                &[("unk_token", END), ("bos_token", END), ("eos_token", END), ("pad_token", "<|padding|>")]
            }
            Self::Llama => &[("unk_token", "<unk>"), ("bos_token", "<s>"), ("eos_token", "</s>")],
            Self::Qwen2 | Self::Qwen35 => &[("unk_token", END), ("eos_token", END), ("pad_token", END)],
            Self::Roberta | Self::XlmRoberta => &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("sep_token", "</s>"),
                ("cls_token", "<s>"),
                ("unk_token", "<unk>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ],
        }
    }

    /// The kind of model the class builds, which tells what it needs from `tokenizer.json`.
    pub fn model(self) -> Option<&'static str> {
        match self {
            Self::Backend => None,
            Self::Bert => Some("WordPiece"),
            Self::XlmRoberta => Some("Unigram"),
            _ => Some("BPE"),
        }
    }

    /// Puts the class's own components around the vocabulary and merges of `tokenizer`. Tokens are
    /// added afterwards.
    ///
    /// # Errors
    /// If a setting in `config`, the `tokenizer_config.json`, has another type than it should.
    pub fn rebuild(
        self,
        tokenizer: &mut Map<String, Value>,
        config: &Map<String, Value>,
        dir: &ModelDir,
    ) -> Result<()> {
        let settings = Settings { config, path: dir.join("tokenizer_config.json") };
        let token = |key: &str| {
            let named = config.get(key);
            if self == Self::Bert && named.is_some_and(Value::is_null) {
                return "None".into(); // Python's word for no token
            }
            let named = named.and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str()));
            let default = self.default_tokens().iter().find(|(k, _)| *k == key).map(|(_, text)| *text);
            named.or(default).map(Value::from).unwrap_or_default()
        };
        let prefix = |default: bool| {
            let null_is_default = matches!(self, Self::Llama | Self::Qwen2 | Self::Qwen35);
            settings.flag("add_prefix_space", default, null_is_default)
        };
        let mut model = json!({"fuse_unk": false, "byte_fallback": false});
        let (normalizer, pre_tokenizer, decoder) = match self {
            Self::Backend => return Ok(()),
            Self::Bert => {
                model = json!({
                    "unk_token": token("unk_token"), "continuing_subword_prefix": "##",
                    "max_input_chars_per_word": 100,
                });
                let strip_accents = match config.get("strip_accents") {
                    None | Some(Value::Null) => Value::Null,
                    Some(_) => settings.flag("strip_accents", false, false)?.into(),
                };
                let normalizer = json!({
                    "type": "BertNormalizer", "clean_text": true,
                    "handle_chinese_chars": settings.flag("tokenize_chinese_chars", true, false)?,
                    "strip_accents": strip_accents, "lowercase": settings.flag("do_lower_case", true, false)?,
                });
                let decoder = json!({"type": "WordPiece", "prefix": "##", "cleanup": true});
                (normalizer, json!({"type": "BertPreTokenizer"}), decoder)
            }
            Self::Cohere => {
                let digits = json!({"type": "Digits", "individual_digits": true});
                let steps = [digits, byte_level(prefix(false)?, true)];
                let steps = json!({"type": "Sequence", "pretokenizers": steps});
                (json!({"type": "NFC"}), steps, byte_level(true, true))
            }
            Self::Gemma => {
                model = json!({"unk_token": token("unk_token"), "fuse_unk": true, "byte_fallback": true});
                let split = json!({
                    "type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false,
                });
                (replace(" ", SPACE), split, bytes_to_text(false))
            }
            Self::Gpt2 => (Value::Null, byte_level(prefix(false)?, true), byte_level(true, true)),
            Self::GptNeoX => {
                // The class replaces it by one that adds nothing.
                tokenizer.insert("post_processor".into(), Value::Null);
                (json!({"type": "NFC"}), byte_level(prefix(false)?, true), byte_level(true, true))
            }
            Self::Llama => {
                model = json!({"fuse_unk": true, "byte_fallback": true});
                let prefix = prefix(true)?;
                let scheme = if prefix { "first" } else { "never" };
                let metaspace = json!({
                    "type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": false,
                });
                (Value::Null, metaspace, bytes_to_text(prefix))
            }
            Self::Qwen2 | Self::Qwen35 => {
                let pattern = if self == Self::Qwen2 { QWEN2_PATTERN } else { QWEN35_PATTERN };
                let split = json!({
                    "type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false,
                });
                let steps = [split, byte_level(prefix(false)?, false)];
                let steps = json!({"type": "Sequence", "pretokenizers": steps});
                (json!({"type": "NFC"}), steps, byte_level(true, true))
            }
            Self::Roberta => (Value::Null, byte_level(prefix(false)?, true), byte_level(true, true)),
            Self::XlmRoberta => {
                model = json!({"unk_id": 3, "byte_fallback": false});
                let scheme = if prefix(true)? { "always" } else { "never" };
                let metaspace = json!({
                    "type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": true,
                });
                let steps = [json!({"type": "WhitespaceSplit"}), metaspace.clone()];
                let steps = json!({"type": "Sequence", "pretokenizers": steps});
                (precompiled(tokenizer.get("normalizer")), steps, metaspace)
            }
        };
        tokenizer.insert("normalizer".into(), normalizer);
        tokenizer.insert("pre_tokenizer".into(), pre_tokenizer);
        tokenizer.insert("decoder".into(), decoder);
        tokenizer.insert("added_tokens".into(), json!([]));
        if let Some(own) = tokenizer.get_mut("model").and_then(Value::as_object_mut) {
            own.retain(|key, _| key == "vocab" || (key == "merges" && self.model() == Some("BPE")));
            own.insert("type".into(), self.model().into());
            if let Value::Object(settings) = model {
                own.extend(settings);
            }
            // Strings and pairs may stand side by side here.
            for merge in own.get_mut("merges").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Value::String(text) = merge {
                    *merge = text.split(' ').collect::<Vec<_>>().into();
                }
            }
        }
        Ok(())
    }

    /// What the class puts around texts, if it does not take that from `tokenizer.json`. `token` gives the
    /// text of a special token by its name, `id` the id of a text.
    ///
    /// # Errors
    /// If a token is not named.
    pub fn post_processor<'a>(
        self,
        token: impl Fn(&str) -> Option<&'a str>,
        id: impl Fn(&str) -> Option<u32>,
        dir: &ModelDir,
    ) -> Result<Option<Value>> {
        if ![Self::Bert, Self::Roberta].contains(&self) {
            return Ok(None);
        }
        let find = |key: &str| {
            let found = token(key).and_then(|text| Some((text, id(text)?)));
            let path = dir.join("tokenizer_config.json");
            found.ok_or_else(|| Error::invalid(path, format!("{key}: expected a token, found none")))
        };
        let ((cls, cls_id), (sep, sep_id)) = (find("cls_token")?, find("sep_token")?);
        if self == Self::Roberta {
            return Ok(Some(json!({
                "type": "RobertaProcessing", "sep": [sep, sep_id], "cls": [cls, cls_id],
                "trim_offsets": true, "add_prefix_space": false,
            })));
        }
        let special = |text: &str, kind: u32| json!({"SpecialToken": {"id": text, "type_id": kind}});
        let sequence = |name: &str, kind: u32| json!({"Sequence": {"id": name, "type_id": kind}});
        let single = [special(cls, 0), sequence("A", 0), special(sep, 0)];
        let pair: Vec<_> = single.iter().cloned().chain([sequence("B", 1), special(sep, 1)]).collect();
        let described = |text: &str, id: u32| json!({"id": text, "ids": [id], "tokens": [text]});
        let tokens: Map<String, Value> = [(cls, cls_id), (sep, sep_id)]
            .map(|(text, id)| (text.to_owned(), described(text, id)))
            .into_iter()
            .collect();
        Ok(Some(json!({
            "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": Value::from(tokens),
        })))
    }
}

/// `tokenizer_config.json`, for its flags.
struct Settings<'a> {
    config: &'a Map<String, Value>,
    path: PathBuf,
}

impl Settings<'_> {
    fn flag(&self, key: &str, default: bool, null_is_default: bool) -> Result<bool> {
        match self.config.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::Null) if null_is_default => Ok(default),
            Some(_) => Err(Error::invalid(&self.path, format!("{key}: expected true or false"))),
        }
    }
}

/// What SentencePiece writes for a space.
const SPACE: &str = "\u{2581}";

fn byte_level(add_prefix_space: bool, use_regex: bool) -> Value {
    json!({
        "type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": true, "use_regex": use_regex,
    })
}

fn replace(from: &str, to: &str) -> Value {
    json!({"type": "Replace", "pattern": {"String": from}, "content": to})
}

/// Spaces and bytes back to text, without the space in front that was added.
fn bytes_to_text(strip: bool) -> Value {
    let mut steps = vec![replace(SPACE, " "), json!({"type": "ByteFallback"}), json!({"type": "Fuse"})];
    if strip {
        steps.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    json!({"type": "Sequence", "decoders": steps})
}

/// The precompiled normalizer in a normalizer, alone or among others.
fn precompiled(normalizer: Option<&Value>) -> Value {
    let Some(normalizer) = normalizer else { return Value::Null };
    let steps = normalizer.get("normalizers").and_then(Value::as_array).map(Vec::as_slice);
    let mut steps = steps.unwrap_or_else(|| std::slice::from_ref(normalizer)).iter();
    steps.find(|step| step.get("type").is_some_and(|kind| kind == "Precompiled")).cloned().unwrap_or_default()
}

/// How `Qwen2Tokenizer` splits text.
const QWEN2_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// How `Qwen3_5Tokenizer` does.
const QWEN35_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
