//! Vocabulary routes on files that lie: a vocabulary is made or refused with exit code 3 or 4. Nothing panics.
//! (`hostile_vocab.rs` does the same to the whole program.)

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

#[path = "golden/routes.rs"]
mod routes;

struct Model {
    work: tempfile::TempDir,
}

impl Model {
    /// A model directory with the files of a tokenizer in `tests/tokenizers`.
    fn new(tokenizer: &str, vocab_size: u64) -> Self {
        let model = Self { work: tempfile::tempdir().expect("a temporary directory") };
        for entry in fs::read_dir(tokenizers().join(tokenizer)).expect("a tokenizer") {
            let entry = entry.expect("an entry");
            fs::copy(entry.path(), model.work.path().join(entry.file_name())).expect("a file");
        }
        let config = json!({"architectures": ["X"], "vocab_size": vocab_size, "eos_token_id": 1});
        model.put("config.json", config.to_string());
        model
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.work.path().join(name), content).expect("a file");
    }

    fn get(&self, name: &str) -> Vec<u8> {
        fs::read(self.work.path().join(name)).expect("a file")
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.work.path().join(from), self.work.path().join(to)).expect("a file");
    }

    /// The error, after checking what holds for all.
    fn convert(&self, route: &str, what: &str) -> Option<String> {
        let error = routes::convert(route, self.work.path()).err()?;
        let message = error.to_string();
        assert!(matches!(error.exit_code(), 3 | 4), "{route}, {what}: {message}");
        assert_eq!(message.lines().count(), 1, "{route}, {what}: {message}");
        assert!(message.len() < 2000, "{route}, {what}: {message}");
        Some(message)
    }

    fn refused(&self, route: &str, what: &str, says: &str) {
        let message = self.convert(route, what).unwrap_or_else(|| panic!("{route}, {what}: not refused"));
        assert!(message.contains(says), "{route}, {what}: {message}");
    }
}

fn tokenizers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")
}

/// Models that are SentencePiece files: tokenizer, file, route, the name the route looks for.
const MODELS: [(&str, &str, &str, &str); 8] = [
    ("t5", "spiece.model", "t5", "spiece.model"),
    ("t5", "spiece.model", "internlm2", "tokenizer.model"),
    ("t5", "spiece.model", "mistral", "tokenizer.model.v3"),
    ("xlm-roberta-model", "sentencepiece.bpe.model", "xlm-roberta", "sentencepiece.bpe.model"),
    ("spm", "tokenizer.model", "phi3", "tokenizer.model"),
    ("spm", "tokenizer.model", "internlm3", "tokenizer.model"),
    ("spm", "tokenizer.model", "mamba2", "tokenizer.model"),
    ("spm", "tokenizer.model", "mistral", "tokenizer.model.v1"),
];

#[test]
fn every_route_on_every_tokenizer() {
    for tokenizer in
        ["gpt2-trimmed", "llama-hf", "spm", "t5", "tekken", "wordpiece", "xlm-roberta", "xlm-roberta-model"]
    {
        let model = Model::new(tokenizer, 30522);
        for (route, _) in routes::ROUTES {
            model.convert(route, tokenizer);
        }
    }
}

#[test]
fn corrupt_models() {
    for (tokenizer, file, route, name) in MODELS {
        let model = Model::new(tokenizer, 300);
        model.rename(file, name);
        let right = model.get(name);
        for part in 0..24 {
            model.put(name, &right[..right.len() * part / 24]);
            model.convert(route, &format!("cut after {part}/24"));
        }
        for (i, at) in (0..right.len()).step_by(right.len() / 96).enumerate() {
            let mut wrong = right.clone();
            wrong[at] ^= [0x80, 0x01, 0xff, 0x7f][i % 4];
            model.put(name, &wrong);
            model.convert(route, &format!("byte {at} changed"));
        }
    }
}

#[test]
fn sizes_and_ids() {
    for size in [0, 1, 299, 301, (1 << 24) + 1, u64::MAX] {
        for (tokenizer, file, route, name) in MODELS {
            let model = Model::new(tokenizer, size);
            model.rename(file, name);
            model.convert(route, &format!("vocab_size {size}"));
        }
        for (tokenizer, route) in
            [("wordpiece", "bert"), ("xlm-roberta", "xlm-roberta"), ("llama-hf", "gemma4")]
        {
            Model::new(tokenizer, size).convert(route, &format!("vocab_size {size}"));
        }
    }
    let model = Model::new("spm", 512);
    model.put(
        "config.json",
        json!({"architectures": ["X"], "vocab_size": 1 << 24, "pad_vocab_size_multiple": 9_999_991})
            .to_string(),
    );
    model.convert("mamba2", "a large multiple");
    for id in [json!(512), json!(u64::MAX), json!(-1), json!(1e300), json!("3")] {
        let model = Model::new("spm", 512);
        model.put("tokenizer.json", json!({"added_tokens": [{"id": id, "content": "<x>"}]}).to_string());
        model.refused("phi3", &id.to_string(), "");
        model.refused("internlm2", &id.to_string(), "");
    }
}

#[test]
fn wrong_types() {
    let values = [
        json!(null),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!("x"),
        json!([[[]]]),
        json!({}),
        json!(true),
    ];
    type Place<'a> = (&'a str, &'a str, &'a [&'a str], &'a str, &'a [&'a str]);
    let places: [Place; 6] = [
        (
            "tekken",
            "llama",
            &[],
            "tekken.json",
            &[
                "/config",
                "/config/version",
                "/config/default_vocab_size",
                "/config/default_num_special_tokens",
                "/vocab",
                "/vocab/300",
                "/vocab/300/rank",
                "/vocab/300/token_bytes",
                "/special_tokens",
            ],
        ),
        (
            "wordpiece",
            "bert",
            &["jina-bert-v2", "nomic-bert"],
            "tokenizer_config.json",
            &[
                "/do_lower_case",
                "/strip_accents",
                "/tokenize_chinese_chars",
                "/cls_token",
                "/unk_token",
                "/tokenizer_class",
            ],
        ),
        (
            "wordpiece",
            "bert",
            &["nomic-bert"],
            "tokenizer.json",
            &["/model", "/model/type", "/model/vocab", "/model/unk_token", "/post_processor", "/normalizer"],
        ),
        (
            "xlm-roberta",
            "xlm-roberta",
            &["nomic-bert"],
            "tokenizer.json",
            &[
                "/model/type",
                "/model/vocab",
                "/model/vocab/5",
                "/model/vocab/5/0",
                "/model/vocab/5/1",
                "/model/unk_id",
                "/normalizer",
                "/normalizer/precompiled_charsmap",
            ],
        ),
        (
            "xlm-roberta",
            "xlm-roberta",
            &[],
            "tokenizer_config.json",
            &["/unk_token", "/add_prefix_space", "/clean_up_tokenization_spaces", "/mask_token"],
        ),
        (
            "spm",
            "phi3",
            &["internlm2", "internlm3", "gemma", "deepseek32"],
            "tokenizer_config.json",
            &[
                "/tokenizer_class",
                "/added_tokens_decoder",
                "/added_tokens_decoder/0",
                "/add_prefix_space",
                "/add_bos_token",
            ],
        ),
    ];
    for (tokenizer, route, others, file, places) in places {
        let model = Model::new(tokenizer, 512);
        let right: Value = serde_json::from_slice(&model.get(file)).expect("JSON");
        for place in places {
            for value in &values {
                let mut wrong = right.clone();
                let (parent, key) = place.rsplit_once('/').expect("a pointer");
                match wrong.pointer_mut(parent).expect("a parent") {
                    Value::Array(list) => list[key.parse::<usize>().expect("an index")] = value.clone(),
                    parent => {
                        _ = parent.as_object_mut().expect("an object").insert(key.into(), value.clone())
                    }
                }
                model.put(file, wrong.to_string());
                for route in others.iter().chain([&route]) {
                    model.convert(route, &format!("{file}: {place} is {value}"));
                }
            }
        }
    }
    for key in ["type_vocab_size", "pad_vocab_size_multiple", "moe_every_n_layers", "_name_or_path"] {
        for value in &values {
            for (tokenizer, route) in [
                ("wordpiece", "bert"),
                ("xlm-roberta", "nomic-bert"),
                ("xlm-roberta-model", "xlm-roberta"),
                ("gpt2-trimmed", "mamba"),
                ("gpt2-trimmed", "chatglm"),
            ] {
                let model = Model::new(tokenizer, 50257);
                let config = json!({"architectures": ["X"], "vocab_size": 50257, key: value});
                model.put("config.json", config.to_string());
                model.convert(route, &format!("{key} is {value}"));
            }
        }
    }
}

/// Tables of replacements: a length, a trie of that length, replaced texts.
#[test]
fn charsmaps() {
    let model = Model::new("xlm-roberta", 302);
    let right: Value = serde_json::from_slice(&model.get("tokenizer.json")).expect("JSON");
    // Base64 of nothing, of a length and nothing, of a length of 4 GB, of one that is not divisible by 4.
    for table in ["", "AAAA", "AAAAAA==", "/////w==", "AQAAAAA=", "BAAAAAAAAAA=", "not base64", "AAAA\nAAAA"]
    {
        let mut wrong = right.clone();
        wrong["normalizer"]["precompiled_charsmap"] = table.into();
        model.put("tokenizer.json", wrong.to_string());
        model.convert("xlm-roberta", table);
    }
}

#[test]
fn tekken_that_takes_long() {
    let model = Model::new("tekken", 416);
    let mut tekken: Value = serde_json::from_slice(&model.get("tekken.json")).expect("JSON");
    // A million letters "A" (base64 of 3 is "QUFB").
    tekken["vocab"][300]["token_bytes"] = "QUFB".repeat(333_334).into();
    model.put("tekken.json", tekken.to_string());
    model.refused("llama", "a long token", "entry 300");
    tekken["config"]["default_num_special_tokens"] = json!(1u64 << 40);
    tekken["config"]["default_vocab_size"] = json!((1u64 << 40) + 400);
    model.put("tekken.json", tekken.to_string());
    model.refused("llama", "many special tokens", "config");
}
