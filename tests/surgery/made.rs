//! GGUF files written byte by byte, such as anybody's tool might: all sorts of keys and types, odd sizes, and edits to make.

// Each test uses a part of this.
#![allow(dead_code)]

use crate::handmade::Bytes;

/// Type numbers of ggml with the elements and bytes of a block; the last is of no ggml yet.
const TYPES: [(u32, u64, u64); 12] = [
    (0, 1, 4),
    (1, 1, 2),
    (30, 1, 2),
    (8, 32, 34),
    (12, 256, 144),
    (14, 256, 210),
    (10, 256, 84),
    (23, 256, 136),
    (39, 32, 17),
    (24, 1, 1),
    (28, 1, 8),
    (35, 256, 66),
];

/// The type that no ggml knows yet.
pub const FUTURE: u32 = 777;

/// How a file is made.
#[derive(Clone, Copy)]
pub struct Made {
    pub seed: u64,
    pub version: u32,
    pub alignment: u64,
    pub tensors: usize,
    /// About how many bytes a tensor has.
    pub size: u64,
    /// Whether outermost dimensions of one are written, as some tools do.
    pub ones: bool,
}

/// A number that depends on `seed` and `n` only.
fn random(seed: u64, n: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ n.wrapping_add(0x1234_5678).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    for _ in 0..3 {
        x ^= x >> 29;
        x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    }
    x ^ x >> 32
}

fn strings(items: &[&str]) -> Vec<u8> {
    items.iter().fold(Bytes::default(), |bytes, item| bytes.string(item)).0
}

/// Tokens that every file has; one of them twice.
pub const TOKENS: [&str; 6] = ["<s>", "</s>", "é", "<|im_end|>", "é", "a b"];

impl Made {
    /// Key-values, without the count.
    fn keys(&self) -> (u64, Bytes) {
        let text = |bytes: Bytes, key: &str, value: &str| bytes.string(key).u32(8).string(value);
        let n = random(self.seed, 1);
        let mut keys = text(Bytes::default(), "general.architecture", "made-up");
        let mut count = 15;
        if self.alignment != 32 {
            keys = keys.key("general.alignment", 4, &(self.alignment as u32).to_le_bytes());
            count += 1;
        }
        keys = text(keys, "general.name", "Old name");
        keys = text(keys, "general.url", "https://example.org/ä");
        keys = keys.key("made-up.block_count", 4, &[3, 0, 0, 0]);
        keys = keys.key("made-up.rope.freq_base", 6, &1e6f32.to_le_bytes());
        keys = keys.key("made-up.small", 2, &(n as u16).to_le_bytes());
        keys = keys.key("made-up.negative", 11, &(-(n as i32) as i64).to_le_bytes());
        keys = keys.key("made-up.double", 12, &(n as f64 / 7.0).to_le_bytes());
        keys = keys.key("made-up.flag", 7, &[1]);
        keys = keys.array("made-up.numbers", 5, 3, &[1, 0, 0, 0, 255, 255, 255, 255, 3, 0, 0, 0]);
        keys = text(keys, "tokenizer.ggml.model", "gpt2");
        keys = text(keys, "tokenizer.ggml.pre", "old");
        keys = keys.array("tokenizer.ggml.tokens", 8, TOKENS.len() as u64, &strings(&TOKENS));
        keys = keys.key("tokenizer.ggml.eos_token_id", 4, &[1, 0, 0, 0]);
        keys = text(keys, "tokenizer.chat_template", "{{ old }}");
        (count, keys)
    }

    /// Name, dimensions innermost first, type and length of each tensor.
    pub fn infos(&self) -> Vec<(String, Vec<u64>, u32, u64)> {
        let info = |i: usize| {
            let n = random(self.seed, 100 + i as u64);
            let (kind, block, bytes) = TYPES[(n % TYPES.len() as u64) as usize];
            let row = block * (1 + n / 64 % 5);
            let rows = (self.size / (row / block * bytes)).max(1) + n / 1024 % 3;
            let mut dims = match n / 4096 % 3 {
                0 => vec![row * rows],
                _ => vec![row, rows],
            };
            if self.ones && i.is_multiple_of(3) {
                dims.extend([1, 1].iter().take(4 - dims.len().min(3)));
            }
            (format!("blk.{}.made_{i}.weight", i / 3), dims, kind, row * rows / block * bytes)
        };
        (0..self.tensors).map(info).collect()
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let (keys, infos) = (self.keys(), self.infos());
        let mut file = Bytes::start(self.version, infos.len() as u64, keys.0).raw(&keys.1.0);
        let mut offset = 0;
        for (name, dims, kind, len) in &infos {
            file = file.tensor(name, dims, *kind, offset);
            offset += len.next_multiple_of(self.alignment);
        }
        file = file.data(self.alignment as usize, 0);
        for (i, (.., len)) in infos.iter().enumerate() {
            let words = (0..len.div_ceil(8)).flat_map(|w| random(self.seed ^ i as u64, w).to_le_bytes());
            file.0.extend(words.take(*len as usize));
            file = file.data(self.alignment as usize, 0);
        }
        file.0
    }
}

/// The reference's tool that a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    NewMetadata,
    SetMetadata,
}

/// An edit: the reference's arguments and ours. `FILE` stands for a file that holds the text.
pub struct Edit {
    pub tool: Tool,
    pub theirs: &'static [&'static str],
    pub ours: &'static [&'static str],
    /// What `FILE` holds.
    pub text: &'static str,
}

const fn new(theirs: &'static [&'static str], ours: &'static [&'static str], text: &'static str) -> Edit {
    Edit { tool: Tool::NewMetadata, theirs, ours, text }
}

const fn set(theirs: &'static [&'static str], ours: &'static [&'static str]) -> Edit {
    Edit { tool: Tool::SetMetadata, theirs, ours, text: "" }
}

/// Thirty edits, each of a file of its own.
pub const EDITS: [Edit; 30] = [
    new(&["--general-name", "New"], &["--name", "New"], ""),
    new(&["--general-name", "Ü \"x\"\n"], &["--general-name", "Ü \"x\"\n"], ""),
    new(&["--general-description", "About it"], &["--description", "About it"], ""),
    new(&["--general-name", "N", "--general-description", "D"], &["--name", "N", "--description", "D"], ""),
    new(
        &["--chat-template-file", "FILE"],
        &["--chat-template", "FILE"],
        "{% for m in messages %}\n{{ m }}\n{% endfor %}",
    ),
    new(&["--chat-template-file", "FILE"], &["--chat-template-file", "FILE"], "{{ 'a\r\nb\rc' }}"),
    new(
        &["--chat-template-file", "FILE", "--general-description", "D"],
        &["--description", "D", "--chat-template", "FILE"],
        "[not a list]",
    ),
    new(
        &["--chat-template-config", "FILE"],
        &["--chat-template-config", "FILE"],
        r#"{"chat_template": "{{ x }}", "a": 1}"#,
    ),
    new(
        &["--chat-template-config", "FILE"],
        &["--chat-template-config", "FILE"],
        r#"{"chat_template": [{"name": "tool use", "template": "{{ t }}"}, {"name": "default", "template": "{{ d }}"}]}"#,
    ),
    new(
        &["--chat-template-config", "FILE"],
        &["--chat-template-config", "FILE"],
        r#"{"chat_template": [{"name": "only-this", "template": "{{ t }}"}]}"#,
    ),
    new(
        &["--chat-template-config", "FILE"],
        &["--chat-template-config", "FILE"],
        r#"{"chat_template": [{"name": "default", "template": "{{ d }}"}]}"#,
    ),
    new(&["--pre-tokenizer", "llama-bpe"], &["--pre-tokenizer", "llama-bpe"], ""),
    new(&["--remove-metadata", "general.url"], &["--remove", "general.url"], ""),
    new(
        &["--remove-metadata", "general.url", "--remove-metadata", "made-up.numbers"],
        &["--remove-metadata", "general.url", "--remove", "made-up.numbers"],
        "",
    ),
    new(&["--remove-metadata", "not.there"], &["--remove", "not.there"], ""),
    new(&["--special-token", "eos", "<|im_end|>"], &["--special-token", "eos", "<|im_end|>"], ""),
    new(&["--special-token", "padding", "é"], &["--special-token", "padding", "é"], ""),
    new(
        &["--special-token", "bos", "<s>", "--special-token", "eot", "a b"],
        &["--special-token", "bos", "<s>", "--special-token", "eot", "a b"],
        "",
    ),
    new(&["--special-token-by-id", "eos", "3"], &["--special-token-by-id", "eos", "3"], ""),
    new(&["--special-token-by-id", "fim_pre", "0"], &["--special-token-by-id", "fim_pre", "0"], ""),
    new(
        &["--general-name", "N", "--special-token-by-id", "unknown", "5", "--pre-tokenizer", "p"],
        &["--pre-tokenizer", "p", "--name", "N", "--special-token-by-id", "unk", "5"],
        "",
    ),
    set(&["made-up.block_count", "4294967295"], &["--set", "made-up.block_count=4294967295"]),
    set(&["made-up.rope.freq_base", "1e-5"], &["--set", "made-up.rope.freq_base=1e-5"]),
    set(&["made-up.rope.freq_base", "0.1"], &["--set", "made-up.rope.freq_base:f32=0.1"]),
    set(&["made-up.small", "7"], &["--set", "made-up.small=7"]),
    set(&["made-up.negative", "-9223372036854775808"], &["--set", "made-up.negative=-9223372036854775808"]),
    set(&["made-up.double", "3.141592653589793"], &["--set", "made-up.double=3.141592653589793"]),
    set(&["tokenizer.ggml.eos_token_id", "0"], &["--set", "tokenizer.ggml.eos_token_id:u32=0"]),
    set(&["tokenizer.ggml.eos_token_id", "2"], &["--set", "tokenizer.ggml.eos_token_id=2"]),
    set(&["made-up.small", "0"], &["--set", "made-up.small=0"]),
];

/// The file that edit `i` is of. Only those of version 3 are edited in place by the reference.
pub fn edited(i: usize) -> Made {
    let version = if i % 7 == 3 && EDITS[i].tool == Tool::NewMetadata { 2 } else { 3 };
    let alignment = [32, 32, 64, 32, 8][i % 5];
    Made { seed: i as u64, version, alignment, tensors: 1 + i % 11, size: 40 << (i % 9), ones: false }
}

/// How a file is split: arguments of llama-gguf-split and ours.
pub const SPLITS: [(&[&str], &[&str]); 20] = [
    (&["--split-max-tensors", "1"], &["--max-tensors", "1"]),
    (&["--split-max-tensors", "2"], &["--max-tensors", "2"]),
    (&["--split-max-tensors", "3"], &["--split-max-tensors", "3"]),
    (&["--split-max-tensors", "5"], &["--max-tensors", "5"]),
    (
        &["--split-max-tensors", "7", "--no-tensor-first-split"],
        &["--max-tensors", "7", "--no-tensor-first-split"],
    ),
    (
        &["--split-max-tensors", "1", "--no-tensor-first-split"],
        &["--max-tensors", "1", "--no-tensor-first-split"],
    ),
    (&["--split-max-tensors", "1000"], &["--max-tensors", "1000"]),
    (&["--no-tensor-first-split"], &["--no-tensor-first-split"]),
    (&[], &[]),
    (&["--split-max-size", "1M"], &["--max-size", "1M"]),
    (&["--split-max-size", "2M"], &["--split-max-size", "2M"]),
    (&["--split-max-size", "3M"], &["--max-size", "3000000"]),
    (
        &["--split-max-size", "1M", "--no-tensor-first-split"],
        &["--max-size", "1M", "--no-tensor-first-split"],
    ),
    (&["--split-max-size", "1G"], &["--max-size", "1G"]),
    (&["--split-max-tensors", "4"], &["--max-tensors", "4"]),
    (&["--split-max-tensors", "10"], &["--max-tensors", "10"]),
    (&["--split-max-tensors", "11"], &["--max-tensors", "11"]),
    (&["--split-max-size", "1M"], &["--max-size", "1000K"]),
    (&["--split-max-tensors", "128"], &[]),
    (
        &["--split-max-tensors", "6", "--no-tensor-first-split"],
        &["--no-tensor-first-split", "--max-tensors", "6"],
    ),
];

/// The file that split `i` is of.
pub fn split(i: usize) -> Made {
    let by_size = SPLITS[i].0.contains(&"--split-max-size");
    let (tensors, size) = if by_size { (12, 400_000) } else { (9 + i * 2, 300 << (i % 6)) };
    let tensors = if matches!(i, 8 | 18) { 140 } else { tensors };
    Made {
        seed: 1000 + i as u64,
        version: 3 - u32::from(i % 4 == 1),
        alignment: 32,
        tensors,
        size,
        ones: i % 2 == 1,
    }
}
