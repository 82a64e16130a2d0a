//! PLaMo's vocabulary: a JSON list of text, score and kind for each token, a line each.

use super::files::{TokenizerFiles, text_if_there};
use super::sentencepiece::{Pieces, kind};
use super::{MOST_TOKENS, vocab_size};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::input::quoted;
use crate::json::{Object, Value, parse};

const FILE: &str = "tokenizer.jsonl";
/// The largest file read, in bytes; PLaMo's has 5 MB.
const LARGEST: u64 = 32 << 20;
/// `<|plamo:op|>`, which ends a turn.
const END_OF_TURN: u32 = 4;

/// Adds it.
///
/// # Errors
/// If there is no such file, no `tokenizer_config.json`, or one of them has another form.
pub fn add(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let dir = &files.dir;
    let text = text_if_there(dir, FILE, LARGEST)?.ok_or_else(|| super::missing(dir, FILE))?;
    let path = dir.join("tokenizer_config.json");
    let settings = files.config.as_ref().ok_or_else(|| super::missing(dir, "tokenizer_config.json"))?;
    let size = vocab_size(config, dir)?;
    let size = size.ok_or_else(|| Error::invalid(dir.join("config.json"), "vocab_size is missing"))?;
    let mut pieces = Pieces::default();
    for (number, line) in (1..).zip(text.split('\n')).filter(|(_, line)| !line.trim().is_empty()) {
        let (text, score, kind) = token(line).ok_or_else(|| {
            let problem = format!("line {number}: expected a JSON list of a text, a score and a kind");
            Error::invalid(dir.join(FILE), problem)
        })?;
        if pieces.tokens.len() as u64 >= MOST_TOKENS {
            return Err(Error::invalid(dir.join(FILE), format!("has more than {MOST_TOKENS} tokens")));
        }
        push(&mut pieces, text.into_bytes(), score, kind);
    }
    for pad in 1..=size.saturating_sub(pieces.tokens.len()) {
        push(&mut pieces, format!("[PAD{pad}]").into_bytes(), -1000.0, kind::UNUSED);
    }
    let mut ids = Vec::new();
    for (kind, key) in
        [("bos", "bos"), ("eos", "eos"), ("pad", "padding"), ("sep", "seperator"), ("unk", "unknown")]
    {
        let name = format!("{kind}_token");
        let Some(token) = settings.get(&name).filter(|token| !token.is_null()) else { continue };
        let id =
            token.as_str().and_then(|text| pieces.tokens.iter().position(|token| token == text.as_bytes()));
        let id = id.and_then(|id| u32::try_from(id).ok()).ok_or_else(|| {
            let token = token.as_str().map_or_else(|| token.kind(), quoted);
            Error::invalid(&path, format!("{name}: expected a token of the vocabulary, found {token}"))
        })?;
        ids.push((key, id));
    }
    pieces.write_for(kv, "plamo2");
    for (key, id) in ids.into_iter().chain([("eot", END_OF_TURN)]) {
        kv.set_u32(format!("tokenizer.ggml.{key}_token_id"), id);
    }
    super::no_space_prefix(kv);
    Ok(())
}

/// [`add`], with the chat template of `chat_template.jinja` or else `tokenizer_config.json`.
///
/// # Errors
/// As [`add`].
pub fn add_with_template(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    add(kv, files, config)?;
    let template = files.config.as_ref().and_then(|settings| settings.get("chat_template"));
    if let Some(template) = template.filter(|template| template.is_truthy()) {
        super::template::write_chat_template(kv, template, &files.dir)?;
    }
    super::own_template(kv, files)
}

fn push(pieces: &mut Pieces, text: Vec<u8>, score: f32, kind: i32) {
    pieces.tokens.push(text);
    pieces.scores.push(score);
    pieces.types.push(kind);
}

/// Text, score and type of the token in `line`.
fn token(line: &str) -> Option<(String, f32, i32)> {
    let Value::Array(fields) = parse(line.as_bytes()).ok()? else { return None };
    let text = fields.first()?.as_str()?;
    #[allow(clippy::cast_possible_truncation, reason = "GGUF's scores are 32-bit")]
    let score = fields.get(1)?.as_f64()? as f32;
    let kind = match fields.get(2).and_then(Value::as_str) {
        Some("UNKNOWN") => kind::UNKNOWN,
        Some("CONTROL") => kind::CONTROL,
        Some("BYTE") => kind::BYTE,
        _ if text.starts_with("<|plamo:") && text.ends_with("|>") => kind::CONTROL,
        _ => kind::NORMAL,
    };
    Some((text.to_owned(), score, kind))
}
