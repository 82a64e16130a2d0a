//! `qwen.tiktoken` and `hy.tiktoken`: the byte-level BPE vocabularies of Qwen 1 and HunYuan, tokens with their ranks. Merges
//! are not stored; they follow from the ranks. The rest of those tokenizers is Python code beside the files, of which the
//! special tokens are repeated here; texts are split as Qwen 2 does.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::Path;

use crate::json::{Map, Value, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::files::TokenizerFiles;
use super::hf::HfTokenizer;
use super::lists::BpeLists;
use super::special::{KINDS, SpecialVocab};
use super::{MOST_TOKENS, TokenType, bpe, missing, pre, tekken, vocab_size};
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Strings, Value as Kv};

/// The largest file read, in bytes. Qwen's has 2.5 MB.
const LARGEST: u64 = 6 << 20;
/// The longest token, in bytes: finding the merges of one takes time that grows with its square.
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
        let lists = parse(&path, &files.dir.read(self.file, LARGEST)?, most, self.closed)?;
        special.set_merges(&lists);
        let names = self.names.iter().map(|name| (*name).to_owned());
        let names: Vec<String> = names.chain((0..EXTRA).map(|n| format!("<|extra_{n}|>"))).collect();
        let mut by_id = vec![None; size];
        let own = lists.vocabulary.iter().map(|(text, id)| (text, id, TokenType::Normal));
        let others = names.iter().zip(self.first..).map(|(name, id)| (name.as_str(), id, TokenType::Control));
        for (text, id, kind) in own.chain(others) {
            if let Some(place) = by_id.get_mut(id as usize) {
                *place = Some((text, kind));
            }
        }
        let (mut tokens, mut types) = (Strings::new(), Vec::with_capacity(size));
        for (id, token) in by_id.into_iter().enumerate() {
            let (text, kind) = token.unwrap_or(("", TokenType::Unused));
            match kind {
                TokenType::Unused => tokens.push(format!("[PAD{id}]").as_bytes()),
                _ => tokens.push(text.as_bytes()),
            }
            types.push(kind as i32);
        }
        let pre = recognize(&path, files, lists)?;
        kv.set_string("tokenizer.ggml.model", "gpt2");
        kv.set_string("tokenizer.ggml.pre", pre);
        kv.set_string_list("tokenizer.ggml.tokens", tokens);
        kv.set("tokenizer.ggml.token_type", Kv::I32s(types));
        special.write(kv, &files.dir)
    }
}

/// Which of llama.cpp's pre-tokenizers goes with the vocabulary.
fn recognize(path: &Path, files: &TokenizerFiles, lists: BpeLists) -> Result<&'static str> {
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
    pre::recognize(&ids).map_err(|hash| bpe::unknown(path, &hash, None))
}

/// Parses lines of a token in base64 and its rank, which is its id, below `size`.
fn parse(path: &Path, bytes: &[u8], size: usize, closed: bool) -> Result<BpeLists> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::invalid(path, "expected base64 and numbers"))?;
    let mut tokens = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let token = line.split_once(' ').and_then(|(token, rank)| {
            let token = STANDARD.decode(token).ok().filter(|token| (1..=LONGEST).contains(&token.len()))?;
            Some((token, rank.parse::<u32>().ok().filter(|rank| (*rank as usize) < size)?))
        });
        tokens.push(token.ok_or_else(|| {
            let problem = format!(
                "line {}: expected a token of 1 to {LONGEST} bytes in base64, a space and its rank below {size}",
                number + 1
            );
            Error::invalid(path, problem)
        })?);
    }

    let ranks: HashMap<&[u8], u32> = tokens.iter().map(|(token, rank)| (token.as_slice(), *rank)).collect();
    let letters = tekken::letters();
    let mut lists = BpeLists::default();
    for (token, rank) in &tokens {
        let text = tekken::write(&letters, token);
        let added = lists.vocabulary.push(&text, *rank);
        added.ok_or_else(|| Error::invalid(path, format!("token {rank} is there twice")))?;
    }
    if !lists.vocabulary.has_unique_ids() {
        return Err(Error::invalid(path, "two tokens have the same rank"));
    }
    for (token, rank) in tokens.iter().filter(|(token, _)| token.len() > 1) {
        let split = last_merge(token, *rank, &ranks).and_then(|split| token.split_at_checked(split));
        let Some((left, right)) = split else {
            if !closed {
                continue;
            }
            let problem = format!("tokens of smaller ranks do not make up token {rank} in two parts");
            return Err(Error::invalid(path, problem));
        };
        lists.push_merge(&tekken::write(&letters, left), &tekken::write(&letters, right));
    }
    Ok(lists)
}

/// Where the two parts meet that remain of a token when those of smaller rank within it have been joined, the
/// smallest first. None if more remain.
fn last_merge(token: &[u8], rank: u32, ranks: &HashMap<&[u8], u32>) -> Option<usize> {
    let rank_of = |ends: &[usize], at: usize| {
        let joined = token.get(*ends.get(at)?..*ends.get(at + 2)?)?;
        ranks.get(joined).copied().filter(|other| *other < rank)
    };
    let mut ends: Vec<usize> = (0..=token.len()).collect();
    let mut pairs: Vec<Option<u32>> = (1..token.len()).map(|at| rank_of(&ends, at - 1)).collect();
    while let Some((_, at)) = pairs.iter().enumerate().filter_map(|(at, rank)| Some(((*rank)?, at))).min() {
        ends.remove(at + 1);
        pairs.remove(at);
        for changed in [at.checked_sub(1), Some(at)].into_iter().flatten() {
            if let Some(pair) = pairs.get_mut(changed) {
                *pair = rank_of(&ends, changed);
            }
        }
    }
    match ends.as_slice() {
        [_, split, _] => Some(*split),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of tokens whose ranks are their places.
    fn file(tokens: &[&str]) -> String {
        tokens
            .iter()
            .enumerate()
            .map(|(rank, token)| format!("{} {rank}\n", STANDARD.encode(token)))
            .collect()
    }

    fn merges(tokens: &[&str]) -> Result<Vec<String>> {
        let lists = parse(Path::new(QWEN.file), file(tokens).as_bytes(), 100, true)?;
        let parts = lists.merges.iter().map(|merge| lists.parts(*merge));
        Ok(parts.map(|(left, right)| format!("{left}|{right}")).collect())
    }

    #[test]
    fn merges_follow_from_ranks() {
        assert_eq!(merges(&["a", "b", "c", "ab", "bc", "abc"]).unwrap(), ["a|b", "b|c", "ab|c"]);
        assert_eq!(merges(&["a", "b", "c", "bc", "ab", "abc"]).unwrap(), ["b|c", "a|b", "a|bc"]);
        // The first of equals is joined first.
        assert_eq!(merges(&["a", "aa", "aaa", "aaaa"]).unwrap(), ["a|a", "aa|a", "aa|aa"]);
        // Ranks above a token's own do not count.
        assert!(merges(&["a", "b", "c", "abc", "ab"]).is_err());
    }

    #[test]
    fn what_is_no_vocabulary_is_refused() {
        let cases: [&[u8]; 9] = [
            b"YQ==",
            b"YQ== 100",
            b"YQ== -1",
            b"YQ== 99999999999999999999",
            b"Y 0",
            b" 0",
            b"YQ== 0\nYg== 0",
            b"YQ== 0\nYQ== 1",
            b"\xff 0",
        ];
        for case in cases {
            assert!(
                parse(Path::new(QWEN.file), case, 100, true).is_err(),
                "{}",
                String::from_utf8_lossy(case)
            );
        }
        let long = format!("{} 0", STANDARD.encode("a".repeat(LONGEST + 1)));
        assert!(parse(Path::new(QWEN.file), long.as_bytes(), 100, true).is_err());
        assert!(parse(Path::new(QWEN.file), b"YQ== 99", 100, true).is_ok());
    }
}
