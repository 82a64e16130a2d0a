//! Vocabularies in tiktoken's form: byte-level BPE as a file of tokens with their ranks. Merges are not stored; they follow
//! from the ranks. Special tokens are not in the file.

use std::collections::HashMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::lists::BpeLists;
use super::{TokenType, tekken};
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Strings, Value as Kv};

/// The largest file read, in bytes. Qwen's has 2.5 MB, Kimi's 2.8 MB.
pub const LARGEST: u64 = 6 << 20;

/// What a file may hold.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The longest token, in bytes: finding the merges of one takes time that grows with its square.
    pub longest: usize,
    /// Ranks are below this.
    pub size: usize,
    /// Whether every token is made of two others. Else the reference has no merges for those that are not.
    pub closed: bool,
}

/// Parses lines of a token in base64 and its rank, which is its id.
///
/// # Errors
/// If one has another form, or two are the same.
pub fn parse(path: &Path, bytes: &[u8], form: Form) -> Result<BpeLists> {
    let Form { longest, size, closed } = form;
    let text = std::str::from_utf8(bytes).map_err(|_| Error::invalid(path, "expected base64 and numbers"))?;
    let mut tokens = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let token = line.split_once(' ').and_then(|(token, rank)| {
            let token = STANDARD.decode(token).ok().filter(|token| (1..=longest).contains(&token.len()))?;
            Some((token, rank.parse::<u32>().ok().filter(|rank| (*rank as usize) < size)?))
        });
        tokens.push(token.ok_or_else(|| {
            let problem = format!(
                "line {}: expected a token of 1 to {longest} bytes in base64, a space and its rank below {size}",
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

/// Writes the tokens with ids below `size`: those of the file, unless a special one has the same text, and the special ones.
pub fn write(kv: &mut KeyValues, pre: &str, lists: &BpeLists, special: &HashMap<&str, u32>, size: usize) {
    let mut by_id = vec![None; size];
    let own = lists.vocabulary.iter().filter(|(text, _)| !special.contains_key(text));
    let own = own.map(|(text, id)| (text, id, TokenType::Normal));
    let special = special.iter().map(|(text, id)| (*text, *id, TokenType::Control));
    for (text, id, kind) in own.chain(special) {
        if let Some(place) = by_id.get_mut(id as usize) {
            *place = Some((text, kind));
        }
    }
    let (mut tokens, mut types) = (Strings::new(), Vec::with_capacity(size));
    for (id, token) in by_id.into_iter().enumerate() {
        match token {
            None => tokens.push(format!("[PAD{id}]").as_bytes()),
            Some((text, _)) => tokens.push(text.as_bytes()),
        }
        types.push(token.map_or(TokenType::Unused, |(_, kind)| kind) as i32);
    }
    kv.set_string("tokenizer.ggml.model", "gpt2");
    kv.set_string("tokenizer.ggml.pre", pre);
    kv.set_string_list("tokenizer.ggml.tokens", tokens);
    kv.set("tokenizer.ggml.token_type", Kv::I32s(types));
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form { longest: 256, size: 100, closed: true };

    /// A file of tokens whose ranks are their places.
    fn file(tokens: &[&str]) -> String {
        tokens
            .iter()
            .enumerate()
            .map(|(rank, token)| format!("{} {rank}\n", STANDARD.encode(token)))
            .collect()
    }

    fn merges(tokens: &[&str]) -> Result<Vec<String>> {
        let lists = parse(Path::new("ranks"), file(tokens).as_bytes(), FORM)?;
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
        let path = Path::new("ranks");
        for case in cases {
            assert!(parse(path, case, FORM).is_err(), "{}", String::from_utf8_lossy(case));
        }
        let long = format!("{} 0", STANDARD.encode("a".repeat(FORM.longest + 1)));
        assert!(parse(path, long.as_bytes(), FORM).is_err());
        assert!(parse(path, b"YQ== 99", FORM).is_ok());
    }
}
