//! `qwen.tiktoken` and `hy.tiktoken`: the byte-level BPE vocabularies of Qwen 1 and HunYuan, tokens with their ranks. Merges
//! are not stored; they follow from the ranks. The rest of those tokenizers is Python code beside the files, of which the
//! special tokens are repeated here; texts are split as Qwen 2 does.

use std::cell::OnceCell;
use std::path::Path;

use crate::json::{Map, Value, json};

use super::files::TokenizerFiles;
use super::hf::HfTokenizer;
use super::lists::BpeLists;
use super::ranks::{self, Form, LARGEST};
use super::special::{KINDS, SpecialVocab};
use super::{MOST_TOKENS, bpe, missing, pre, vocab_size};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;

/// The longest token, in bytes.
const LONGEST: usize = 256;

/// What a model's code knows of its tokens.
struct Format {
    file: &'static str,
    /// The special tokens, which are followed by some without a meaning.
    names: &'static [&'static str],
    /// The id of the first of them.
    first: u32,
    /// Whether every token is made of two others. Else the reference has no merges for those that are not, and leaves out
    /// those beyond the vocabulary's size.
    closed: bool,
}

const QWEN: Format = Format {
    file: "qwen.tiktoken",
    names: &["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    first: 151_643,
    closed: true,
};

const HUNYUAN: Format = Format {
    file: "hy.tiktoken",
    names: &["<|endoftext|>", "<|startoftext|>", "<|bos|>", "<|eos|>", "<|pad|>"],
    first: 127_957,
    closed: false,
};

/// How many more there are without a meaning.
const EXTRA: u32 = 205;

/// Writes the vocabulary of Qwen 1. There are as many tokens as `vocab_size` in `config` says.
///
/// # Errors
/// If there is no such file, it is invalid, or not Qwen's.
pub fn add(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    let mut special = SpecialVocab::load(files, false, &KINDS, None)?;
    let end = Value::from(QWEN.first);
    let roles: &[&str] =
        if KINDS.iter().any(|kind| special.has(kind)) { &["unk"] } else { &["bos", "eos", "unk"] };
    for role in roles {
        special.set(role, Some(&end), &files.dir, None)?;
    }
    QWEN.add(kv, files, config, special)
}

/// Writes the vocabulary of HunYuan. There are as many tokens as `vocab_size` in `config` says, no more and no fewer than its
/// code has.
///
/// # Errors
/// If there is no such file, it is invalid, or has another number of tokens.
pub fn add_hunyuan(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    let size = vocab_size(config, &files.dir)?;
    let known = HUNYUAN.first as usize + HUNYUAN.names.len() + EXTRA as usize;
    // Some have one less.
    if size.is_some_and(|size| size != known && size + 1 != known) {
        let problem = format!("vocab_size: expected the {known} tokens of {}, found {size:?}", HUNYUAN.file);
        return Err(Error::invalid(files.dir.join("config.json"), problem));
    }
    HUNYUAN.add(kv, files, config, SpecialVocab::load(files, false, &KINDS, None)?)
}

impl Format {
    fn add(
        &self,
        kv: &mut KeyValues,
        files: &TokenizerFiles,
        config: &Map<String, Value>,
        mut special: SpecialVocab,
    ) -> Result<()> {
        let path = files.dir.join(self.file);
        if !files.dir.exists(self.file)? {
            return Err(missing(&files.dir, self.file));
        }
        let problem =
            || Error::invalid(files.dir.join("config.json"), "vocab_size: expected a number of tokens");
        let size = vocab_size(config, &files.dir)?.ok_or_else(problem)?;
        let most = if self.closed { size } else { MOST_TOKENS as usize };
        let form = Form { longest: LONGEST, size: most, closed: self.closed };
        let lists = ranks::parse(&path, &files.dir.read(self.file, LARGEST)?, form)?;
        special.set_merges(&lists);
        let names = self.names.iter().map(|name| (*name).to_owned());
        let names: Vec<String> = names.chain((0..EXTRA).map(|n| format!("<|extra_{n}|>"))).collect();
        let names = names.iter().map(String::as_str).zip(self.first..).collect();
        let (pre, lists) = recognize(&path, files, lists)?;
        ranks::write(kv, pre, &lists, &names, size);
        special.write(kv, &files.dir)
    }
}

/// Which of llama.cpp's pre-tokenizers goes with the vocabulary, which is given back.
fn recognize(path: &Path, files: &TokenizerFiles, lists: BpeLists) -> Result<(&'static str, BpeLists)> {
    let files = TokenizerFiles {
        dir: files.dir.clone(),
        tokenizer: Some(
            json!({"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {}, "merges": []}}),
        ),
        lists: Some(lists),
        unigram: None,
        own_template_only: false,
        mentions_byte_level: true,
        // No added tokens, whatever other files say of them: texts are split without.
        config: json!({"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": {}}).as_object().cloned(),
        model_config: None,
        apart: OnceCell::new(),
    };
    let ids = HfTokenizer::new(&files, &Map::new())?.encode(pre::CHECK_TEXT)?;
    let pre = pre::recognize(&ids).map_err(|hash| bpe::unknown(path, &hash, None))?;
    Ok((pre, files.lists.unwrap_or_default()))
}
