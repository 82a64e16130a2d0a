//! `tests/models/tiny-llama`, taken apart, so that tests can damage it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// A model directory in memory.
pub struct Model {
    pub config: Value,
    pub tensors: Vec<Tensor>,
}

/// A tensor of [`Model`]; all of them are BF16.
pub struct Tensor {
    pub name: String,
    pub shape: Vec<u64>,
    pub data: Vec<u8>,
}

/// Something done to a model.
pub type Damage = fn(&mut Model);

/// Ways to make the model one that llama.cpp cannot load, and what the refusal must say.
pub const DAMAGES: [(&str, Damage); 9] = [
    ("no tensor of the checkpoint belongs to the model", |model| model.tensors.clear()),
    ("no token embedding (token_embd.weight)", |model| model.remove("embed_tokens")),
    ("no tensors blk.0, expected tensors of 2 layers", |model| model.remove("layers.0.")),
    ("no tensors blk.1, expected tensors of 2 layers", |model| model.remove("layers.1.")),
    ("no tensors blk.0, blk.1, expected", |model| model.remove("layers.")),
    ("no tensors blk.2, blk.3, blk.4 and 3 more, expected tensors of 8 layers", |model| {
        model.config["num_hidden_layers"] = 8.into();
    }),
    ("token_embd.weight is 64 wide, expected 1000000000", |model| {
        model.config["hidden_size"] = 1_000_000_000.into()
    }),
    ("token_embd.weight is 64 wide, expected 128", |model| model.config["hidden_size"] = 128.into()),
    ("token_embd.weight is 32 wide, expected 64", |model| {
        let embedding = model.tensor("model.embed_tokens.weight");
        (embedding.shape[1], embedding.data) = (32, embedding.data[..embedding.data.len() / 2].to_vec());
    }),
];

impl Model {
    /// The model as it is.
    pub fn load() -> Self {
        let dir = source();
        let bytes = fs::read(dir.join("model.safetensors")).unwrap();
        let (len, rest) = bytes.split_first_chunk::<8>().unwrap();
        let (header, data) = rest.split_at(u64::from_le_bytes(*len) as usize);
        let header: Value = serde_json::from_slice(header).unwrap();
        let entries = header.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__");
        let tensors = entries.map(|(name, entry)| {
            assert_eq!(entry["dtype"], "BF16");
            let [begin, end] = [0, 1].map(|i| entry["data_offsets"][i].as_u64().unwrap() as usize);
            let shape = entry["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
            Tensor { name: name.clone(), shape, data: data[begin..end].to_vec() }
        });
        let config = serde_json::from_slice(&fs::read(dir.join("config.json")).unwrap()).unwrap();
        Self { config, tensors: tensors.collect() }
    }

    /// Removes all tensors with `part` in their names.
    pub fn remove(&mut self, part: &str) {
        let before = self.tensors.len();
        self.tensors.retain(|tensor| !tensor.name.contains(part));
        assert!(self.tensors.len() < before, "nothing has {part} in its name");
    }

    /// The tensor called `name`.
    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap()
    }

    /// Writes the directory, with the tensors in `files`, about as many in each.
    pub fn write(&self, dir: &Path, files: &[&str]) {
        for name in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
            fs::copy(source().join(name), dir.join(name)).unwrap();
        }
        fs::write(dir.join("config.json"), self.config.to_string()).unwrap();
        let mut rest = self.tensors.as_slice();
        for (i, file) in files.iter().enumerate() {
            let (these, others) = rest.split_at(rest.len() / (files.len() - i));
            fs::write(dir.join(file), safetensors(these)).unwrap();
            rest = others;
        }
    }
}

fn source() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/tiny-llama")
}

fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let (mut header, mut data) = (json!({}), Vec::new());
    for tensor in tensors {
        let begin = data.len();
        data.extend_from_slice(&tensor.data);
        header[&tensor.name] =
            json!({"dtype": "BF16", "shape": tensor.shape, "data_offsets": [begin, data.len()]});
    }
    let mut header = header.to_string();
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}
