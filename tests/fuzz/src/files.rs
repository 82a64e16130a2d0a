//! Models in memory, one file of which is the fuzzer's.

use std::collections::BTreeMap;
use std::sync::Arc;

use ggraft::describe::{Options, Target, describe};
use ggraft::gguf;
use ggraft::source::ModelDir;

/// More tensor data than this is not worth the time.
const MAX_DATA: usize = 4 << 20;

type Files = BTreeMap<String, Arc<[u8]>>;

macro_rules! tiny {
    ($name:literal) => {
        include_bytes!(concat!("../../models/tiny-llama/", $name))
    };
}

/// The model that comes with the repository.
fn tiny() -> Files {
    let files: [(&str, &[u8]); 5] = [
        ("config.json", tiny!("config.json")),
        ("generation_config.json", tiny!("generation_config.json")),
        ("model.safetensors", tiny!("model.safetensors")),
        ("tokenizer.json", tiny!("tokenizer.json")),
        ("tokenizer_config.json", tiny!("tokenizer_config.json")),
    ];
    files.into_iter().map(|(name, bytes)| (name.to_owned(), Arc::from(bytes))).collect()
}

/// Describes the tiny model with `changes` made to its files, where an empty name takes a file away.
fn described(target: Target, changes: &[(&str, Option<&[u8]>)]) {
    let mut files = tiny();
    for (name, bytes) in changes {
        match bytes {
            Some(bytes) => _ = files.insert((*name).to_owned(), Arc::from(*bytes)),
            None => _ = files.remove(*name),
        }
    }
    let options = Options { allow_incomplete: true, ..Options::default() };
    _ = describe(&ModelDir::in_memory("tiny-llama", files), target, &options);
}

/// A model card.
pub fn card(data: &[u8]) {
    described(Target::Vocabulary, &[("README.md", Some(data))]);
}

/// `config.json`, a zero, and a line "NAME DTYPE SIZE,SIZE" for each tensor: the text model and the projector of it.
pub fn config(data: &[u8]) {
    let (config, tensors) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[][..]),
    };
    let Some(weights) = weights(&String::from_utf8_lossy(tensors)) else { return };
    let mut changes = vec![("config.json", Some(config)), ("model.safetensors", Some(&weights[..]))];
    // Reading a tokenizer takes most of the time. What comes after it, checks of what is complete, is reached by each eighth input.
    if data.len() % 8 != 0 {
        changes.push(("tokenizer.json", None));
    }
    for target in [Target::Text, Target::Projector] {
        described(target, &changes);
    }
}

/// A file that holds the tensors that are listed, all of their numbers zero.
fn weights(listed: &str) -> Option<Vec<u8>> {
    let (mut header, mut at) = (String::from("{"), 0usize);
    for line in listed.lines() {
        let mut words = line.split(' ');
        let (name, dtype, shape) = (words.next()?, words.next()?, words.next()?);
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
            return None;
        }
        let width = match dtype {
            "F64" | "I64" => 8,
            "F32" | "I32" => 4,
            "F16" | "BF16" => 2,
            "F8_E4M3" | "F8_E8M0" | "U8" => 1,
            _ => return None,
        };
        let shape: Vec<usize> = shape.split(',').filter(|n| !n.is_empty()).map(str::parse).collect::<Result<_, _>>().ok()?;
        let bytes = shape.iter().try_fold(width, |product: usize, n| product.checked_mul(*n))?;
        let end = at.checked_add(bytes).filter(|end| *end <= MAX_DATA)?;
        let comma = if at == 0 && header.len() == 1 { "" } else { "," };
        header += &format!("{comma}\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{at},{end}]}}");
        at = end;
    }
    header += "}";
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.resize(file.len() + at, 0);
    Some(file)
}

/// A GGUF file.
pub fn gguf(data: &[u8]) {
    let dir = ModelDir::in_memory("files", [("model.gguf", data)]);
    if let Ok(file) = dir.file("model.gguf") {
        _ = gguf::read_file(&file);
    }
}

/// A safetensors file.
pub fn header(data: &[u8]) {
    described(Target::Text, &[("model.safetensors", Some(data))]);
}

/// The index of a checkpoint in shards; the shard that it should name has the tiny model's tensors.
pub fn index(data: &[u8]) {
    described(
        Target::Text,
        &[
            ("model.safetensors", None),
            ("model-00001-of-00001.safetensors", Some(tiny!("model.safetensors"))),
            ("model.safetensors.index.json", Some(data)),
        ],
    );
}

/// What torch.save writes: a zip with a pickle.
pub fn pickle(data: &[u8]) {
    described(Target::Text, &[("model.safetensors", None), ("pytorch_model.bin", Some(data))]);
}

/// `tokenizer.json`, as byte-level BPE and as what Gemma reads.
pub fn tokenizer(data: &[u8]) {
    described(Target::Vocabulary, &[("tokenizer.json", Some(data))]);
    let gemma = br#"{"architectures": ["GemmaForCausalLM"], "model_type": "gemma", "vocab_size": 512}"#;
    described(Target::Vocabulary, &[("tokenizer.json", Some(data)), ("config.json", Some(gemma))]);
}

/// `tokenizer.model`.
pub fn sentencepiece(data: &[u8]) {
    described(Target::Vocabulary, &[("tokenizer.json", None), ("tokenizer.model", Some(data))]);
}

/// `tekken.json`, as mistral-common reads it.
pub fn tekken(data: &[u8]) {
    let mut files = tiny();
    files.remove("tokenizer.json");
    files.insert("tekken.json".into(), Arc::from(data));
    let params = br#"{"dim": 64, "n_layers": 2, "head_dim": 16, "hidden_dim": 128, "n_heads": 4, "n_kv_heads": 2, "norm_eps": 1e-5, "vocab_size": 512}"#;
    files.insert("params.json".into(), Arc::from(&params[..]));
    let options = Options { allow_incomplete: true, mistral_format: true, ..Options::default() };
    _ = describe(&ModelDir::in_memory("tiny-llama", files), Target::Vocabulary, &options);
}

/// Ranks of byte sequences, as Qwen's first models and Kimi have them, whose other special tokens come after 256 bytes.
pub fn tiktoken(data: &[u8]) {
    let qwen = br#"{"architectures": ["QWenLMHeadModel"], "model_type": "qwen", "vocab_size": 512, "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "seq_length": 64, "rotary_emb_base": 10000, "layer_norm_epsilon": 1e-6, "intermediate_size": 128}"#;
    let kimi = br#"{"architectures": ["DeepseekV3ForCausalLM"], "model_type": "kimi_k2", "vocab_size": 163840}"#;
    let settings = br#"{"added_tokens_decoder": {"256": {"content": "[BOS]"}, "257": {"content": "[EOS]"}}, "pad_token": "[EOS]", "unk_token": "[EOS]", "auto_map": {"AutoTokenizer": ["tokenization_kimi.TikTokenTokenizer", null]}}"#;
    for config in [&qwen[..], &kimi[..]] {
        described(
            Target::Vocabulary,
            &[
                ("tokenizer.json", None),
                ("config.json", Some(config)),
                ("tokenizer_config.json", Some(settings)),
                ("qwen.tiktoken", Some(data)),
                ("tiktoken.model", Some(data)),
            ],
        );
    }
}

/// `vocab.txt` of a BERT.
pub fn wordpiece(data: &[u8]) {
    let bert = br#"{"architectures": ["BertModel"], "model_type": "bert", "vocab_size": 512, "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}"#;
    described(
        Target::Vocabulary,
        &[("tokenizer.json", None), ("config.json", Some(bert)), ("vocab.txt", Some(data))],
    );
}
