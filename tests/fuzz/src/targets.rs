//! What is fed, and how. Models are put together in memory; whatever is refused is refused, nothing else may happen.

use std::io::{Cursor, Write};
use std::path::Path;

use ggraft::checkpoint::Checkpoint;
use ggraft::describe::{self, describe};
use ggraft::source::ModelDir;
use ggraft::{arch, gguf, metadata};
use serde_json::{Value, json};

use crate::plans;

/// One thing that reads strangers' files.
pub struct Target {
    /// Its name on the command line, and of its seeds.
    pub name: &'static str,
    /// Whether what it is fed is JSON.
    pub is_json: bool,
    /// Feeds it.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "safetensors", is_json: false, run: safetensors },
    Target { name: "index", is_json: true, run: index },
    Target { name: "config", is_json: true, run: config },
    Target { name: "tokenizer_json", is_json: true, run: tokenizer_json },
    Target { name: "sentencepiece", is_json: false, run: sentencepiece },
    Target { name: "tekken", is_json: true, run: tekken },
    Target { name: "tiktoken", is_json: false, run: tiktoken },
    Target { name: "card", is_json: false, run: card },
    Target { name: "pickle", is_json: false, run: pickle },
    Target { name: "gguf", is_json: false, run: gguf },
    Target { name: "plan", is_json: false, run: plans::run },
];

/// Most bytes of tensors that a made-up file really has.
const MOST_DATA: usize = 1 << 20;

fn open(files: Vec<(&str, Vec<u8>)>) {
    _ = Checkpoint::open(&ModelDir::in_memory("model", files));
}

fn safetensors(data: &[u8]) {
    open(vec![("model.safetensors", data.to_vec())]);
}

fn index(data: &[u8]) {
    let shard = |name: &str| with_header(&json!({ name: {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]} }), 4);
    open(vec![
        ("model.safetensors.index.json", data.to_vec()),
        ("model-00001-of-00002.safetensors", shard("a")),
        ("model-00002-of-00002.safetensors", shard("b")),
    ]);
}

/// A safetensors file with this header, and `len` bytes of data.
fn with_header(header: &Value, len: usize) -> Vec<u8> {
    let text = header.to_string().into_bytes();
    let data = (0..len).map(|i| if i % 2 == 1 { 0x3c } else { i as u8 });
    (text.len() as u64).to_le_bytes().into_iter().chain(text.iter().copied()).chain(data).collect()
}

/// `{"config": …, "tensors": [[name, dtype, shape], …], "tokenizer": true}`, from the description to every byte.
fn config(data: &[u8]) {
    let Ok(model) = serde_json::from_slice::<Value>(data) else { return };
    let mut header = serde_json::Map::new();
    let mut end = 0usize;
    for tensor in model["tensors"].as_array().into_iter().flatten() {
        let (Some(name), Some(dtype), Some(shape)) = (tensor[0].as_str(), tensor[1].as_str(), tensor[2].as_array()) else {
            return;
        };
        let size = match dtype {
            "F64" | "I64" | "U64" => 8,
            "F32" | "I32" | "U32" => 4,
            "F16" | "BF16" | "I16" | "U16" => 2,
            _ => 1,
        };
        let elements = shape.iter().try_fold(1usize, |product, n| product.checked_mul(usize::try_from(n.as_u64()?).ok()?));
        let Some(len) = elements.and_then(|n| n.checked_mul(size)).filter(|len| *len <= MOST_DATA - end) else { return };
        header.insert(name.to_owned(), json!({"dtype": dtype, "shape": shape, "data_offsets": [end, end + len]}));
        end += len;
    }
    let files = vec![
        ("config.json", model["config"].to_string().into_bytes()),
        ("model.safetensors", with_header(&Value::Object(header), end)),
        ("tokenizer.model", include_bytes!("../../tokenizers/spm/tokenizer.model").to_vec()),
        ("tokenizer.json", include_bytes!("../../tokenizers/llama-hf/tokenizer.json").to_vec()),
    ];
    let dir = ModelDir::in_memory("model", files);
    for outtype in [arch::OutType::Auto, arch::OutType::Q8_0] {
        let arch = arch::Options { outtype, ..Default::default() };
        let options = describe::Options { arch, allow_incomplete: true, ..Default::default() };
        if let Ok(description) = describe(&dir, describe::Target::Text, &options) {
            plans::carry_out(&description);
        }
    }
}

/// Describes a vocabulary for a model of each of these types.
fn vocabulary(configs: &[Value], files: &[(&str, &[u8])], options: &describe::Options) {
    for config in configs {
        let config = config.to_string().into_bytes();
        let files = files.iter().map(|(name, bytes)| (*name, bytes.to_vec()));
        let dir = ModelDir::in_memory("model", files.chain([("config.json", config.clone()), ("params.json", config)]));
        _ = describe(&dir, describe::Target::Vocabulary, options);
    }
}

fn of_family(architecture: &str, model_type: &str, more: Value) -> Value {
    let mut config = json!({
        "architectures": [architecture], "model_type": model_type, "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 512,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
    });
    if let (Some(config), Some(more)) = (config.as_object_mut(), more.as_object()) {
        config.extend(more.clone());
    }
    config
}

fn llama() -> Value {
    of_family("LlamaForCausalLM", "llama", json!({}))
}

fn tokenizer_json(data: &[u8]) {
    let families = [
        llama(),
        of_family("BertModel", "bert", json!({"layer_norm_eps": 1e-12, "type_vocab_size": 2})),
        of_family("XLMRobertaModel", "xlm-roberta", json!({"layer_norm_eps": 1e-12, "type_vocab_size": 1})),
    ];
    vocabulary(&families, &[("tokenizer.json", data)], &describe::Options::default());
}

fn sentencepiece(data: &[u8]) {
    let t5 = json!({
        "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "d_model": 64, "d_ff": 96, "d_kv": 16,
        "num_layers": 1, "num_heads": 4, "vocab_size": 320, "layer_norm_epsilon": 1e-6,
        "relative_attention_num_buckets": 32, "decoder_start_token_id": 0,
    });
    let files: [(&str, &[u8]); 2] = [("tokenizer.model", data), ("spiece.model", data)];
    vocabulary(&[llama(), t5], &files, &describe::Options::default());
}

fn tekken(data: &[u8]) {
    let params = json!({
        "dim": 64, "n_layers": 1, "head_dim": 16, "hidden_dim": 96, "n_heads": 4, "n_kv_heads": 4, "norm_eps": 1e-5,
        "vocab_size": 416, "rope_theta": 1e6,
    });
    let mistral = of_family("MistralForCausalLM", "mistral", params);
    let options = describe::Options { mistral_format: true, ..Default::default() };
    vocabulary(&[mistral], &[("tekken.json", data)], &options);
}

fn tiktoken(data: &[u8]) {
    let qwen = of_family(
        "QWenLMHeadModel",
        "qwen",
        json!({"seq_length": 64, "layer_norm_epsilon": 1e-6, "kv_channels": 16, "rotary_emb_base": 1e4}),
    );
    vocabulary(&[qwen], &[("qwen.tiktoken", data)], &describe::Options::default());
}

fn card(data: &[u8]) {
    let dir = ModelDir::in_memory("Test-Llama-7B-Instruct", [("README.md", data.to_vec())]);
    let inputs = metadata::Inputs { dir: &dir, metadata_override: None, model_name: None, params: None };
    if let Ok(metadata) = metadata::Metadata::load(&inputs) {
        _ = metadata.write(&mut gguf::KeyValues::new());
        _ = metadata.default_file_name("BF16", false);
    }
}

/// A pickle as torch.save puts it into a file, or such a file.
fn pickle(data: &[u8]) {
    let file = if data.starts_with(b"PK") { Some(data.to_vec()) } else { zipped(data) };
    if let Some(file) = file {
        open(vec![("pytorch_model.bin", file)]);
    }
}

fn zipped(pickle: &[u8]) -> Option<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let parts: [(&str, &[u8]); 5] = [
        ("archive/data.pkl", pickle),
        ("archive/byteorder", b"little"),
        ("archive/data/0", &[0; 64]),
        ("archive/data/1", &[0; 128]),
        ("archive/version", b"3\n"),
    ];
    for (name, bytes) in parts {
        zip.start_file(name, stored).ok()?;
        zip.write_all(bytes).ok()?;
    }
    Some(zip.finish().ok()?.into_inner())
}

fn gguf(data: &[u8]) {
    let dir = ModelDir::in_memory("files", [("m.gguf", data.to_vec())]);
    if let Ok(file) = dir.file(Path::new("m.gguf")) {
        _ = gguf::read_file(&file);
    }
}
