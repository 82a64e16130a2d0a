//! Adapters that contradict themselves, their base model, or common sense: each is refused with one error that names
//! the file and says what to do, and nothing is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");
const Q: &str = "base_model.model.model.layers.0.self_attn.q_proj";

/// An adapter's directory, beside nothing else.
struct Adapter {
    work: tempfile::TempDir,
}

impl Adapter {
    /// With a pair of factors for one matrix of the tiny model, whose width is 64.
    fn new() -> Self {
        let adapter = Self { work: tempfile::tempdir().unwrap() };
        fs::create_dir(adapter.dir()).unwrap();
        adapter.config(json!({})).tensors(&pair(Q, [4, 64], [64, 4]))
    }

    fn dir(&self) -> PathBuf {
        self.work.path().join("adapter")
    }

    /// With these settings beside the usual ones; null takes one away.
    fn config(self, changes: Value) -> Self {
        let mut config =
            json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": TINY});
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        config.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.file("adapter_config.json", config.to_string().as_bytes())
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        fs::write(self.dir().join(name), content).unwrap();
        self
    }

    /// Zeros of these names and shapes.
    fn tensors(self, tensors: &[(String, Vec<u64>)]) -> Self {
        self.file("adapter_model.safetensors", &safetensors(tensors))
    }

    /// Converts it, which must fail with `code` and say all of `expected`.
    #[track_caller]
    fn says(self, code: i32, expected: &[&str]) {
        self.says_with(&[], code, expected);
    }

    #[track_caller]
    fn says_with(self, flags: &[&str], code: i32, expected: &[&str]) {
        let before = list(&self.dir());
        let output =
            Command::new(env!("CARGO_BIN_EXE_ggraft")).arg("lora").arg(self.dir()).args(flags).output();
        let output = output.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        for text in expected {
            assert!(said.contains(text), "does not say {text:?}:\n{said}");
        }
        assert_eq!(list(&self.dir()), before, "something was left");
    }
}

fn list(dir: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

fn pair(stem: &str, a: [u64; 2], b: [u64; 2]) -> Vec<(String, Vec<u64>)> {
    vec![(format!("{stem}.lora_A.weight"), a.to_vec()), (format!("{stem}.lora_B.weight"), b.to_vec())]
}

fn safetensors(tensors: &[(String, Vec<u64>)]) -> Vec<u8> {
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, shape) in tensors {
        let (begin, len) = (end, 4 * shape.iter().product::<u64>());
        end += len;
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, end]});
        assert!(header.insert(name.clone(), entry).is_none());
    }
    let header = serde_json::to_vec(&header).unwrap();
    let zeros = vec![0; usize::try_from(end).unwrap()];
    [&(header.len() as u64).to_le_bytes()[..], &header, &zeros].concat()
}

#[test]
fn a_usual_one_is_converted() {
    let adapter = Adapter::new();
    let output = Command::new(env!("CARGO_BIN_EXE_ggraft")).arg("lora").arg(adapter.dir()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(adapter.dir().join("Adapter-F32-LoRA.gguf").exists(), "{:?}", list(&adapter.dir()));
}

#[test]
fn factors_that_contradict_each_other() {
    let with = |tensors: Vec<_>| Adapter::new().tensors(&tensors);
    with(pair(Q, [4, 64], [64, 5])).says(4, &["q_proj", "[4, 64]", "[64, 5]", "do not have one rank"]);
    with(pair(Q, [0, 64], [64, 0])).says(4, &["do not have one rank"]);
    with(vec![(format!("{Q}.lora_A.weight"), vec![64]), (format!("{Q}.lora_B.weight"), vec![64])])
        .says(4, &["do not have one rank"]);
    with(pair(Q, [4, 64], [64, 4])[..1].to_vec()).says(4, &["lora_A", "the factor B", "missing"]);
    with(pair(Q, [4, 64], [64, 4])[1..].to_vec()).says(4, &["lora_B", "the factor A", "missing"]);
    // Heads of query are interleaved, which takes rows that are a number of heads.
    with(pair(Q, [4, 64], [63, 4])).says(4, &["q_proj"]);
    let twice = [pair(Q, [4, 64], [64, 4]), vec![(format!("{Q}.lora_embedding_A"), vec![4, 64])]].concat();
    with(twice).says(4, &["another tensor of the adapter has its place"]);
    let both = [
        pair("base_model.model.model.norm", [4, 64], [64, 4]),
        vec![("base_model.model.model.norm.weight".to_owned(), vec![64])],
    ];
    with(both.concat()).says(4, &["another tensor of the adapter has its place"]);
}

#[test]
fn what_is_no_factor() {
    let with = |name: &str, shape: &[u64]| {
        let more = vec![(format!("base_model.model.{name}"), shape.to_vec())];
        Adapter::new().tensors(&[pair(Q, [4, 64], [64, 4]), more].concat())
    };
    let q = "model.layers.0.self_attn.q_proj";
    with(&format!("{q}.lora_magnitude_vector"), &[64]).says(3, &["DoRA", "merge the adapter with PEFT"]);
    with("lm_head.weight", &[32, 64]).says(3, &["a whole matrix", "new tokens"]);
    with("model.embed_tokens.weight", &[32, 64]).says(3, &["a whole matrix"]);
    with(&format!("{q}.bias"), &[64]).says(3, &["neither a factor"]);
    with(&format!("{q}.lora_A.default.weight"), &[4, 64]).says(3, &["save_pretrained"]);
    with("model.layers.0.input_layernorm.weight", &[2, 64]).says(3, &["expected a vector"]);
    let other = "base_model.model.model.layers.0.self_attn.z_proj";
    Adapter::new().tensors(&pair(other, [4, 64], [64, 4])).says(3, &["has no tensor", "z_proj"]);
    let other = "base_model.model.model.layers.99.self_attn.q_proj";
    Adapter::new().tensors(&pair(other, [4, 64], [64, 4])).says(3, &["has no tensor", "layers.99"]);
    let vision = "base_model.model.vision_tower.layers.0.q_proj";
    Adapter::new().tensors(&pair(vision, [4, 64], [64, 4])).says(4, &["no tensor of the adapter belongs"]);
    Adapter::new().tensors(&[]).says(4, &["has no tensors"]);
}

#[test]
fn settings_that_make_no_sense() {
    let with = |changes| Adapter::new().config(changes);
    with(json!({"lora_alpha": null})).says(4, &["adapter_config.json", "lora_alpha", "expected a number"]);
    with(json!({"lora_alpha": "8"})).says(4, &["lora_alpha", "expected a number"]);
    with(json!({"lora_alpha": 1e300})).says(4, &["lora_alpha", "finite"]);
    with(json!({"peft_type": "IA3"})).says(3, &["peft_type is", "IA3", "LORA"]);
    with(json!({"use_rslora": 3})).says(4, &["use_rslora", "expected a boolean"]);
    with(json!({"alpha_pattern": []})).says(4, &["alpha_pattern", "expected an object"]);
    with(json!({"alora_invocation_tokens": [-1]})).says(4, &["alora_invocation_tokens", "token ids"]);
    with(json!({"alora_invocation_tokens": [1.5]})).says(4, &["token ids"]);
    with(json!({"alora_invocation_tokens": "1"})).says(4, &["token ids"]);
    with(json!({"invocation_string": ["a"]})).says(4, &["invocation_string", "expected a string"]);
    with(json!({"invocation_string": "a".repeat(1 << 17)})).says(4, &["invocation_string", "at most 65536"]);
    for number in ["NaN", "Infinity", "-Infinity"] {
        let text = format!("{{\"lora_alpha\": {number}, \"base_model_name_or_path\": {:?}}}", TINY);
        Adapter::new().file("adapter_config.json", text.as_bytes()).says(4, &["lora_alpha", "finite"]);
    }
    for text in ["", "{", "[]", "null", "\u{0}", "{\"lora_alpha\": 8, \"lora_alpha\"}"] {
        Adapter::new().file("adapter_config.json", text.as_bytes()).says(4, &["adapter_config.json"]);
    }
    let nested = "[".repeat(100_000);
    Adapter::new().file("adapter_config.json", nested.as_bytes()).says(4, &["adapter_config.json"]);
    let large = vec![b' '; 5 << 20];
    Adapter::new().file("adapter_config.json", &large).says(4, &["adapter_config.json"]);
}

#[test]
fn base_models_that_are_not_there() {
    let named = |name: Value| Adapter::new().config(json!({"base_model_name_or_path": name}));
    named(Value::Null).says(2, &["does not say what it adapts", "--base"]);
    named("no-such-org/no-such-model".into()).says(
        2,
        &[
            "no-such-org/no-such-model",
            "is not on this machine",
            "--base",
            "hf download no-such-org/no-such-model",
        ],
    );
    named("../../etc/passwd".into()).says(2, &["is not on this machine"]);
    named("a\u{1b}[31m/b".into()).says(2, &["is not on this machine", "\\u{1b}"]);
    named(3.into()).says(4, &["base_model_name_or_path", "expected a string"]);
    Adapter::new().says_with(&["--base", "/nonexistent"], 2, &["nothing of that name"]);
    Adapter::new().says_with(
        &["--base-model-id", "no-such-org/x"],
        2,
        &["--base-model-id", "is not on this machine"],
    );
    let adapter = Adapter::new();
    let dir = adapter.dir();
    adapter.says_with(&["--base", dir.to_str().unwrap()], 3, &["is an adapter"]);
}

#[test]
fn files_that_are_missing_or_damaged() {
    let without = |name: &str| {
        let adapter = Adapter::new();
        fs::remove_file(adapter.dir().join(name)).unwrap();
        adapter
    };
    without("adapter_config.json").says(4, &["there is no adapter_config.json", "save_pretrained"]);
    without("adapter_model.safetensors").says(4, &["adapter_model.safetensors or adapter_model.bin"]);
    without("adapter_config.json").file("config.json", b"{}").says(4, &["this is a model", "--base"]);
    Adapter::new()
        .file("adapter_model.safetensors", b"version https://git-lfs.github.com/spec/v1\n")
        .says(4, &["LFS"]);
    let whole = safetensors(&pair(Q, [4, 64], [64, 4]));
    for len in [0, 7, 8, 20, whole.len() - 1] {
        Adapter::new()
            .file("adapter_model.safetensors", &whole[..len])
            .says(4, &["adapter_model.safetensors"]);
    }
    without("adapter_model.safetensors").file("adapter_model.bin", b"not torch's").says(3, &["torch.save"]);
    let adapter = without("adapter_model.safetensors");
    let secret = adapter.work.path().join("secret");
    fs::write(&secret, &whole).unwrap();
    std::os::unix::fs::symlink(&secret, adapter.dir().join("adapter_model.safetensors")).unwrap();
    adapter.says(4, &["adapter_model.safetensors", "a link out of its directory"]);
}

#[test]
fn outputs_that_would_replace_what_is_read() {
    let adapter = Adapter::new();
    let target = adapter.dir().join("adapter_model.safetensors");
    adapter.says_with(&["--outfile", target.to_str().unwrap()], 2, &["is part of the model that is read"]);
    let base = Path::new(TINY).join("tokenizer.json");
    Adapter::new().says_with(
        &["--outfile", base.to_str().unwrap()],
        2,
        &["is part of the model that is read"],
    );
    Adapter::new().says_with(&["--outtype", "tq1_0"], 2, &["--outtype"]);
    Adapter::new().says_with(&["--bigendian"], 3, &["--bigendian"]);
}
