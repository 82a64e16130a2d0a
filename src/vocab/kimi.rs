//! `tiktoken.model`: the byte-level BPE vocabulary of Kimi, where a model has no `tokenizer.json`. What else there is to know
//! is Python code beside it, `TikTokenTokenizer`: special tokens come right after the others, named by
//! `added_tokens_decoder` of `tokenizer_config.json`, and texts are split in one way, for which llama.cpp has `kimi-k2`.

use std::collections::HashMap;

use super::files::{DECODER, TokenizerFiles};
use super::lists::BpeLists;
use super::ranks::{self, Form, LARGEST};
use super::special::{KINDS, SpecialVocab};
use super::{MOST_TOKENS, missing, route, tekken, vocab_size};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::input::quoted;
use crate::json::{Object, Value};

const FILE: &str = "tiktoken.model";
const SETTINGS: &str = "tokenizer_config.json";
/// The class that reads the file.
const CLASS: &str = "TikTokenTokenizer";
const PRE: &str = "kimi-k2";
/// Kimi's own have as many tokens, special ones apart.
const PUBLISHED: usize = 163_584;
/// The longest token, in bytes. Kimi's longest are 256 spaces or up to 512 other letters.
const LONGEST: usize = 512;
/// Special tokens by their role, and what they are called unless `tokenizer_config.json` says otherwise.
const ROLES: [(&str, Option<&str>); 4] =
    [("bos_token", Some("[BOS]")), ("eos_token", Some("[EOS]")), ("pad_token", None), ("unk_token", None)];

/// Writes the vocabulary if it is all there is, with `reserved` special tokens, of which those below `vocab_size` of `config`
/// count; answers the id of the one that ends texts.
///
/// # Errors
/// If a file is invalid or not Kimi's.
pub fn add(
    kv: &mut KeyValues,
    files: &TokenizerFiles,
    config: &Object,
    reserved: u32,
) -> Result<Option<u32>> {
    let dir = &files.dir;
    if files.tokenizer.is_some() || !dir.exists(FILE)? {
        return Ok(None);
    }
    let settings = files.config.as_ref().ok_or_else(|| missing(dir, SETTINGS))?;
    if !is_kimi(settings) {
        return Err(route::tiktoken(files, FILE));
    }
    let size = vocab_size(config, dir)?;
    let size = size.ok_or_else(|| Error::invalid(dir.join("config.json"), "vocab_size is missing"))?;
    let lists = read(files)?;
    let count = lists.vocabulary.len();
    if count != PUBLISHED {
        tracing::warn!(
            "{}: {count} tokens, where Kimi's has {PUBLISHED}; texts are taken to be split as Kimi's are",
            dir.join(FILE).display()
        );
    }
    let names = names(files, settings, count as u32, reserved)?;
    let mut special: HashMap<&str, u32> = HashMap::with_capacity(names.len());
    for (id, name) in &names {
        if let Some(other) = special.insert(name, *id) {
            let problem = format!("{DECODER}: tokens {other} and {id} are both called {}", quoted(name));
            return Err(Error::invalid(dir.join(SETTINGS), problem));
        }
    }
    let end = end(files, settings, &special)?;
    let mut found = SpecialVocab::load(files, false, &KINDS, None)?;
    found.set_merges(&lists);
    ranks::write(kv, PRE, &lists, &special, size);
    found.write(kv, dir)?;
    Ok(Some(end))
}

/// Whether the tokenizer is of Kimi's class. Without code of its own a model has the class of its type, if any.
fn is_kimi(settings: &Object) -> bool {
    let code = settings.get("auto_map").and_then(|map| map.get("AutoTokenizer"));
    let code = code.and_then(|code| code.as_str().or_else(|| code.as_array()?.first()?.as_str()));
    code.and_then(|code| code.rsplit('.').next()) == Some(CLASS)
}

/// The tokens of the file: their ranks leave nothing out, since special tokens come after as many.
fn read(files: &TokenizerFiles) -> Result<BpeLists> {
    let path = files.dir.join(FILE);
    let form = Form { longest: LONGEST, size: MOST_TOKENS as usize, closed: false };
    let lists = ranks::parse(&path, &files.dir.read(FILE, LARGEST)?, form)?;
    let count = lists.vocabulary.len();
    if let Some((_, id)) = lists.vocabulary.iter().find(|(_, id)| *id as usize >= count) {
        let problem = format!("expected ranks from 0 to {}, all of them, found {id}", count - 1);
        return Err(Error::invalid(path, problem));
    }
    let is_there = |letter: char| lists.vocabulary.place(letter.encode_utf8(&mut [0; 4])).is_some();
    match tekken::letters().into_iter().position(|letter| !is_there(letter)) {
        None => Ok(lists),
        Some(byte) => {
            Err(Error::invalid(path, format!("expected a token for each byte, found none for {byte}")))
        }
    }
}

/// Ids and names of the special tokens, `reserved` of them from `first`.
fn names(files: &TokenizerFiles, settings: &Object, first: u32, reserved: u32) -> Result<Vec<(u32, String)>> {
    let path = files.dir.join(SETTINGS);
    let mut names: Vec<(u32, String)> =
        (first..first + reserved).map(|id| (id, format!("<|reserved_token_{id}|>"))).collect();
    let given = match settings.get(DECODER).filter(|given| !given.is_null()) {
        None => return Ok(names),
        Some(given) => given.as_object(),
    };
    let given = given.ok_or_else(|| Error::invalid(&path, format!("{DECODER}: expected an object")))?;
    for (id, token) in given {
        let content = token.get("content").and_then(Value::as_str).filter(|name| !name.is_empty());
        let (Ok(id), Some(content)) = (id.parse::<u32>(), content) else {
            let problem = format!("{DECODER}: expected ids and tokens with content, found {}", quoted(id));
            return Err(Error::invalid(&path, problem));
        };
        if let Some((_, name)) = id.checked_sub(first).and_then(|place| names.get_mut(place as usize)) {
            content.clone_into(name);
        }
    }
    Ok(names)
}

/// The id of the token that ends texts. As in Kimi's code, the other roles need special tokens, too.
fn end(files: &TokenizerFiles, settings: &Object, special: &HashMap<&str, u32>) -> Result<u32> {
    let mut end = 0;
    for (role, default) in ROLES {
        let name = match settings.get(role) {
            None => default,
            Some(given) => given.as_str().or_else(|| given.get("content")?.as_str()),
        };
        let id = name.and_then(|name| special.get(name)).ok_or_else(|| {
            let found = name.map_or_else(|| "none".to_owned(), quoted);
            let problem = format!("{role}: expected one of the special tokens, found {found}");
            Error::invalid(files.dir.join(SETTINGS), problem)
        })?;
        if role == "eos_token" {
            end = *id;
        }
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::super::TokenizerFile;
    use super::*;
    use crate::json::json;
    use crate::source::ModelDir;

    fn token(text: &[u8], rank: usize) -> String {
        format!("{} {rank}\n", STANDARD.encode(text))
    }

    /// A token for each byte.
    fn bytes() -> String {
        (0..=255).map(|byte| token(&[byte], byte.into())).collect()
    }

    fn settings() -> Value {
        json!({
            "added_tokens_decoder": {"256": {"content": "[BOS]"}, "257": {"content": "[PAD]"}, "261": {"content": "[EOS]"}},
            "pad_token": "[PAD]", "unk_token": {"content": "[PAD]"},
            "auto_map": {"AutoTokenizer": ["tokenization_kimi.TikTokenTokenizer", null]}
        })
    }

    /// What comes of the vocabulary of a model with 6 special tokens.
    fn added(ranks: &str, settings: Option<&Value>) -> Result<Option<u32>> {
        let work = tempfile::tempdir().unwrap();
        fs::write(work.path().join(FILE), ranks).unwrap();
        if let Some(settings) = settings {
            fs::write(work.path().join(SETTINGS), settings.to_string()).unwrap();
        }
        let dir = ModelDir::open(work.path()).unwrap();
        let files = TokenizerFiles::read(&dir, TokenizerFile::new(&dir)).unwrap();
        let config = json!({"vocab_size": 300});
        add(&mut KeyValues::default(), &files, config.as_object().unwrap(), 6)
    }

    #[test]
    fn the_end_of_texts_is_found_among_the_special_tokens() {
        assert_eq!(added(&bytes(), Some(&settings())).unwrap(), Some(261));
        let longest = bytes() + &token(&[b' '; LONGEST], 256);
        let shifted =
            settings().to_string().replace("261", "262").replace("257", "258").replace("256", "257");
        let shifted = crate::json::parse(shifted.as_bytes()).unwrap();
        assert_eq!(added(&longest, Some(&shifted)).unwrap(), Some(262));
    }

    #[test]
    fn what_is_no_vocabulary_is_refused() {
        let without = |byte: u8| {
            let others = (0..=255).filter(|other| *other != byte).zip(0..);
            others.map(|(byte, rank)| token(&[byte], rank)).collect::<String>()
        };
        let cases = [
            (String::new(), "found none for 0"),
            (without(b'e'), "found none for 101"),
            (bytes() + &token(b"ab", 257), "expected ranks from 0 to 256, all of them, found 257"),
            (bytes() + &token(&[b' '; LONGEST + 1], 256), "line 257: expected a token of 1 to 512 bytes"),
            (bytes() + &token(b"ab", 0), "two tokens have the same rank"),
            ("YQ== 0\n".repeat(1 << 20), "tiktoken.model"),
        ];
        for (ranks, says) in cases {
            let message = added(&ranks, Some(&settings())).unwrap_err().to_string();
            assert!(message.contains(says) && message.contains(FILE), "{message}");
        }
    }

    #[test]
    fn settings_that_are_not_kimis_are_refused() {
        let named = |id: &str, token: Value| {
            let mut changed = settings();
            let decoder = changed.as_object_mut().and_then(|all| all.get_mut(DECODER)).unwrap();
            decoder.as_object_mut().unwrap().insert(id.into(), token);
            changed
        };
        let with = |key: &str, value: Value| {
            let mut changed = settings();
            changed.as_object_mut().unwrap().insert(key.into(), value);
            changed
        };
        let cases = [
            (
                with("auto_map", json!({"AutoTokenizer": ["other.Tokenizer", null]})),
                "ggraft runs no such code",
            ),
            (with("auto_map", Value::Null), "ggraft runs no such code"),
            (with("pad_token", Value::Null), "pad_token: expected one of the special tokens, found none"),
            (
                with("eos_token", json!("</s>")),
                "eos_token: expected one of the special tokens, found \"</s>\"",
            ),
            (with(DECODER, json!([1])), "added_tokens_decoder: expected an object"),
            (named("x", json!({"content": "x"})), "expected ids and tokens with content, found \"x\""),
            (named("258", json!({"content": 1})), "expected ids and tokens with content, found \"258\""),
            (named("258", json!({"content": ""})), "expected ids and tokens with content, found \"258\""),
            (named("258", json!({"content": "[PAD]"})), "tokens 257 and 258 are both called \"[PAD]\""),
        ];
        for (settings, says) in cases {
            let message = added(&bytes(), Some(&settings)).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
        let message = added(&bytes(), None).unwrap_err().to_string();
        assert!(message.contains("there is no tokenizer_config.json"), "{message}");
        // Those beyond the last are not looked at.
        assert!(added(&bytes(), Some(&named("262", json!({"content": "[PAD]"})))).is_ok());
    }
}
