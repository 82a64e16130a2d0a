//! Model directories that lie, run through the command: each must end with the right exit code and one
//! clear line, without panic, hang or large allocation, leaving nothing behind and the model untouched.
//!
//! Every case is a valid tiny model with one thing broken.

mod common;
mod handmade;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::model_dir::ModelDir;
use handmade::{index, put};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

const UNSUPPORTED: i32 = 3;
const INVALID: i32 = 4;

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// What is wrong, what breaks the valid model in this directory, the exit code, what the message must contain.
type Case = (&'static str, fn(&Path), i32, &'static str);

const Q: &str = "model.layers.0.self_attn.q_proj.weight";
const K: &str = "model.layers.0.self_attn.k_proj.weight";

/// The valid model: a Llama of two layers with a SentencePiece vocabulary.
fn llama() -> Value {
    json!({
        "dir": "Tiny-Llama", "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
            "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "vocab_size": 512, "tie_word_embeddings": false, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        },
        "files": {"README.md": ["---", "license: mit", "---", "A model."]},
        "weights": {"seed": 7, "dtype": "bf16"},
    })
}

/// Writes the model `description` describes to `dir`, replacing what is there.
fn write(dir: &Path, description: &Value) {
    _ = fs::remove_dir_all(dir);
    let model: ModelDir = serde_json::from_value(description.clone()).unwrap();
    model
        .write(dir.parent().unwrap(), &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers"))
        .unwrap();
}

/// The valid model with other weights or tokenizer: `patch` is merged into its description.
fn model(dir: &Path, patch: &Value) {
    let mut description = llama();
    merge(&mut description, patch);
    write(dir, &description);
}

/// A Mixtral of four experts, `patch` merged into its description.
fn mixtral(dir: &Path, patch: &Value) {
    let mut experts = json!({
        "config": {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "num_local_experts": 4},
        "weights": {"experts": "mixtral"},
    });
    merge(&mut experts, patch);
    model(dir, &experts);
}

/// Merges objects; null removes a key.
fn merge(target: &mut Value, patch: &Value) {
    let (Some(map), Some(patch)) = (target.as_object_mut(), patch.as_object()) else {
        *target = patch.clone();
        return;
    };
    for (key, value) in patch {
        match value {
            Value::Null => drop(map.shift_remove(key)),
            _ => merge(map.entry(key).or_insert(Value::Null), value),
        }
    }
}

/// Changes keys of a JSON file; null removes one.
fn edit(dir: &Path, file: &str, patch: &Value) {
    let mut json =
        fs::read(dir.join(file)).map_or(json!({}), |bytes| serde_json::from_slice(&bytes).unwrap());
    merge(&mut json, patch);
    put(dir, file, json.to_string());
}

fn config(dir: &Path, patch: &Value) {
    edit(dir, "config.json", patch);
}

/// Replaces `from`, which must be there, in the text of config.json: for what JSON libraries do not write.
fn config_text(dir: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(dir.join("config.json")).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    put(dir, "config.json", text.replace(from, to));
}

/// Changes the header of the weights, leaving the data as it is.
fn header(dir: &Path, change: impl Fn(&mut Map<String, Value>)) {
    let bytes = fs::read(dir.join(WEIGHTS)).unwrap();
    let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut map = serde_json::from_slice(&bytes[8..data]).unwrap();
    change(&mut map);
    let json = Value::Object(map).to_string();
    put(dir, WEIGHTS, [&(json.len() as u64).to_le_bytes(), json.as_bytes(), &bytes[data..]].concat());
}

/// Gives a tensor another dtype and shape for the same bytes.
fn describe(dir: &Path, tensor: &str, dtype: &str, shape: &[u64]) {
    header(dir, |map| {
        map[tensor]["dtype"] = json!(dtype);
        map[tensor]["shape"] = json!(shape);
    });
}

fn offsets(dir: &Path, tensor: &str, change: impl Fn(u64, u64) -> (u64, u64)) {
    header(dir, |map| {
        let range: (u64, u64) = serde_json::from_value(map[tensor]["data_offsets"].clone()).unwrap();
        map[tensor]["data_offsets"] = json!(change(range.0, range.1));
    });
}

fn rename(dir: &Path, from: &str, to: &str) {
    header(dir, |map| {
        let tensor = map.shift_remove(from).unwrap();
        map.insert(to.into(), tensor);
    });
}

fn rope(dir: &Path, settings: Value) {
    config(dir, &json!({"rope_scaling": settings}));
}

fn remove(dir: &Path, file: &str) {
    fs::remove_file(dir.join(file)).unwrap();
}

/// Puts something else in the place of `file`, if it is there.
fn instead(dir: &Path, file: &str, put: impl Fn(&Path)) {
    _ = fs::remove_file(dir.join(file));
    put(&dir.join(file));
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn to_itself(path: &Path) {
    symlink(path.file_name().unwrap(), path).unwrap();
}

fn directory(path: &Path) {
    fs::create_dir(path).unwrap();
}

fn sparse(path: &Path, len: u64) {
    File::create(path).unwrap().set_len(len).unwrap();
}

/// The model with a vocabulary in tokenizer.json, whose text is changed.
fn bpe(dir: &Path, change: impl Fn(&mut Value)) {
    model(dir, &json!({"tokenizer": null}));
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/tiny-llama");
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(tiny.join(file), dir.join(file)).unwrap();
    }
    let mut tokenizer = serde_json::from_slice(&fs::read(dir.join("tokenizer.json")).unwrap()).unwrap();
    change(&mut tokenizer);
    put(dir, "tokenizer.json", tokenizer.to_string());
}

#[rustfmt::skip]
const FILES: &[Case] = &[
    ("empty directory", |d| { fs::remove_dir_all(d).unwrap(); fs::create_dir(d).unwrap(); }, INVALID, "config.json: no such file"),
    ("no weights", |d| remove(d, WEIGHTS), INVALID, "expected model.safetensors"),
    ("no tokenizer", |d| model(d, &json!({"tokenizer": null})), UNSUPPORTED, "expected tokenizer.json or tokenizer.model"),
    ("config.json is a directory", |d| instead(d, "config.json", directory), INVALID, "config.json: expected a regular file, found a directory"),
    ("config.json is a FIFO", |d| instead(d, "config.json", fifo), INVALID, "config.json: expected a regular file, found a FIFO"),
    ("config.json leads to itself", |d| instead(d, "config.json", to_itself), INVALID, "config.json: expected a file, found a symlink"),
    ("config.json leads nowhere", |d| instead(d, "config.json", |p| symlink("../../blobs/0", p).unwrap()), INVALID, "\"../../blobs/0\" that cannot be followed"),
    ("config.json is a device", |d| instead(d, "config.json", |p| symlink("/dev/zero", p).unwrap()), INVALID, "found a device"),
    ("config.json is a terabyte", |d| instead(d, "config.json", |p| sparse(p, 1 << 40)), INVALID, "config.json: expected at most"),
    ("weights are a FIFO", |d| instead(d, WEIGHTS, fifo), INVALID, "model.safetensors: expected a regular file, found a FIFO"),
    ("weights are a directory", |d| instead(d, WEIGHTS, directory), INVALID, "model.safetensors: expected a regular file, found a directory"),
    ("weights lead to themselves", |d| instead(d, WEIGHTS, to_itself), INVALID, "cannot be followed"),
    ("tokenizer.model is a FIFO", |d| instead(d, "tokenizer.model", fifo), INVALID, "tokenizer.model: expected a regular file, found a FIFO"),
    ("tokenizer.model is a directory", |d| instead(d, "tokenizer.model", directory), INVALID, "tokenizer.model: expected a regular file, found a directory"),
    ("tokenizer.model is empty", |d| put(d, "tokenizer.model", ""), INVALID, "tokenizer.model"),
    ("tokenizer.model is noise", |d| put(d, "tokenizer.model", [0xff; 4096]), INVALID, "tokenizer.model"),
    ("tokenizer.model is a terabyte", |d| instead(d, "tokenizer.model", |p| sparse(p, 1 << 40)), INVALID, "tokenizer.model: expected at most"),
    ("tokenizer.json is a FIFO", |d| { bpe(d, |_| ()); instead(d, "tokenizer.json", fifo); }, INVALID, "tokenizer.json: expected a regular file, found a FIFO"),
    ("tokenizer.json leads to itself", |d| { bpe(d, |_| ()); instead(d, "tokenizer.json", to_itself); }, INVALID, "tokenizer.json: expected a file, found a symlink"),
    ("tokenizer_config.json is a FIFO", |d| instead(d, "tokenizer_config.json", fifo), INVALID, "tokenizer_config.json: expected a regular file, found a FIFO"),
    ("generation_config.json is a FIFO", |d| instead(d, "generation_config.json", fifo), INVALID, "generation_config.json: expected a regular file, found a FIFO"),
    ("the model card is a FIFO", |d| instead(d, "README.md", fifo), INVALID, "README.md: expected a regular file, found a FIFO"),
    ("the chat template is a FIFO", |d| { edit(d, "tokenizer_config.json", &json!({"chat_template": null})); instead(d, "chat_template.jinja", fifo); }, INVALID, "chat_template.jinja: expected a regular file, found a FIFO"),
    ("the model card is not UTF-8", |d| put(d, "README.md", b"---\nlicense: \xff\n---\n"), INVALID, "README.md"),
    ("the model card nests deeply", |d| put(d, "README.md", format!("---\nlicense: {}\n---\n", "[".repeat(100_000))), INVALID, "README.md"),
    ("the model card is a terabyte", |d| instead(d, "README.md", |p| sparse(p, 1 << 40)), INVALID, "README.md: expected at most"),
    ("the weights' name is not UTF-8", |d| {
        let name = std::ffi::OsStr::from_bytes(b"model-\xff.safetensors");
        fs::rename(d.join(WEIGHTS), d.join(name)).unwrap();
        File::options().write(true).open(d.join(name)).unwrap().set_len(100).unwrap();
    }, INVALID, "model-\u{fffd}.safetensors"),
];

#[rustfmt::skip]
const WEIGHT_FILES: &[Case] = &[
    ("cut off in the data", |d| {
        let len = fs::metadata(d.join(WEIGHTS)).unwrap().len();
        File::options().write(true).open(d.join(WEIGHTS)).unwrap().set_len(len - 1).unwrap();
    }, INVALID, "ends behind the data"),
    ("cut off in the header", |d| File::options().write(true).open(d.join(WEIGHTS)).unwrap().set_len(99).unwrap(), INVALID, "the file has 99 bytes"),
    ("header length of 2^64-1", |d| {
        let mut bytes = fs::read(d.join(WEIGHTS)).unwrap();
        bytes[..8].fill(0xff);
        put(d, WEIGHTS, bytes);
    }, INVALID, "expected at most 100000000"),
    ("header length one short", |d| {
        let mut bytes = fs::read(d.join(WEIGHTS)).unwrap();
        // The JSON ends in spaces; cutting into it is what hurts.
        let json = bytes[8..].iter().rposition(|b| *b == b'}').unwrap();
        let len = bytes[8..][..json].windows(2).rposition(|w| w == b"}}").map_or(json, |at| at + 1);
        bytes[..8].copy_from_slice(&(len as u64).to_le_bytes());
        put(d, WEIGHTS, bytes);
    }, INVALID, "not a valid safetensors header"),
    ("header nests deeply", |d| put(d, WEIGHTS, handmade::safetensors("{\"a\":".repeat(1_000_000), 8)), INVALID, "model.safetensors"),
    ("header is not UTF-8", |d| put(d, WEIGHTS, handmade::safetensors(b"{\"\xff\":1}", 8)), INVALID, "not UTF-8"),
    ("tensors overlap", |d| offsets(d, Q, |start, end| (start - 2, end - 2)), INVALID, "overlaps"),
    ("a hole between tensors", |d| header(d, |map| drop(map.shift_remove(Q))), INVALID, "leaves a hole"),
    ("a tensor beyond the end", |d| offsets(d, Q, |start, end| (start + (1 << 40), end + (1 << 40))), INVALID, "leaves a hole"),
    ("a shape that overflows", |d| describe(d, Q, "BF16", &[1 << 63, 2]), INVALID, "more bytes than a file can hold"),
    ("a shape of nothing that overflows", |d| describe(d, Q, "BF16", &[0, 1 << 40, 1 << 40]), INVALID, "more bytes than a file can hold"),
    ("a shape that overflows to the right size", |d| describe(d, Q, "BF16", &[(1 << 63) + 4096]), INVALID, "more bytes than a file can hold"),
    ("a shape of another size", |d| describe(d, Q, "BF16", &[64, 65]), INVALID, "needs 8320 bytes, but its range"),
    ("a million dimensions", |d| describe(d, Q, "BF16", &vec![1; 1_000_000]), INVALID, "more than 64 dimensions"),
    ("five dimensions", |d| describe(d, "model.layers.0.mlp.up_proj.weight", "BF16", &[2, 2, 2, 12, 64]), UNSUPPORTED, "5 dimensions"),
    ("a tensor twice in the header", |d| {
        let bytes = fs::read(d.join(WEIGHTS)).unwrap();
        let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let json = String::from_utf8(bytes[8..data].to_vec()).unwrap().replace("layers.1.self_attn.q_proj", "layers.0.self_attn.q_proj");
        put(d, WEIGHTS, [&(json.len() as u64).to_le_bytes(), json.as_bytes(), &bytes[data..]].concat());
    }, INVALID, "appears twice"),
    ("a tensor in two files", |d| {
        fs::copy(d.join(WEIGHTS), d.join("model-00002-of-00002.safetensors")).unwrap();
        fs::rename(d.join(WEIGHTS), d.join("model-00001-of-00002.safetensors")).unwrap();
    }, INVALID, "again in"),
    ("an index that leads up", |d| put(d, INDEX, index(&[(Q, "../model.safetensors")])), INVALID, "leads out of the model directory"),
    ("an index with an absolute path", |d| put(d, INDEX, index(&[(Q, "/etc/passwd")])), INVALID, "leads out of the model directory"),
    ("an index that names missing files", |d| put(d, INDEX, index(&[(Q, "model-00001-of-00002.safetensors")])), INVALID, "files it names are missing"),
    ("an index that names missing tensors", |d| model(d, &json!({"weights": {"shards": 2, "only_in_index": ["model.layers.2.mlp.up_proj.weight"]}})), INVALID, "1 tensors it names are missing"),
    ("an index that is a list", |d| put(d, INDEX, "[]"), INVALID, "model.safetensors.index.json: not a valid index"),
    ("a missing shard", |d| {
        model(d, &json!({"weights": {"shards": 3}}));
        remove(d, "model-00002-of-00003.safetensors");
    }, INVALID, "1 of 3 files it names are missing: \"model-00002-of-00003.safetensors\""),
    ("a Git LFS pointer", |d| put(d, WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n"), INVALID, "git lfs pull"),
    ("elements of type F8_E4M3FNUZ", |d| describe(d, Q, "F8_E4M3FNUZ", &[64, 128]), UNSUPPORTED, "stored as F8_E4M3FNUZ"),
    ("elements of type F4", |d| describe(d, Q, "F4", &[64, 256]), UNSUPPORTED, "stored as F4"),
    ("elements of type U16", |d| describe(d, Q, "U16", &[64, 64]), UNSUPPORTED, "U16"),
    ("elements of type U64", |d| describe(d, Q, "U64", &[64, 16]), UNSUPPORTED, "U64"),
    ("elements of type U32", |d| describe(d, Q, "U32", &[64, 32]), UNSUPPORTED, "U32"),
];

#[rustfmt::skip]
const TENSORS: &[Case] = &[
    ("Q of one element", |d| model(d, &json!({"weights": {"omit": ["layers.0.self_attn.q_proj"], "extra": [[Q, [1]]]}})), INVALID, "q_proj.weight: expected an even number of rows for each of 4 heads, found shape [1]"),
    ("Q without rows", |d| model(d, &json!({"weights": {"omit": ["layers.0.self_attn.q_proj"], "extra": [[Q, [0, 64]]]}})), INVALID, "q_proj.weight: expected an even number of rows"),
    ("Q without dimensions", |d| model(d, &json!({"weights": {"omit": ["layers.0.self_attn.q_proj"], "extra": [[Q, []]]}})), INVALID, "found shape []"),
    ("rows of Q that no head divides", |d| describe(d, Q, "BF16", &[2, 2048]), INVALID, "4 heads, found shape [2, 2048]"),
    ("rows of K that no head divides", |d| describe(d, K, "BF16", &[1, 2048]), INVALID, "2 heads, found shape [1, 2048]"),
    ("an odd number of rows per head", |d| model(d, &json!({"config": {"head_dim": 3, "model_type": "none"}})), INVALID, "expected an even number of rows for each of 2 heads, found shape [6, 64]"),
    ("a norm without elements", |d| model(d, &json!({"weights": {"omit": ["model.norm"], "extra": [["model.norm.weight", [0]]]}})), INVALID, "output_norm.weight would have no elements"),
    ("a name that maps to nothing", |d| rename(d, Q, "model.layers.0.self_attn.nothing.weight"), UNSUPPORTED, "architecture llama has no tensor \"model.layers.0.self_attn.nothing.weight\""),
    ("a block beyond the last", |d| rename(d, Q, "model.layers.2.self_attn.v_proj.weight"), UNSUPPORTED, "tensor \"model.layers.2.self_attn.v_proj.weight\" is of layer 2, and config.json says that there are 2"),
    ("a block of sixty thousand digits", |d| rename(d, Q, &format!("model.layers.{}.self_attn.v_proj.weight", "9".repeat(60_000))), UNSUPPORTED, "architecture llama has no tensor"),
    ("a name of a megabyte", |d| rename(d, Q, &"q".repeat(1 << 20)), INVALID, "has a name of 1048576 bytes"),
    ("a name with escapes", |d| rename(d, Q, "\u{1b}[31m\nred"), UNSUPPORTED, r"\u{1b}[31m\nred"),
    ("two names for one tensor", |d| rename(d, Q, "layers.0.attention.wv.weight"), INVALID, "blk.0.attn_v.weight"),
    ("experts missing", |d| mixtral(d, &json!({"weights": {"omit": ["layers.0.block_sparse_moe.experts.3.w2"]}})), INVALID, "experts of layer 0 are incomplete"),
    ("an expert too many", |d| {
        mixtral(d, &json!({}));
        config(d, &json!({"num_local_experts": 3}));
    }, INVALID, "experts"),
    ("experts of different shapes", |d| {
        mixtral(d, &json!({}));
        describe(d, "model.layers.0.block_sparse_moe.experts.2.w1.weight", "BF16", &[64, 96]);
    }, INVALID, "expected shape [96, 64], found [64, 96]"),
    ("an expert that is not a number", |d| {
        mixtral(d, &json!({}));
        rename(d, "model.layers.0.block_sparse_moe.experts.2.w1.weight", "model.layers.0.block_sparse_moe.experts.x.w1.weight");
    }, INVALID, "experts.2.w1.weight is missing"),
    ("an expert that is not a matrix", |d| {
        mixtral(d, &json!({"weights": {"omit": ["layers.0.block_sparse_moe.experts.0."], "extra": [
            ["model.layers.0.block_sparse_moe.experts.0.w1.weight", []],
            ["model.layers.0.block_sparse_moe.experts.0.w2.weight", []],
            ["model.layers.0.block_sparse_moe.experts.0.w3.weight", []]]}}));
    }, INVALID, "experts.1.w1.weight: expected shape [], found [96, 64]"),
    ("a billion experts", |d| {
        mixtral(d, &json!({}));
        config(d, &json!({"num_local_experts": 1_000_000_000}));
    }, INVALID, "experts of layer 0 are incomplete"),
    ("no experts", |d| {
        mixtral(d, &json!({}));
        config(d, &json!({"num_local_experts": 0}));
    }, INVALID, "0 experts"),
];

#[rustfmt::skip]
const CONFIGS: &[Case] = &[
    ("empty", |d| put(d, "config.json", ""), INVALID, "config.json: not valid JSON"),
    ("a list", |d| put(d, "config.json", "[]"), INVALID, "config.json: expected a JSON object, found []"),
    ("cut off", |d| put(d, "config.json", "{\"architectures\": [\"Llama"), INVALID, "config.json: not valid JSON"),
    ("not UTF-8", |d| put(d, "config.json", b"{\"architectures\": [\"\xff\"]}"), INVALID, "config.json: expected UTF-8"),
    ("deep nesting", |d| put(d, "config.json", "{\"a\":".repeat(500_000)), INVALID, "config.json: nested more than"),
    ("not quite NaN", |d| config_text(d, "0.00001", "-NaN"), INVALID, "config.json: not valid JSON"),
    ("an integer beyond all floats", |d| config_text(d, "0.00001", &"9".repeat(400)), INVALID, "rms_norm_eps: expected a number"),
    ("byte order mark", |d| put(d, "config.json", "\u{feff}{}"), INVALID, "config.json: expected JSON, found a UTF-8 byte order mark"),
    ("a number beyond 32-bit floats", |d| config(d, &json!({"rms_norm_eps": 1e300})), INVALID, "rms_norm_eps"),
    ("no architectures", |d| config(d, &json!({"architectures": null})), INVALID, "architectures: expected a list of class names, found nothing"),
    ("empty architectures", |d| config(d, &json!({"architectures": []})), INVALID, "architectures: expected a list of class names"),
    ("architectures is a string", |d| config(d, &json!({"architectures": "LlamaForCausalLM"})), INVALID, "architectures: expected a list"),
    ("architectures is a list of numbers", |d| config(d, &json!({"architectures": [1]})), INVALID, "architectures: expected a list"),
    ("a misspelled architecture", |d| config(d, &json!({"architectures": ["LlamaForCasualLM"]})), UNSUPPORTED, "did you mean LlamaForCausalLM?"),
    ("an unknown architecture", |d| config(d, &json!({"architectures": ["x\n".repeat(100_000)]})), UNSUPPORTED, "--print-supported-models"),
    ("an architecture like no other", |d| config(d, &json!({"architectures": ["LlamaForNothingWhatsoever"]})), UNSUPPORTED, "the nearest that is: LlamaForCausalLM"),
    ("an architecture to report", |d| config(d, &json!({"architectures": ["LlamaForNothing"]})), UNSUPPORTED, "report the architecture's name to ggraft"),
    ("an architecture of the reference", |d| config(d, &json!({"architectures": ["Qwen3TTSForConditionalGeneration"]})), UNSUPPORTED, "Qwen3TTSForConditionalGeneration is not supported yet"),
    ("a vision wrapper", |d| config(d, &json!({"architectures": ["GraniteSpeechForConditionalGeneration"], "text_config": {}})), UNSUPPORTED, "GraniteSpeechForConditionalGeneration"),
    ("text_config is a number", |d| config(d, &json!({"text_config": 1})), INVALID, "text_config: expected an object, found 1"),
    ("no hidden_size", |d| config(d, &json!({"model_type": null, "hidden_size": null})), INVALID, "hidden_size"),
    ("no num_hidden_layers", |d| config(d, &json!({"model_type": null, "num_hidden_layers": null})), INVALID, "num_hidden_layers"),
    ("no num_attention_heads", |d| config(d, &json!({"model_type": null, "num_attention_heads": null})), INVALID, "num_attention_heads"),
    ("no num_key_value_heads", |d| config(d, &json!({"model_type": null, "num_key_value_heads": null})), INVALID, "num_key_value_heads"),
    ("no vocab_size", |d| config(d, &json!({"model_type": null, "vocab_size": null})), INVALID, "vocab_size"),
    ("0 heads", |d| config(d, &json!({"num_attention_heads": 0})), INVALID, "each of 0 heads"),
    ("0 KV heads", |d| config(d, &json!({"num_key_value_heads": 0})), INVALID, "each of 0 heads"),
    ("a trillion heads", |d| config(d, &json!({"num_attention_heads": 1_000_000_000_000u64})), INVALID, "num_attention_heads: expected an unsigned 32-bit integer, found 1000000000000"),
    ("four billion heads", |d| config(d, &json!({"num_attention_heads": 4_294_967_295u64})), INVALID, "each of 4294967295 heads"),
    ("heads that do not divide", |d| config(d, &json!({"num_attention_heads": 5})), INVALID, "each of 5 heads"),
    ("heads is a string", |d| config(d, &json!({"num_attention_heads": "4"})), INVALID, "num_attention_heads: expected an unsigned 32-bit integer, found \"4\""),
    ("a negative number of heads", |d| config(d, &json!({"num_attention_heads": -4})), INVALID, "num_attention_heads: expected an unsigned 32-bit integer, found -4"),
    ("a billion layers", |d| config(d, &json!({"num_hidden_layers": 1_000_000_000})), INVALID, "num_hidden_layers: expected at most 512, found 1000000000"),
    ("a fraction of a layer", |d| config(d, &json!({"num_hidden_layers": 1.5})), INVALID, "num_hidden_layers"),
    ("layers is a list", |d| config(d, &json!({"num_hidden_layers": [2]})), INVALID, "num_hidden_layers"),
    ("a gigantic vocabulary", |d| config(d, &json!({"vocab_size": 1_000_000_000_000u64})), INVALID, "vocab_size"),
    ("a negative vocabulary", |d| config(d, &json!({"vocab_size": -1})), INVALID, "vocab_size"),
    ("a vocabulary smaller than the tokenizer's", |d| model(d, &json!({"tokenizer": "smollm-trimmed"})), INVALID, "config.json says vocab_size is 512"),
    ("rms_norm_eps is a string", |d| config(d, &json!({"rms_norm_eps": "1e-5"})), INVALID, "rms_norm_eps: expected a number, found \"1e-5\""),
    ("head_dim is a list", |d| config(d, &json!({"head_dim": [16]})), INVALID, "head_dim: expected an unsigned 32-bit integer, found [16]"),
    ("rope_scaling is a list", |d| rope(d, json!([1])), INVALID, "expected an object, found [1]"),
    ("rope_scaling is a string", |d| rope(d, json!("linear")), INVALID, "expected an object, found \"linear\""),
    ("rope factor is a string", |d| rope(d, json!({"rope_type": "linear", "factor": "2"})), INVALID, "rope_parameters.factor: expected a number, found \"2\""),
    ("rope type is a number", |d| rope(d, json!({"rope_type": 1, "factor": 2})), INVALID, "rope_parameters.rope_type: expected a string, found 1"),
    ("rope theta is a string", |d| config(d, &json!({"rope_theta": "10000"})), INVALID, "rope_theta: expected a number, found \"10000\""),
    ("llama3 scaling by 0", |d| rope(d, json!({"rope_type": "llama3", "factor": 0, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64})), INVALID, "rope_parameters.factor: expected a positive number"),
    ("llama3 scaling by a negative number", |d| rope(d, json!({"rope_type": "llama3", "factor": -8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64})), INVALID, "rope_parameters.factor"),
    ("llama3 scaling with absurd frequencies", |d| rope(d, json!({"rope_type": "llama3", "factor": 8, "low_freq_factor": 1e308, "high_freq_factor": 1e-308, "original_max_position_embeddings": 64})), INVALID, "rope_parameters.low_freq_factor"),
    ("yarn without a context", |d| { config(d, &json!({"model_type": null})); rope(d, json!({"rope_type": "yarn", "factor": 2})); }, INVALID, "original_max_position_embeddings"),
    ("a context length beyond 32 bits", |d| config(d, &json!({"max_position_embeddings": 1u64 << 32})), INVALID, "max_position_embeddings"),
    ("an unknown gating function", |d| config(d, &json!({"scoring_func": "dice"})), UNSUPPORTED, "unknown expert gating function \"dice\""),
    ("FP8 in blocks of nothing", |d| config(d, &json!({"quantization_config": {"quant_method": "fp8", "weight_block_size": [0, 128]}})), INVALID, "sides of blocks"),
    ("compressed-tensors by tensor", |d| config(d, &json!({"quantization_config": {"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"a": {"weights": {"strategy": "tensor"}}}}})), UNSUPPORTED, "float-quantized"),
    ("compressed-tensors without groups", |d| config(d, &json!({"quantization_config": {"quant_method": "compressed-tensors", "format": "float-quantized"}})), UNSUPPORTED, "compressed-tensors"),
    ("weights quantized by something like FP8", |d| config(d, &json!({"quantization_config": {"quant_method": "fp8x"}})), UNSUPPORTED, "\"fp8x\", which ggraft does not know"),
    ("weights quantized by something to report", |d| config(d, &json!({"quantization_config": {"quant_method": "x"}})), UNSUPPORTED, "report the method and the model's name to ggraft"),
    ("weights of a text model quantized", |d| config(d, &json!({"text_config": {"quantization_config": {"quant_method": "mxfp4"}}})), UNSUPPORTED, "mxfp4"),
    ("quantization_config is a number", |d| config(d, &json!({"quantization_config": 4})), INVALID, "quantization_config: expected an object, found 4"),
];

#[rustfmt::skip]
const TOKENIZERS: &[Case] = &[
    ("tokenizer.json is empty", |d| { bpe(d, |_| ()); put(d, "tokenizer.json", ""); }, INVALID, "tokenizer.json: not valid JSON"),
    ("tokenizer.json is an empty object", |d| bpe(d, |t| *t = json!({})), UNSUPPORTED, "tokenizer.json"),
    ("tokenizer.json is a list", |d| bpe(d, |t| *t = json!([])), INVALID, "tokenizer.json: expected a JSON object"),
    ("tokenizer.json nests deeply", |d| { bpe(d, |_| ()); put(d, "tokenizer.json", "{\"a\":".repeat(1_000_000)); }, INVALID, "tokenizer.json: nested more than"),
    ("tokenizer.json is a terabyte", |d| { bpe(d, |_| ()); instead(d, "tokenizer.json", |p| sparse(p, 1 << 40)); }, INVALID, "tokenizer.json: expected at most"),
    ("no merges", |d| bpe(d, |t| drop(t["model"].as_object_mut().unwrap().shift_remove("merges"))), UNSUPPORTED, "merges"),
    ("merges of unknown tokens", |d| bpe(d, |t| t["model"]["merges"] = json!(["no such"])), INVALID, "tokenizer.json"),
    ("merges is a number", |d| bpe(d, |t| t["model"]["merges"] = json!(1)), INVALID, "tokenizer.json"),
    ("an id of four billion", |d| bpe(d, |t| t["model"]["vocab"]["huge"] = json!(4_294_967_295u64)), INVALID, "tokenizer.json"),
    ("an id of a trillion", |d| bpe(d, |t| t["model"]["vocab"]["huge"] = json!(1_000_000_000_000u64)), INVALID, "tokenizer.json"),
    ("a negative id", |d| bpe(d, |t| t["model"]["vocab"]["negative"] = json!(-1)), INVALID, "tokenizer.json"),
    ("add_prefix_space is a list", |d| edit(d, "tokenizer_config.json", &json!({"add_prefix_space": [1]})), INVALID, "tokenizer_config.json"),
    ("tokenizer_config.json is a list", |d| put(d, "tokenizer_config.json", "[]"), INVALID, "tokenizer_config.json: expected a JSON object"),
    ("added_tokens.json with negative ids", |d| put(d, "added_tokens.json", r#"{"<x>": -1}"#), INVALID, "added_tokens.json"),
    ("generation_config.json is a list", |d| put(d, "generation_config.json", "[1]"), INVALID, "generation_config.json: expected a JSON object"),
];

/// Everything in a directory: type, size, modification time, digest of what is a regular file of bearable size.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let mut bytes = Vec::new();
        if meta.is_file() {
            File::open(&path).unwrap().take(1 << 24).read_to_end(&mut bytes).unwrap();
        }
        let digest = Sha256::digest(&bytes);
        let state = (meta.mode(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
        all.insert(path, format!("{state:?} {digest:x?}"));
    }
    all
}

/// Runs the command with 2 GB of address space, and not for longer than a minute.
fn convert(model: &Path, out: &Path) -> Output {
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -v 2000000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_ggraft"), "convert"])
        .arg(model)
        .arg("--outfile")
        .arg(out)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// What is wrong with how the command answers to a broken model.
fn verdict(case: &Case) -> Result<(), String> {
    let (_, break_it, exit_code, says) = case;
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("Tiny-Llama"), dir.path().join("out"));
    write(&model, &llama());
    break_it(&model);
    fs::create_dir(&out).unwrap();
    let before = snapshot(&model);
    let output = convert(&model, &out);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let check =
        |holds: bool, problem: &str| if holds { Ok(()) } else { Err(format!("{problem}: {stderr:?}")) };
    check(output.status.code() == Some(*exit_code), &format!("{}, expected {exit_code}", output.status))?;
    check(output.stdout.is_empty(), "something on stdout")?;
    check(!stderr.contains("panicked") && !stderr.contains("bug in ggraft"), "blames itself")?;
    // Warnings may come first; then there is one line that says what stopped it.
    let (hints, said): (Vec<_>, Vec<_>) = stderr.lines().partition(|line| line.starts_with("  hint: "));
    let (warnings, errors): (Vec<_>, Vec<_>) =
        said.iter().copied().partition(|line| line.starts_with("ggraft: warning: "));
    check(
        matches!(*errors, [error] if error.starts_with("ggraft: ")) && stderr.ends_with('\n'),
        "not one line",
    )?;
    check(said.last().copied() == errors.first().copied(), "warnings after the error")?;
    check(stderr.lines().rev().take(hints.len()).eq(hints.iter().rev().copied()), "hints before the error")?;
    check(!stderr.lines().any(|line| line.contains(char::is_control)), "control characters")?;
    check(errors[0].len() < 1000 && warnings.len() < 5 && stderr.len() < 5000, "too long")?;
    check(stderr.contains(says), &format!("no {says:?}"))?;
    let named = errors[0].contains(model.to_str().unwrap()) || errors[0].contains("architecture");
    check(named, "names no file")?;
    check(fs::read_dir(&out).unwrap().next().is_none(), "leaves something behind")?;
    check(snapshot(&model) == before, "changes the model")
}

fn check(cases: &[Case]) {
    let wrong: Vec<String> =
        cases.iter().filter_map(|case| Some(format!("{}: {}", case.0, verdict(case).err()?))).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_model_that_is_broken_is_valid() {
    for change in [|_: &Path| (), |d: &Path| mixtral(d, &json!({})), |d: &Path| bpe(d, |_| ())] {
        let dir = tempfile::tempdir().unwrap();
        let (model, out) = (dir.path().join("Tiny-Llama"), dir.path().join("out.gguf"));
        write(&model, &llama());
        change(&model);
        let output = convert(&model, &out);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(out.is_file());
    }
}

#[test]
fn hostile_files() {
    check(FILES);
}

#[test]
fn hostile_weight_files() {
    check(WEIGHT_FILES);
}

#[test]
fn hostile_tensors() {
    check(TENSORS);
}

#[test]
fn hostile_configs() {
    check(CONFIGS);
}

#[test]
fn hostile_tokenizers() {
    check(TOKENIZERS);
}

/// The reference ignores these as well; here a warning says so.
#[test]
fn what_is_ignored_is_warned_of() {
    for (file, content, says) in [
        (
            "added_tokens.json",
            r#"{"<x>": 1000000000000}"#,
            "added_tokens.json: token 1000000000000 is ignored",
        ),
        ("generation_config.json", "{", "generation_config.json: not valid JSON"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("Tiny-Llama");
        write(&model, &llama());
        put(&model, file, content);
        let output = convert(&model, &dir.path().join("out.gguf"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.contains(says), "{file}: {stderr}");
    }
}
