//! `tekken.json`: Mistral's byte-level BPE vocabulary in the manner of tiktoken, as mistral-common reads it.
//!
//! Special tokens come first, then tokens by rank. Merges are not stored; they follow from the ranks.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::input::{bounded, quoted};
use crate::json::{JsonError, Reader, Value};
use crate::source::ModelDir;

/// The largest file read, in bytes. Mistral's have 20 MB.
const LARGEST: u64 = 128 << 20;
/// The longest token, in bytes: finding the merges of one takes time that grows with its square.
const LONGEST: usize = 512;

/// The last version of the format that need not list its special tokens.
const LAST_IMPLICIT: u32 = 7;
/// What they are then (`Tekkenizer.DEPRECATED_SPECIAL_TOKENS`).
#[rustfmt::skip]
const IMPLICIT: [&str; 20] = [
    "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
    "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
];

/// Special tokens that mistral-common insists on, each with the first version it does for.
#[rustfmt::skip]
const REQUIRED: [(&str, u32); 17] = [
    ("<s>", 1), ("</s>", 1), ("<unk>", 1), ("[INST]", 2), ("[/INST]", 2), ("[AVAILABLE_TOOLS]", 2),
    ("[/AVAILABLE_TOOLS]", 2), ("[TOOL_RESULTS]", 2), ("[/TOOL_RESULTS]", 2), ("[TOOL_CALLS]", 2),
    ("[PREFIX]", 2), ("[SUFFIX]", 2), ("[SYSTEM_PROMPT]", 7), ("[/SYSTEM_PROMPT]", 7), ("[TOOL_CONTENT]", 7),
    ("[ARGS]", 11), ("[CALL_ID]", 11),
];

/// A vocabulary.
#[derive(Debug)]
pub struct Tekken {
    /// The number in "v3".
    pub version: u32,
    /// Texts of special tokens, by id.
    pub special: Vec<String>,
    /// The other tokens in order; their ids follow.
    tokens: Vec<Vec<u8>>,
}

struct File {
    config: Config,
    vocab: Vec<Token>,
    special_tokens: Option<Vec<Special>>,
}

#[derive(Deserialize)]
struct Config {
    default_vocab_size: usize,
    default_num_special_tokens: usize,
    version: String,
}

struct Token {
    rank: usize,
    token_bytes: String,
}

#[derive(Deserialize)]
struct Special {
    rank: usize,
    token_str: String,
}

/// The id of a special token that the `tekken.json` in `dir` lists, if it does.
///
/// # Errors
/// If the file cannot be read.
pub fn special_token(dir: &ModelDir, text: &str) -> Result<Option<u64>> {
    const NAME: &str = "tekken.json";
    let invalid = |e: JsonError| Error::invalid(dir.join(NAME), e.to_string());
    let bytes = dir.read(NAME, LARGEST)?;
    let mut reader = Reader::new(&bytes).map_err(invalid)?;
    let mut listed: Vec<Special> = Vec::new();
    let read = reader.object(|reader, key| {
        match key.whole() {
            Some("special_tokens") => listed = fitting("special_tokens", &reader.value()?)?,
            _ => reader.skip()?,
        }
        Ok(())
    });
    read.map_err(invalid)?;
    Ok(listed.iter().find(|token| token.token_str == text).map(|token| token.rank as u64))
}

impl File {
    /// Reads it without a tree of its 130,000 tokens.
    fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let mut reader = Reader::new(bytes)?;
        let (mut config, mut vocab, mut special_tokens) = (None, None, None);
        reader.object(|reader, key| {
            match key.whole() {
                Some("config") => config = Some(fitting("config", &reader.value()?)?),
                Some("special_tokens") => special_tokens = fitting("special_tokens", &reader.value()?)?,
                Some("vocab") => {
                    let tokens = vocab.insert(Vec::new());
                    reader.array(|reader| {
                        tokens.push(Token::read(reader).map_err(|e| e.within("vocab"))?);
                        Ok(())
                    })?;
                }
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        reader.end()?;
        let missing = |key: &str| JsonError::Unexpected(format!("expected {key}, found none"));
        Ok(Self {
            config: config.ok_or_else(|| missing("config"))?,
            vocab: vocab.ok_or_else(|| missing("vocab"))?,
            special_tokens,
        })
    }
}

impl Token {
    fn read(reader: &mut Reader) -> Result<Self, JsonError> {
        let (mut rank, mut token_bytes) = (None, None);
        reader.object(|reader, key| {
            match key.whole() {
                Some("rank") => {
                    rank = reader.value()?.as_u64().and_then(|rank| usize::try_from(rank).ok());
                }
                Some("token_bytes") => token_bytes = Some(reader.text()?.lossy().into_owned()),
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        match (rank, token_bytes) {
            (Some(rank), Some(token_bytes)) => Ok(Self { rank, token_bytes }),
            _ => Err(JsonError::Unexpected("expected a token with rank and token_bytes".to_owned())),
        }
    }
}

/// What `value`, that of `key`, holds.
fn fitting<T: for<'de> Deserialize<'de>>(key: &str, value: &Value) -> Result<T, JsonError> {
    T::deserialize(value).map_err(|e| JsonError::Unexpected(format!("{key}: {e}")))
}

impl Tekken {
    /// Reads the file.
    ///
    /// # Errors
    /// For what mistral-common refuses.
    pub fn read(dir: &ModelDir, name: &OsStr) -> Result<Self> {
        let invalid = |problem: String| Error::invalid(dir.join(name), problem);
        let bytes = dir.read(name, LARGEST)?;
        let file = File::parse(&bytes)
            .map_err(|e| invalid(format!("not a tekken vocabulary: {}", bounded(&e.to_string()))))?;
        let version = version(&file.config.version)
            .ok_or_else(|| invalid(format!("unknown version {}", quoted(&file.config.version))))?;

        let mut special: Vec<String> = match file.special_tokens {
            Some(list) => {
                if let Some((place, token)) = list.iter().enumerate().find(|(place, t)| *place != t.rank) {
                    let found = token.rank;
                    return Err(invalid(format!("special_tokens: expected rank {place}, found {found}")));
                }
                list.into_iter().map(|token| token.token_str).collect()
            }
            None if version <= LAST_IMPLICIT => IMPLICIT.iter().map(|text| (*text).to_owned()).collect(),
            None => return Err(invalid(format!("expected special_tokens, as version {version} needs them"))),
        };
        let Config { default_vocab_size: size, default_num_special_tokens: count, .. } = file.config;
        let own = size.checked_sub(count).filter(|own| *own <= file.vocab.len() && special.len() <= count);
        let own = own.filter(|_| size as u64 <= super::MOST_TOKENS);
        let own = own.ok_or_else(|| {
            let (found, others) = (special.len(), file.vocab.len());
            invalid(format!(
                "config: {size} tokens, {count} of them special, do not fit {found} special ones and {others} others"
            ))
        })?;
        special.extend((special.len()..count).map(|id| format!("<SPECIAL_{id}>")));
        let mut seen = HashSet::new();
        if let Some(twice) = special.iter().find(|text| !seen.insert(text.as_str())) {
            return Err(invalid(format!("special_tokens: {} is there twice", quoted(twice))));
        }

        let required = REQUIRED.iter().filter(|(_, since)| version >= *since).map(|(text, _)| *text);
        if let Some(missing) = required.into_iter().find(|text| !seen.contains(text)) {
            return Err(invalid(format!(
                "special_tokens: expected {missing}, which version {version} needs"
            )));
        }

        let mut tokens = Vec::with_capacity(own);
        for (rank, token) in file.vocab.into_iter().take(own).enumerate() {
            let bytes = STANDARD.decode(&token.token_bytes).ok();
            let bytes = bytes.filter(|bytes| (1..=LONGEST).contains(&bytes.len()));
            let is_byte = |bytes: &[u8]| rank > 255 || *bytes == [rank as u8];
            match bytes.filter(|bytes| token.rank == rank && is_byte(bytes)) {
                Some(bytes) => tokens.push(bytes),
                None => {
                    return Err(invalid(format!(
                        "vocab: entry {rank} is not token {rank}, or none of 1 to {LONGEST} bytes in base64 \
                         (a single byte for the first 256)"
                    )));
                }
            }
        }
        Ok(Self { version, special, tokens })
    }

    /// The id of a special token.
    pub fn id(&self, text: &str) -> Option<u32> {
        self.special.iter().position(|special| special == text).and_then(|id| u32::try_from(id).ok())
    }

    /// Texts of the tokens that are not special, as byte-level BPE writes them.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        let letters = letters();
        self.tokens.iter().map(move |token| write(&letters, token))
    }

    /// Every pair of tokens that makes up another, in the order in which llama.cpp should try them.
    ///
    /// # Errors
    /// If two tokens are the same, or there is a token that no pair makes up.
    pub fn merges(&self, path: &Path) -> Result<Vec<String>> {
        let letters = letters();
        let mut ranks = HashMap::with_capacity(self.tokens.len());
        for (rank, token) in self.tokens.iter().enumerate() {
            if let Some(other) = ranks.insert(token.as_slice(), rank) {
                let problem = format!("vocab: tokens {other} and {rank} are the same");
                return Err(Error::invalid(path, problem));
            }
        }
        let mut merges = Vec::new();
        for (rank, token) in self.tokens.iter().enumerate().skip(256) {
            let mut pairs: Vec<_> = (1..token.len())
                .filter_map(|at| {
                    let (left, right) = token.split_at(at);
                    Some((ranks.get(left)?, ranks.get(right)?, left, right))
                })
                .collect();
            if pairs.is_empty() {
                let problem = format!("vocab: no two tokens make up token {rank}");
                return Err(Error::invalid(path, problem));
            }
            pairs.sort_unstable_by_key(|(left, right, ..)| (**left, **right));
            merges.extend(
                pairs
                    .iter()
                    .map(|(.., left, right)| [write(&letters, left), write(&letters, right)].join(" ")),
            );
        }
        Ok(merges)
    }
}

/// The number in a version that mistral-common (1.13) knows.
pub fn version(text: &str) -> Option<u32> {
    let number = text.strip_prefix('v')?;
    [1, 2, 3, 7, 11, 13, 15].into_iter().find(|known| known.to_string() == number)
}

/// The letter that byte-level BPE writes for each byte: printable ones stand for themselves, the others for
/// the letters from U+0100 on (`bytes_to_unicode` of GPT-2).
pub fn letters() -> [char; 256] {
    let mut next = 0x100;
    std::array::from_fn(|byte| {
        let byte = byte as u8;
        match byte {
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
            _ => {
                next += 1;
                char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
        }
    })
}

/// `bytes` in those letters.
pub fn write(letters: &[char; 256], bytes: &[u8]) -> String {
    bytes.iter().map(|byte| letters[usize::from(*byte)]).collect()
}
