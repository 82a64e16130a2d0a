//! Tokenizers that lie: whatever is in their files, a vocabulary is written or refused with exit code 3
//! or 4 and one line that names the model directory. Nothing panics, hangs or prints a backtrace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Longer than any of these may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Model {
    work: tempfile::TempDir,
}

impl Model {
    /// The model directory of a tokenizer in `tests/tokenizers`.
    fn new(tokenizer: &str, vocab_size: u64) -> Self {
        let model = Self { work: tempfile::tempdir().expect("a temporary directory") };
        fs::create_dir(model.dir()).expect("a directory");
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers").join(tokenizer);
        for entry in fs::read_dir(base).expect("a tokenizer").map(|e| e.expect("an entry")) {
            fs::copy(entry.path(), model.dir().join(entry.file_name())).expect("a file");
        }
        let config = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 96,
            "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
            "max_position_embeddings": 2048, "vocab_size": vocab_size,
        });
        model.put("config.json", config.to_string());
        model
    }

    fn dir(&self) -> PathBuf {
        self.work.path().join("model")
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.dir().join(name), content).expect("a file");
    }

    fn json(&self, name: &str) -> Value {
        fs::read(self.dir().join(name))
            .map_or_else(|_| json!({}), |bytes| serde_json::from_slice(&bytes).expect("JSON"))
    }

    /// Exit code and standard error, after checking what holds for all.
    fn convert(&self, what: &str) -> (i32, String) {
        let stderr = self.work.path().join("stderr");
        let mut run = Command::new(env!("CARGO_BIN_EXE_ggraft"))
            .arg("convert")
            .arg(self.dir())
            .args(["--vocab-only", "--quiet", "--outfile"])
            .arg(self.work.path().join("vocab.gguf"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(&stderr).expect("a file"))
            .spawn()
            .expect("ggraft runs");
        let start = Instant::now();
        let status = loop {
            if let Some(status) = run.try_wait().expect("a status") {
                break status;
            }
            if start.elapsed() > PATIENCE {
                run.kill().expect("to be killed");
                panic!("{what}: hangs");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let message = fs::read_to_string(&stderr).expect("UTF-8");
        let code = status.code().unwrap_or_else(|| panic!("{what}: {status}: {message}"));
        match code {
            0 => assert_eq!(message, "", "{what}"),
            3 | 4 => {
                assert_eq!(
                    message.lines().filter(|line| !line.starts_with("  hint: ")).count(),
                    1,
                    "{what}: {message}"
                );
                assert!(message.contains(&self.dir().display().to_string()), "{what}: {message}");
                assert!(message.len() < 2000, "{what}: {message}");
            }
            _ => panic!("{what}: exit code {code}: {message}"),
        }
        (code, message)
    }
}

#[test]
fn wrong_types_in_tokenizer_json() {
    let places = [
        "version",
        "truncation",
        "padding",
        "added_tokens",
        "normalizer",
        "pre_tokenizer",
        "post_processor",
        "decoder",
        "model",
        "model/type",
        "model/vocab",
        "model/merges",
        "model/dropout",
        "model/unk_token",
        "model/continuing_subword_prefix",
        "model/fuse_unk",
        "model/byte_fallback",
        "added_tokens/0",
        "added_tokens/0/id",
        "added_tokens/0/content",
        "added_tokens/0/normalized",
        "merges/0",
    ];
    wrong_types("gpt2-trimmed", 50257, "tokenizer.json", &places);
    wrong_types("llama-hf", 482, "tokenizer.json", &places);
}

#[test]
fn wrong_types_in_the_configuration() {
    let places = [
        "bos_token",
        "image_token",
        "chat_template",
        "added_tokens_decoder",
        "extra_special_tokens",
        "additional_special_tokens",
        "model_specific_special_tokens",
        "tokenizer_class",
        "add_prefix_space",
        "auto_map",
        "add_bos_token",
        "padding_side",
        "fast_tokenizer_files",
        "fix_mistral_regex",
    ];
    wrong_types("gpt2-trimmed", 50257, "tokenizer_config.json", &places);
    wrong_types("spm", 512, "tokenizer_config.json", &places);
    let places = ["bos_token", "extra_special_tokens", "additional_special_tokens", "image_token"];
    wrong_types("gpt2-trimmed", 50257, "special_tokens_map.json", &places);
    wrong_types("gpt2-trimmed", 50257, "added_tokens.json", &["<new>"]);
    let places =
        ["bos_token_id", "sep_token_id", "text_config", "tokenizer_class", "model_type", "vocab_size"];
    wrong_types("gpt2-trimmed", 50257, "config.json", &places);
    wrong_types("spm", 512, "config.json", &places);
}

/// Puts a value of every type in each place.
fn wrong_types(tokenizer: &str, vocab_size: u64, file: &str, places: &[&str]) {
    let values = [
        json!(null),
        json!(-1),
        json!(4294967295u64),
        json!(1e300),
        json!("x"),
        json!([[[]]]),
        json!({}),
        json!({"type": "Sequence", "content": {"id": -1}}),
    ];
    let model = Model::new(tokenizer, vocab_size);
    let right = model.json(file);
    for place in places {
        for value in &values {
            let mut json = right.clone();
            let (parent, key) = place.rsplit_once('/').map_or(("", *place), |(parent, key)| (parent, key));
            let parent = if parent.is_empty() { String::new() } else { format!("/{parent}") };
            match json.pointer_mut(&parent) {
                Some(Value::Object(map)) => _ = map.insert(key.into(), value.clone()),
                Some(Value::Array(list)) if !list.is_empty() => list[0] = value.clone(),
                _ => continue,
            }
            model.put(file, json.to_string());
            model.convert(&format!("{tokenizer}/{file}: {place} is {value}"));
        }
    }
}

#[test]
fn files_that_are_none() {
    let nested = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
    let contents: [(&str, Vec<u8>); 8] = [
        ("empty", vec![]),
        ("zeros", vec![0; 1000]),
        ("not UTF-8", b"{\"a\": \"\xff\"}".to_vec()),
        ("cut off", b"{\"model\": {\"vocab\": {\"a\": 1".to_vec()),
        ("byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("deep lists", nested("[", "]").into_bytes()),
        ("deep objects", nested("{\"a\":", "}").into_bytes()),
        ("a long text", format!("\"{}\"", "x".repeat(1 << 20)).into_bytes()),
    ];
    for file in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"] {
        for (what, content) in &contents {
            let model = Model::new("gpt2-trimmed", 50257);
            model.put(file, content);
            let (code, message) = model.convert(&format!("{file}: {what}"));
            assert_eq!(code, 4, "{file}: {what}");
            assert!(message.contains(file), "{file}: {what}: {message}");
        }
    }
}

/// Changes to tokenizer.json, which is then refused with exit code 4 and a message with this text.
fn invalid(what: &str, tokenizer: &str, change: impl FnOnce(&mut Value), says: &str) {
    let model = Model::new(tokenizer, if tokenizer == "llama-hf" { 482 } else { 50257 });
    let mut json = model.json("tokenizer.json");
    change(&mut json);
    model.put("tokenizer.json", json.to_string());
    model.put("tokenizer_config.json", json!({"tokenizer_class": "PreTrainedTokenizerFast"}).to_string());
    let (code, message) = model.convert(what);
    assert_eq!(code, 4, "{what}: {message}");
    assert!(message.contains("tokenizer.json"), "{what}: {message}");
    assert!(message.contains(says), "{what}: {message}");
}

#[test]
fn ids() {
    for (what, id) in [("negative", json!(-1)), ("33 bits", json!(1u64 << 32)), ("a fraction", json!(1.5))] {
        invalid(what, "gpt2-trimmed", |t| t["model"]["vocab"]["new"] = id.clone(), "not a tokenizer");
        invalid(what, "gpt2-trimmed", |t| t["added_tokens"][0]["id"] = id.clone(), "");
    }
    let largest = json!(u32::MAX);
    invalid("largest", "gpt2-trimmed", |t| t["model"]["vocab"]["new"] = largest.clone(), "4294967295");
    invalid("largest", "llama-hf", |t| t["model"]["vocab"]["new"] = largest.clone(), "");
    invalid("twice", "gpt2-trimmed", |t| t["model"]["vocab"]["new"] = json!(0), "two tokens have id 0");
    invalid("twice", "llama-hf", |t| t["model"]["vocab"]["new"] = json!(100), "");
    let last = |t: &mut Value| {
        t["model"]["vocab"]["new"] = largest.clone();
        t["added_tokens"] = json!([
            {"id": u32::MAX, "content": "new", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 1, "content": "newer", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
        ]);
    };
    invalid("after the largest", "gpt2-trimmed", last, "");
}

#[test]
fn sizes() {
    for size in [1_000_000_000, u64::MAX] {
        for tokenizer in ["gpt2-trimmed", "spm"] {
            let (code, message) = Model::new(tokenizer, size).convert("vocab_size");
            assert_eq!(code, 4, "{message}");
            assert!(message.contains("config.json: vocab_size"), "{message}");
        }
    }
}

#[test]
fn what_the_library_panics_at() {
    let template = |single: Value, tokens: Value| json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": tokens});
    let unknown = template(
        json!([{"SpecialToken": {"id": "<x>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]),
        json!({}),
    );
    invalid("template", "gpt2-trimmed", |t| t["post_processor"] = unknown.clone(), "cannot handle");
    let only_b = template(json!([{"Sequence": {"id": "B", "type_id": 0}}]), json!({}));
    let model = Model::new("gpt2-trimmed", 50257);
    let mut json = model.json("tokenizer.json");
    json["post_processor"] = only_b;
    model.put("tokenizer.json", json.to_string());
    model.convert("template of B");

    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    for pattern in ["(", "[", "\\p{Nothing}", "(?<n>a)\\k<m>"] {
        invalid(pattern, "gpt2-trimmed", |t| t["pre_tokenizer"] = split(pattern), "not a tokenizer");
    }
    let slow = "(?:(?:[^x]*)*)*x";
    let model = Model::new("gpt2-trimmed", 50257);
    let mut json = model.json("tokenizer.json");
    json["pre_tokenizer"] = split(slow);
    model.put("tokenizer.json", json.to_string());
    model.convert(slow);

    invalid("merges", "gpt2-trimmed", |t| t["model"]["merges"] = json!(["no where"]), "not a tokenizer");
    invalid("merges", "llama-hf", |t| t["model"]["merges"] = json!([["a", "▁never▁"]]), "not a tokenizer");
    let unigram = |vocab: Value, unk: Value| json!({"type": "Unigram", "unk_id": unk, "vocab": vocab});
    let models = [
        unigram(json!([]), json!(0)),
        unigram(json!([["a", 0.0]]), json!(5)),
        unigram(json!([["a", 0.0], ["a", 1.0]]), json!(null)),
        unigram(json!([["", 0.0]]), json!(null)),
        json!({"type": "WordPiece", "unk_token": "x", "continuing_subword_prefix": "##", "max_input_chars_per_word": 0, "vocab": {}}),
        json!({"type": "WordLevel", "unk_token": "x", "vocab": {}}),
        json!({"type": "BPE", "vocab": {}, "merges": []}),
    ];
    for value in models {
        for tokenizer in ["gpt2-trimmed", "llama-hf"] {
            let model = Model::new(tokenizer, 50257);
            let mut json = model.json("tokenizer.json");
            json["model"] = value.clone();
            model.put("tokenizer.json", json.to_string());
            for class in ["PreTrainedTokenizerFast", "LlamaTokenizer"] {
                model.put("tokenizer_config.json", json!({"tokenizer_class": class}).to_string());
                assert_ne!(model.convert(&format!("{tokenizer}: {value}")).0, 0, "{value}");
            }
        }
    }
}

#[test]
fn nesting() {
    let nested = |inner: Value, list: &str| {
        (0..100).fold(inner, |inner, _| json!({"type": "Sequence", list: [inner]}))
    };
    for (place, list, inner) in [
        ("normalizer", "normalizers", json!({"type": "Lowercase"})),
        ("pre_tokenizer", "pretokenizers", json!({"type": "Whitespace"})),
        ("decoder", "decoders", json!({"type": "Fuse"})),
        (
            "post_processor",
            "processors",
            json!({"type": "ByteLevel", "trim_offsets": true, "add_prefix_space": true}),
        ),
    ] {
        let model = Model::new("gpt2-trimmed", 50257);
        let mut json = model.json("tokenizer.json");
        json[place] = nested(inner, list);
        model.put("tokenizer.json", json.to_string());
        model.convert(place);
    }
}

#[test]
fn many_tokens() {
    let model = Model::new("gpt2-trimmed", 50257);
    let mut config = model.json("tokenizer_config.json");
    config["extra_special_tokens"] = (0..50_000).map(|i| Value::from(format!("<{i}>"))).collect();
    model.put("tokenizer_config.json", config.to_string());
    let (code, message) = model.convert("many tokens");
    assert_eq!(code, 4, "{message}");
    assert!(message.contains("vocab_size is 50257"), "{message}");
}

#[test]
fn long_tokens() {
    let long = "a".repeat(1 << 20);
    let model = Model::new("gpt2-trimmed", 50257);
    let mut config = model.json("tokenizer_config.json");
    config["bos_token"] = json!(long);
    model.put("tokenizer_config.json", config.to_string());
    let (code, message) = model.convert("a long token");
    assert_eq!(code, 4, "{message}");
    assert!(message.contains("expected at most 512 bytes, found 1048576"), "{message}");
    invalid(
        "a long added token",
        "gpt2-trimmed",
        |t| t["added_tokens"][0]["content"] = json!(long),
        "at most 512 bytes",
    );
}

#[test]
fn parts_that_grow() {
    let replace = |from: Value, to: &str| json!({"type": "Replace", "pattern": from, "content": to});
    let repeated = |part: Value, list: &str, times| json!({"type": "Sequence", list: vec![part; times]});
    let spaces = replace(json!({"String": " "}), "      ");
    let nothing = replace(json!({"Regex": ""}), "yyyyyyyyyy");
    let bytes =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let long = replace(json!({"String": " "}), &"x".repeat(65));
    let table = {
        let trie = [0; 4096];
        let blob = [&4096_u32.to_le_bytes(), &trie[..], &[b'x'; 1000], &[0]].concat();
        json!({"type": "Precompiled", "precompiled_charsmap": BASE64_STANDARD.encode(blob)})
    };
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let template =
        json!({"type": "TemplateProcessing", "single": vec![text; 10_000], "pair": [], "special_tokens": {}});
    let cases = [
        ("normalizer", repeated(spaces, "normalizers", 8), "makes texts many times as long"),
        ("normalizer", repeated(nothing, "normalizers", 3), "makes texts many times as long"),
        (
            "normalizer",
            repeated(json!({"type": "Lowercase"}), "normalizers", 5000),
            "expected at most 65536 bytes",
        ),
        ("normalizer", long.clone(), "expected a text of at most 64 bytes, found 65"),
        ("normalizer", table, "expected replacements of at most 256 bytes, found one of 1000"),
        ("pre_tokenizer", repeated(bytes, "pretokenizers", 20), "makes texts many times as long"),
        (
            "decoder",
            repeated(replace(json!({"Regex": "."}), "aaaaaaaaaa"), "decoders", 8),
            "makes texts many times as long",
        ),
        ("decoder", long, "expected a text of at most 64 bytes, found 65"),
        ("post_processor", template, "expected at most 16384 bytes"),
    ];
    for (part, value, says) in cases {
        invalid(part, "gpt2-trimmed", |t| t[part] = value, says);
    }
}
