//! Checkpoints as large as published ones, whose weights are holes: names, shapes and shards are what costs time
//! and memory before the first byte is written.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// A model to write down.
pub struct Sparse {
    /// What `config.json` holds.
    pub config: Value,
    /// Name, element type and shape of every tensor, in the order in which shards are filled.
    pub tensors: Vec<(String, &'static str, Vec<u64>)>,
}

/// A Mixtral of `layers` layers with `experts` experts each, whose matrices are `hidden` × `ff`; with `fp8`,
/// those of the experts are in eight bits and have scales.
pub fn mixtral(layers: u64, experts: u64, hidden: u64, ff: u64, fp8: bool) -> Sparse {
    let mut config = json!({
        "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "num_local_experts": experts,
        "num_experts_per_tok": 2,
    });
    if fp8 {
        config["quantization_config"] = json!({"quant_method": "fp8", "weight_block_size": [128, 128]});
    }
    llama_like(config, layers, hidden, ff, |prefix, add| {
        add(format!("{prefix}block_sparse_moe.gate.weight"), "BF16", vec![experts, hidden]);
        for expert in 0..experts {
            for (name, shape) in [("w1", [ff, hidden]), ("w2", [hidden, ff]), ("w3", [ff, hidden])] {
                let name = format!("{prefix}block_sparse_moe.experts.{expert}.{name}.weight");
                if fp8 {
                    add(format!("{name}_scale_inv"), "F32", shape.map(|n| n.div_ceil(128)).to_vec());
                }
                add(name, if fp8 { "F8_E4M3" } else { "BF16" }, shape.to_vec());
            }
        }
    })
}

/// A Llama of `layers` layers.
pub fn llama(layers: u64, hidden: u64, ff: u64) -> Sparse {
    let config = json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama"});
    llama_like(config, layers, hidden, ff, |prefix, add| {
        for (name, shape) in [("gate", [ff, hidden]), ("up", [ff, hidden]), ("down", [hidden, ff])] {
            add(format!("{prefix}mlp.{name}_proj.weight"), "BF16", shape.to_vec());
        }
    })
}

type Add<'a> = &'a mut dyn FnMut(String, &'static str, Vec<u64>);

fn llama_like(mut config: Value, layers: u64, hidden: u64, ff: u64, mlp: impl Fn(&str, Add)) -> Sparse {
    let shared = json!({
        "hidden_size": hidden, "intermediate_size": ff, "num_hidden_layers": layers, "num_attention_heads": 16,
        "num_key_value_heads": 4, "vocab_size": 512, "tie_word_embeddings": true,
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    });
    config.as_object_mut().unwrap().extend(shared.as_object().unwrap().clone());
    let mut tensors = Vec::new();
    let mut add = |name, dtype, shape| tensors.push((name, dtype, shape));
    add("model.embed_tokens.weight".into(), "BF16", vec![512, hidden]);
    for layer in 0..layers {
        let prefix = format!("model.layers.{layer}.");
        for (name, rows) in [("q", hidden), ("k", hidden / 4), ("v", hidden / 4), ("o", hidden)] {
            add(format!("{prefix}self_attn.{name}_proj.weight"), "BF16", vec![rows, hidden]);
        }
        mlp(&prefix, &mut add);
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            add(format!("{prefix}{norm}.weight"), "BF16", vec![hidden]);
        }
    }
    add("model.norm.weight".into(), "BF16", vec![hidden]);
    Sparse { config, tensors }
}

impl Sparse {
    /// Writes the directory `name` below `parent`, in `shards` files of as many tensors each.
    pub fn write(&self, parent: &Path, name: &str, shards: usize) -> PathBuf {
        let dir = parent.join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("config.json"), self.config.to_string()).unwrap();
        let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers/spm");
        for file in ["added_tokens.json", "tokenizer.model", "tokenizer_config.json"] {
            fs::copy(tokenizer.join(file), dir.join(file)).unwrap();
        }
        let mut places = Map::new();
        for (i, part) in self.tensors.chunks(self.tensors.len().div_ceil(shards)).enumerate() {
            let file = match shards {
                1 => "model.safetensors".to_owned(),
                _ => format!("model-{:05}-of-{shards:05}.safetensors", i + 1),
            };
            write_shard(&dir.join(&file), part);
            places.extend(part.iter().map(|(name, ..)| (name.clone(), json!(file))));
        }
        if shards > 1 {
            let index = json!({"metadata": {}, "weight_map": places});
            fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
        }
        dir
    }
}

/// Data start on a multiple of 32, so that most of them are on GGUF's grid.
fn write_shard(path: &Path, tensors: &[(String, &'static str, Vec<u64>)]) {
    let (mut header, mut end) = (Map::new(), 0u64);
    for (name, dtype, shape) in tensors {
        let size = match *dtype {
            "F32" => 4,
            "BF16" => 2,
            _ => 1,
        };
        let start = end;
        end += size * shape.iter().product::<u64>();
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]});
        header.insert(name.clone(), entry);
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    text.resize((text.len() + 8).next_multiple_of(32) - 8, b' ');
    let mut file = File::create(path).unwrap();
    file.write_all(&(text.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&text).unwrap();
    file.set_len(8 + text.len() as u64 + end).unwrap();
}
