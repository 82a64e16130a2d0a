//! RWKV's "World" vocabulary: a text file with a line for each token, its id, its bytes as Python writes them, and their number.

use super::files::TokenizerFiles;
use super::special::{KINDS, SpecialVocab};
use super::{MOST_TOKENS, TokenType, vocab_size};
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Strings, Value as Kv};
use crate::json::Object;

const FILE: &str = "rwkv_vocab_v20230424.txt";
/// The largest file read, in bytes; RWKV's has 1 MB.
const LARGEST: u64 = 16 << 20;
/// Two line ends, which end a turn.
const END_OF_TURN: u32 = 261;
/// Where the configuration says nothing.
const SIZE: usize = 1 << 16;

/// Adds it.
///
/// # Errors
/// If there is no such file, a line has another form, or there are more tokens than the configuration says.
pub fn add(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let dir = &files.dir;
    let text = super::files::text_if_there(dir, FILE, LARGEST)?.ok_or_else(|| super::missing(dir, FILE))?;
    let size = vocab_size(config, dir)?.unwrap_or(SIZE);
    let mut tokens = Strings::new();
    tokens.push_joined(&[b"<s>"]);
    let mut types = vec![TokenType::Control as i32];
    for (number, line) in (1..).zip(text.strip_suffix('\n').unwrap_or(&text).split('\n')) {
        let bytes = token(line).ok_or_else(|| {
            let problem = format!(
                "line {number}: expected an id, a text or bytes as Python writes them, and their number"
            );
            Error::invalid(dir.join(FILE), problem)
        })?;
        tokens.push_joined(&[shown(&bytes).as_bytes()]);
        types.push(TokenType::Normal as i32);
        if types.len() as u64 > MOST_TOKENS.min(size as u64) {
            let problem = format!("has more tokens than vocab_size, which is {size}");
            return Err(Error::invalid(dir.join(FILE), problem));
        }
    }
    for id in types.len()..size {
        tokens.push_joined(&[format!("[PAD{id}]").as_bytes()]);
        types.push(TokenType::Unused as i32);
    }
    kv.set_string("tokenizer.ggml.model", "rwkv");
    kv.set_string_list("tokenizer.ggml.tokens", tokens);
    kv.set("tokenizer.ggml.token_type", Kv::I32s(types));
    let mut special = SpecialVocab::load(files, false, &KINDS, None)?;
    if special.chat_template.is_none() {
        special.chat_template = Some(include_str!("templates/llama-cpp-rwkv-world.jinja").into());
    }
    special.set("eot", Some(&END_OF_TURN.into()), dir, None)?;
    special.replace("bos", 0);
    special.replace("eos", 0);
    special.write(kv, dir)
}

/// The bytes of the token in `line`.
fn token(line: &str) -> Option<Vec<u8>> {
    let (_, rest) = line.split_once(' ')?;
    let (literal, len) = rest.rsplit_once(' ')?;
    let len: usize = len.trim().parse().ok()?;
    let literal = literal.trim();
    let (is_bytes, quoted) = match literal.strip_prefix(['b', 'B']) {
        Some(quoted) => (true, quoted),
        None => (false, literal),
    };
    let quote = quoted.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let inner = quoted.strip_prefix(quote)?.strip_suffix(quote)?;
    unescaped(inner, quote, is_bytes).filter(|bytes| bytes.len() == len)
}

/// What stands between the quotes of a Python literal.
fn unescaped(text: &str, quote: char, is_bytes: bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    let mut push = |c: char| match is_bytes {
        true => u8::try_from(u32::from(c)).map(|byte| bytes.push(byte)).ok(),
        false => {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            Some(())
        }
    };
    while let Some(c) = rest.next() {
        if c == quote || is_bytes && !c.is_ascii() {
            return None;
        }
        if c != '\\' {
            push(c)?;
            continue;
        }
        let escape = rest.next()?;
        match escape {
            '\\' | '\'' | '"' => push(escape)?,
            'a' => push('\x07')?,
            'b' => push('\x08')?,
            'f' => push('\x0c')?,
            'n' => push('\n')?,
            'r' => push('\r')?,
            't' => push('\t')?,
            'v' => push('\x0b')?,
            'x' => push(numbered(&mut rest, 2, 16)?)?,
            'u' if !is_bytes => push(numbered(&mut rest, 4, 16)?)?,
            'U' if !is_bytes => push(numbered(&mut rest, 8, 16)?)?,
            '0'..='7' => {
                let mut digits = rest.clone();
                let more = digits.by_ref().take(2).take_while(|c| c.is_digit(8)).count();
                let mut number = escape.to_digit(8)?;
                for digit in rest.by_ref().take(more) {
                    number = number * 8 + digit.to_digit(8)?;
                }
                push(char::from_u32(number)?)?;
            }
            'N' if !is_bytes => return None,
            other => {
                push('\\')?;
                push(other)?;
            }
        }
    }
    Some(bytes)
}

/// The character whose number the next `count` digits are.
fn numbered(rest: &mut std::str::Chars, count: usize, radix: u32) -> Option<char> {
    let mut number = 0u32;
    for _ in 0..count {
        number = number.checked_mul(radix)?.checked_add(rest.next()?.to_digit(radix)?)?;
    }
    char::from_u32(number)
}

/// Bytes as Python shows them, without quotes.
fn shown(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { b'"' } else { b'\'' };
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\t' => text.push_str("\\t"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\\' => text.push_str("\\\\"),
            byte if byte == quote => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            byte => _ = write!(text, "\\x{byte:02x}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{shown, token};

    #[test]
    fn tokens_are_read_and_shown_as_python_does() {
        for (line, expected) in [
            ("1 '\\x00' 1", "\\x00"),
            ("9 \"'\" 1", "'"),
            ("10 '\"' 1", "\""),
            ("11 '\\'\"' 2", "\\'\""),
            ("12 '\\\\' 1", "\\\\"),
            ("13 '\\n\\n' 2", "\\n\\n"),
            ("14 ' a b' 4", " a b"),
            ("15 b'\\xe4\\xb8' 2", "\\xe4\\xb8"),
            ("16 '中' 3", "\\xe4\\xb8\\xad"),
            ("17 '\\u4e2d\\101\\7z\\q' 8", "\\xe4\\xb8\\xadA\\x07z\\\\q"),
            ("18 b'~\\x7f' 2", "~\\x7f"),
        ] {
            assert_eq!(token(line).map(|bytes| shown(&bytes)).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "",
            "1",
            "1 'a'",
            "1 'a' 2",
            "1 a 1",
            "1 'a\" 1",
            "1 'a'b' 3",
            "1 b'中' 3",
            "1 '\\x4' 1",
            "1 '\\ud800' 3",
            "1 ' 1",
            "1 'a\\' 2",
            "1 b'\\777' 1",
            "1 '\\U00110000' 4",
            "1 'a' -1",
        ] {
            assert_eq!(token(line), None, "{line}");
        }
    }
}
