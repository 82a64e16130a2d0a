//! Small GGUF files of many architectures, and what can be wrong with them.

use std::fs;
use std::path::Path;

use ggraft::dtype::GgmlType;
use ggraft::gguf::{self, KeyValues, TensorInfo, Value, encode};
use serde::Deserialize;

use crate::common::model_dir::ModelDir;

/// Models to damage: a family's file of `tests/conformance` and a case in it.
pub const BASES: [(&str, &str); 14] = [
    ("llama", "llama"),
    ("qwen", "qwen2"),
    ("qwen", "qwen3"),
    ("qwen", "qwen3moe"),
    ("gemma", "gemma2"),
    ("gemma", "gemma3"),
    ("gpt2", "gpt2"),
    ("gptneox", "gptneox"),
    ("bloom", "bloom"),
    ("falcon", "falcon"),
    ("stablelm", "stablelm"),
    ("starcoder", "starcoder2"),
    ("olmo", "olmo2"),
    ("bert", "bert"),
];

#[derive(Deserialize)]
struct Family {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    model: ModelDir,
}

/// A file in memory.
#[derive(Clone)]
pub struct File {
    pub keys: KeyValues,
    pub tensors: Vec<Tensor>,
}

#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    /// Outermost first.
    pub shape: Vec<u64>,
    pub kind: GgmlType,
    pub data: Vec<u8>,
}

/// Something wrong: what, the key or tensor it is about, and the file.
pub struct Damaged {
    pub what: String,
    pub about: Option<String>,
    pub bytes: Vec<u8>,
}

impl File {
    /// What becomes of a model.
    pub fn base(family: &str, id: &str) -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let text = fs::read(tests.join("conformance").join(family).with_extension("json")).unwrap();
        let family: Family = serde_json::from_slice(&text).unwrap();
        let case = family.cases.into_iter().find(|case| case.id == id).unwrap_or_else(|| panic!("{id}"));
        let work = tempfile::tempdir().unwrap();
        case.model.write(work.path(), &tests.join("tokenizers")).unwrap();
        let out = work.path().join("base.gguf");
        let mut options = ggraft::conversion::Options::new(work.path().join(&case.model.dir), &out);
        options.reflink = ggraft::conversion::Reflink::Never;
        options.fsync = false;
        ggraft::conversion::Conversion::prepare(&options).unwrap().run(&mut |_| {}).unwrap();
        Self::read(&out)
    }

    fn read(path: &Path) -> Self {
        let (header, bytes) = (gguf::read(path).unwrap(), fs::read(path).unwrap());
        let tensor = |t: gguf::StoredTensor| Tensor {
            data: bytes[t.offset as usize..][..t.len.unwrap() as usize].to_vec(),
            kind: GgmlType::ALL.into_iter().find(|kind| *kind as u32 == t.type_id).unwrap(),
            name: t.name,
            shape: t.shape,
        };
        let tensors = header.tensors.into_iter().map(tensor).collect();
        let mut file = Self { keys: header.metadata, tensors };
        file.fit_vocabulary();
        file
    }

    /// Has as many tokens as the embedding has rows; the models' embeddings are cut to be small.
    fn fit_vocabulary(&mut self) {
        let rows = self.tensor("token_embd.weight").shape[0] as usize;
        self.resize_tokens(rows);
        let keys: Vec<String> = self.keys.iter().map(|(key, _)| key.to_owned()).collect();
        for key in keys.iter().filter(|key| key.ends_with("_token_id")) {
            self.keys.remove(key);
        }
        if let Some(key) = keys.iter().find(|key| key.ends_with(".vocab_size")) {
            self.keys.set_u32(key, rows as u32);
        }
    }

    fn resize_tokens(&mut self, count: usize) {
        let Some(Value::Strings(tokens)) = self.keys.get("tokenizer.ggml.tokens") else { return };
        let mut tokens: Vec<Vec<u8>> = tokens.iter().take(count).map(<[u8]>::to_vec).collect();
        (tokens.len()..count).for_each(|n| tokens.push(format!("<extra {n}>").into_bytes()));
        self.keys.set_strings("tokenizer.ggml.tokens", &tokens);
        if let Some(Value::F32s(scores)) = self.keys.get("tokenizer.ggml.scores").cloned() {
            let scores = scores.into_iter().chain(std::iter::repeat(0.0)).take(count).collect();
            self.keys.set("tokenizer.ggml.scores", Value::F32s(scores));
        }
        if let Some(Value::I32s(kinds)) = self.keys.get("tokenizer.ggml.token_type").cloned() {
            let kinds = kinds.into_iter().chain(std::iter::repeat(1)).take(count).collect();
            self.keys.set("tokenizer.ggml.token_type", Value::I32s(kinds));
        }
        if let Some(Value::Strings(merges)) = self.keys.get("tokenizer.ggml.merges") {
            let merges: Vec<Vec<u8>> = merges.iter().take(8).map(<[u8]>::to_vec).collect();
            self.keys.set_strings("tokenizer.ggml.merges", &merges);
        }
    }

    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap()
    }

    /// The whole file.
    pub fn encode(&self) -> Vec<u8> {
        let info = |t: &Tensor| TensorInfo::new(&t.name, &t.shape, t.kind);
        let infos: Vec<TensorInfo> = self.tensors.iter().map(info).collect();
        let mut bytes = encode(&self.keys, &infos, 32);
        for tensor in &self.tensors {
            bytes.resize(bytes.len().next_multiple_of(32), 0);
            bytes.extend(&tensor.data);
        }
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes
    }

    fn arch(&self) -> String {
        match self.keys.get("general.architecture") {
            Some(Value::String(arch)) => String::from_utf8(arch.clone()).unwrap(),
            _ => panic!("no architecture"),
        }
    }

    /// Everything that can be wrong with it.
    pub fn damages(&self) -> Vec<Damaged> {
        let mut all = vec![Damaged { what: "nothing".into(), about: None, bytes: self.encode() }];
        self.keys_damages(&mut all);
        self.tensor_damages(&mut all);
        self.container_damages(&mut all);
        all
    }

    /// What can be wrong with a file whatever it holds: most of what llama.cpp's tests/test-gguf.cpp makes.
    fn container_damages(&self, all: &mut Vec<Damaged>) {
        let whole = self.encode();
        let name = self.tensors[0].name.as_bytes();
        let info = whole.windows(name.len()).position(|bytes| bytes == name).unwrap() + name.len();
        let rank = self.tensors[0].shape.len();
        let (dim, kind, offset) = (info + 4, info + 4 + 8 * rank, info + 8 + 8 * rank);
        let key = 24 + 8 + "general.architecture".len();
        let mut add = |what: &str, bytes: Vec<u8>| {
            all.push(Damaged { what: format!("container: {what}"), about: None, bytes });
        };
        let patches: [(&str, usize, &[u8]); 20] = [
            ("magic", 0, b"FUGG"),
            ("version 0", 4, &[0, 0, 0, 0]),
            ("version 1", 4, &[1, 0, 0, 0]),
            ("version 4", 4, &[4, 0, 0, 0]),
            ("big-endian version", 4, &[0, 0, 0, 3]),
            ("number of tensors", 8, &[0xff; 8]),
            ("one tensor less", 8, &[self.tensors.len() as u8 - 1]),
            ("one tensor more", 8, &[self.tensors.len() as u8 + 1]),
            ("number of keys", 16, &[0xff; 8]),
            ("one key more", 16, &[self.keys.len() as u8 + 1]),
            ("length of a key", 24, &[0xff; 8]),
            ("type of a key", key, &[13]),
            ("length of a string", key + 4, &[0xff; 8]),
            ("dimensions of a tensor", info, &[5]),
            ("negative dimension", dim, &[0xff; 8]),
            ("large dimension", dim, &[0, 0, 0, 0, 0, 0, 0, 0x40]),
            ("type of a tensor", kind, &[99]),
            ("odd offset", offset, &[1]),
            ("offset of another tensor", offset, &[64]),
            ("large offset", offset, &[0xff; 8]),
        ];
        for (what, at, bytes) in patches {
            let mut file = whole.clone();
            file[at..at + bytes.len()].copy_from_slice(bytes);
            add(what, file);
        }
        for kept in [0, 3, 8, 20, 30, key + 6, info, offset, whole.len() / 2, whole.len() - 64] {
            add(&format!("cut to {kept}"), whole[..kept].to_vec());
        }
        for (what, value) in
            [("0", Value::U32(0)), ("13", Value::U32(13)), ("64", Value::U32(64)), ("i32", Value::I32(32))]
        {
            let mut file = self.clone();
            file.keys.set("general.alignment", value);
            add(&format!("alignment {what}"), file.encode());
        }
        let mut file = self.clone();
        file.tensors[0].name = "x".repeat(64);
        add("a name of 64 bytes", file.encode());
        let mut file = self.clone();
        file.tensors.push(self.tensors[0].clone());
        add("a tensor twice", file.encode());
    }

    fn with(&self, what: &str, about: &str, all: &mut Vec<Damaged>, change: impl FnOnce(&mut Self)) {
        let mut changed = self.clone();
        change(&mut changed);
        let about = about.to_owned();
        all.push(Damaged { what: format!("{what} {about}"), about: Some(about), bytes: changed.encode() });
    }

    fn keys_damages(&self, all: &mut Vec<Damaged>) {
        let arch = self.arch();
        let own = |key: &str| key.starts_with(&format!("{arch}."));
        for (key, value) in self.keys.iter() {
            if !own(key) && !key.starts_with("tokenizer.") && key != "general.architecture" {
                continue;
            }
            self.with("without", key, all, |file| file.keys.remove(key));
            let other = match value {
                Value::String(_) => Value::U32(1),
                _ => Value::String(b"text".to_vec()),
            };
            self.with("another type of", key, all, |file| file.keys.set(key, other));
            if let Value::U32(n) = value {
                let n = *n;
                for (what, value) in
                    [("zero", 0), ("one more", n + 1), ("twice", n * 2), ("very large", 1 << 30)]
                {
                    // Pooling, token numbers and the like are what they are.
                    if own(key) {
                        self.with(what, key, all, |file| file.keys.set_u32(key, value));
                    }
                }
            }
        }
        self.with("unknown", "general.architecture", all, |file| {
            file.keys.set_string("general.architecture", "lama")
        });
        self.with("unknown", "tokenizer.ggml.model", all, |file| {
            file.keys.set_string("tokenizer.ggml.model", "bpe2")
        });
        self.with("unknown", "tokenizer.ggml.pre", all, |file| {
            file.keys.set_string("tokenizer.ggml.pre", "llama99")
        });
        let rows = self.clone().tensor("token_embd.weight").shape[0] as usize;
        for (what, count) in [("one less of", rows - 1), ("one more of", rows + 1)] {
            self.with(what, "tokenizer.ggml.tokens", all, |file| file.resize_tokens(count));
        }
        for key in ["tokenizer.ggml.scores", "tokenizer.ggml.token_type"] {
            match self.keys.get(key).cloned() {
                Some(Value::F32s(mut list)) => {
                    list.pop();
                    self.with("one less of", key, all, |file| file.keys.set(key, Value::F32s(list)));
                }
                Some(Value::I32s(mut list)) => {
                    list.pop();
                    self.with("one less of", key, all, |file| file.keys.set(key, Value::I32s(list)));
                }
                _ => {}
            }
        }
    }

    fn tensor_damages(&self, all: &mut Vec<Damaged>) {
        // Layers are alike: the last stands for all of them.
        let last = self
            .tensors
            .iter()
            .filter_map(|t| t.name.strip_prefix("blk.")?.split('.').next()?.parse::<u32>().ok());
        let last = format!("blk.{}.", last.max().unwrap());
        let kinds = self.tensors.iter().filter(|t| !t.name.starts_with("blk.") || t.name.starts_with(&last));
        for Tensor { name, .. } in kinds {
            self.with("without", name, all, |file| file.tensors.retain(|t| t.name != *name));
            self.with("a wider", name, all, |file| {
                let tensor = file.tensor(name);
                *tensor.shape.last_mut().unwrap() *= 2;
                tensor.data.extend_from_within(..);
            });
            self.with("one dimension more of", name, all, |file| {
                let tensor = file.tensor(name);
                tensor.shape.insert(0, 2);
                tensor.data.extend_from_within(..);
            });
            self.with("renamed", name, all, |file| file.tensor(name).name.push('x'));
            if self.clone().tensor(name).shape.len() == 2 {
                self.with("transposed", name, all, |file| file.tensor(name).shape.reverse());
            }
            if let Some(kind) = name.strip_prefix(&last) {
                let every = |t: &Tensor| t.name.starts_with("blk.") && t.name.ends_with(&format!(".{kind}"));
                self.with("no layer has", kind, all, |file| file.tensors.retain(|t| !every(t)));
            }
        }
        self.with("an additional tensor", "what.weight", all, |file| {
            file.tensors.push(Tensor {
                name: "what.weight".into(),
                shape: vec![8],
                kind: GgmlType::F32,
                data: vec![0; 32],
            });
        });
        self.with("all after the first of", "blk.0.", all, |file| {
            file.tensors.retain(|t| !t.name.starts_with(&last))
        });
    }
}
