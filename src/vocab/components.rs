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
        let settings = Settings { class: self, config, path: dir.join("tokenizer_config.json") };
        let Some(parts) = settings.parts(tokenizer.get("normalizer"))? else { return Ok(()) };
        let Parts { model, normalizer, pre_tokenizer, decoder } = parts;
        if self == Self::GptNeoX {
            // The class replaces it by one that adds nothing.
            tokenizer.insert("post_processor".into(), Value::Null);
        }
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

/// What a class puts around vocabulary and merges.
struct Parts {
    /// Settings of the model beside its kind, vocabulary and merges.
    model: Value,
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
}

impl Parts {
    /// Those of a byte-level BPE.
    fn bytes(normalizer: Value, pre_tokenizer: Value) -> Self {
        let model = json!({"fuse_unk": false, "byte_fallback": false});
        Self { model, normalizer, pre_tokenizer, decoder: byte_level(true, true) }
    }
}

/// `tokenizer_config.json` as a class reads it.
struct Settings<'a> {
    class: Class,
    config: &'a Map<String, Value>,
    path: PathBuf,
}

impl Settings<'_> {
    /// What the class builds, unless it takes all of `tokenizer.json`. `normalizer` is the one in that file.
    fn parts(&self, normalizer: Option<&Value>) -> Result<Option<Parts>> {
        let nfc = || json!({"type": "NFC"});
        let bytes = |add_prefix_space: bool| byte_level(add_prefix_space, true);
        Ok(Some(match self.class {
            Class::Backend => return Ok(None),
            Class::Bert => self.bert()?,
            Class::Cohere => {
                let digits = json!({"type": "Digits", "individual_digits": true});
                Parts::bytes(nfc(), sequence([digits, bytes(self.prefix(false)?)]))
            }
            Class::Gemma => self.gemma(),
            Class::GptNeoX => Parts::bytes(nfc(), bytes(self.prefix(false)?)),
            Class::Gpt2 | Class::Roberta => Parts::bytes(Value::Null, bytes(self.prefix(false)?)),
            Class::Llama => self.llama()?,
            Class::Qwen2 | Class::Qwen35 => {
                let pattern = if self.class == Class::Qwen2 { QWEN2_PATTERN } else { QWEN35_PATTERN };
                let split = json!({
                    "type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false,
                });
                Parts::bytes(nfc(), sequence([split, byte_level(self.prefix(false)?, false)]))
            }
            Class::XlmRoberta => self.xlm_roberta(normalizer)?,
        }))
    }

    fn bert(&self) -> Result<Parts> {
        let strip_accents = match self.config.get("strip_accents") {
            None | Some(Value::Null) => Value::Null,
            Some(_) => self.flag("strip_accents", false, false)?.into(),
        };
        Ok(Parts {
            model: json!({
                "unk_token": self.token("unk_token"), "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
            }),
            normalizer: json!({
                "type": "BertNormalizer", "clean_text": true,
                "handle_chinese_chars": self.flag("tokenize_chinese_chars", true, false)?,
                "strip_accents": strip_accents, "lowercase": self.flag("do_lower_case", true, false)?,
            }),
            pre_tokenizer: json!({"type": "BertPreTokenizer"}),
            decoder: json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
        })
    }

    fn gemma(&self) -> Parts {
        Parts {
            model: json!({"unk_token": self.token("unk_token"), "fuse_unk": true, "byte_fallback": true}),
            normalizer: replace(" ", SPACE),
            pre_tokenizer: json!({
                "type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false,
            }),
            decoder: bytes_to_text(false),
        }
    }

    fn llama(&self) -> Result<Parts> {
        let prefix = self.prefix(true)?;
        let scheme = if prefix { "first" } else { "never" };
        Ok(Parts {
            model: json!({"fuse_unk": true, "byte_fallback": true}),
            normalizer: Value::Null,
            pre_tokenizer: metaspace(scheme, false),
            decoder: bytes_to_text(prefix),
        })
    }

    fn xlm_roberta(&self, normalizer: Option<&Value>) -> Result<Parts> {
        let metaspace = metaspace(if self.prefix(true)? { "always" } else { "never" }, true);
        Ok(Parts {
            model: json!({"unk_id": 3, "byte_fallback": false}),
            normalizer: precompiled(normalizer),
            pre_tokenizer: sequence([json!({"type": "WhitespaceSplit"}), metaspace.clone()]),
            decoder: metaspace,
        })
    }

    /// The text of a special token.
    fn token(&self, key: &str) -> Value {
        let named = self.config.get(key);
        if self.class == Class::Bert && named.is_some_and(Value::is_null) {
            return "None".into(); // Python's word for no token
        }
        let named = named.and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str()));
        let default = self.class.default_tokens().iter().find(|(k, _)| *k == key).map(|(_, text)| *text);
        named.or(default).map(Value::from).unwrap_or_default()
    }

    fn prefix(&self, default: bool) -> Result<bool> {
        let null_is_default = matches!(self.class, Class::Llama | Class::Qwen2 | Class::Qwen35);
        self.flag("add_prefix_space", default, null_is_default)
    }

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

fn metaspace(scheme: &str, split: bool) -> Value {
    json!({"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": split})
}

fn sequence(steps: [Value; 2]) -> Value {
    json!({"type": "Sequence", "pretokenizers": steps})
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
