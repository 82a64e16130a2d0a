//! JSON as Python's `json.load` reads it.
//!
//! `serde_json` refuses what Python accepts and checkpoints contain: `NaN`, `Infinity`, numbers beyond a
//! double's range, unpaired surrogates. It also has no integers beyond 64 bits.

use super::object::{Map, Object};

/// Nesting beyond this is an error. Python stops at about 1000.
const MAX_DEPTH: usize = 256;
/// Most values of a document. Real ones have a few hundred.
const MOST_VALUES: usize = 1 << 19;
/// Python refuses to convert integers with more decimal digits than this.
pub(super) const MAX_INT_DIGITS: usize = 4300;

/// Why a text could not be read.
#[derive(Debug, PartialEq)]
pub(super) enum JsonError {
    /// Not JSON (Python's `JSONDecodeError`), with the reason.
    Syntax(String),
    /// JSON, but beyond what Python can hold (its other exceptions), with the reason.
    Limit(String),
}

/// Parses a whole document.
pub(super) fn parse(text: &str) -> Result<Object, JsonError> {
    let mut reader = Reader { text, at: 0, values: 0 };
    reader.skip_space();
    let value = reader.value(0)?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.syntax("expected the end of the file")),
    }
}

struct Reader<'a> {
    text: &'a str,
    /// Byte offset, always at a character boundary.
    at: usize,
    /// Values so far.
    values: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn eat_while(&mut self, accept: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.bytes().take_while(|b| accept(*b)).count();
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.eat_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
    }

    fn syntax(&self, expected: &str) -> JsonError {
        let line = self.text.as_bytes().iter().take(self.at).filter(|b| **b == b'\n').count() + 1;
        JsonError::Syntax(format!("not valid JSON at line {line}: {expected}"))
    }

    fn value(&mut self, depth: usize) -> Result<Object, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::Limit(format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(JsonError::Limit(format!("expected at most {MOST_VALUES} values, found more")));
        }
        const WORDS: [(&str, Object); 6] = [
            ("null", Object::Null),
            ("true", Object::Bool(true)),
            ("false", Object::Bool(false)),
            ("NaN", Object::Float(f64::NAN)),
            ("Infinity", Object::Float(f64::INFINITY)),
            ("-Infinity", Object::Float(f64::NEG_INFINITY)),
        ];
        match self.peek() {
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(self.string()?.map_or(UNPAIRED, Object::Text)),
            _ => match WORDS.into_iter().find(|(word, _)| self.eat(word)) {
                Some((_, value)) => Ok(value),
                None => self.number(),
            },
        }
    }

    fn list(&mut self, depth: usize) -> Result<Object, JsonError> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.eat("]") {
            return Ok(Object::List(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.eat("]") {
                return Ok(Object::List(items));
            }
            if !self.eat(",") {
                return Err(self.syntax("expected ',' or ']'"));
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Object, JsonError> {
        let mut map = Map::default();
        self.at += 1;
        self.skip_space();
        if self.eat("}") {
            return Ok(Object::Map(map));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.syntax("expected a key in double quotes"));
            }
            let key = self.string()?;
            self.skip_space();
            if !self.eat(":") {
                return Err(self.syntax("expected ':'"));
            }
            self.skip_space();
            let value = self.value(depth + 1)?;
            match key {
                Some(key) => drop(map.entries.insert(key, value)),
                None => map.has_other_keys = true,
            }
            self.skip_space();
            if self.eat("}") {
                return Ok(Object::Map(map));
            }
            if !self.eat(",") {
                return Err(self.syntax("expected ',' or '}'"));
            }
        }
    }

    /// A string; `None` if it holds an unpaired surrogate, which no UTF-8 text can.
    fn string(&mut self) -> Result<Option<String>, JsonError> {
        let mut text = String::new();
        let mut unpaired = false;
        self.at += 1;
        loop {
            text.push_str(self.eat_while(|b| b != b'"' && b != b'\\' && b >= 0x20));
            if self.eat("\"") {
                return Ok((!unpaired).then_some(text));
            }
            if !self.eat("\\") {
                return Err(self.syntax("expected the string to end, found a control character or the end"));
            }
            let escape = self.peek();
            self.at += 1;
            text.push(match escape {
                Some(b @ (b'"' | b'\\' | b'/')) => char::from(b),
                Some(b'b') => '\u{8}',
                Some(b'f') => '\u{c}',
                Some(b'n') => '\n',
                Some(b'r') => '\r',
                Some(b't') => '\t',
                Some(b'u') => match self.escaped_char()? {
                    Some(c) => c,
                    None => {
                        unpaired = true;
                        continue;
                    }
                },
                _ => {
                    self.at -= 1;
                    return Err(self.syntax("unknown escape in a string"));
                }
            });
        }
    }

    /// The character of a `\uXXXX` whose `\u` is read, and of a second one if the two make a pair.
    fn escaped_char(&mut self) -> Result<Option<char>, JsonError> {
        let first = self.hex4()?;
        if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                return Ok(char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
            }
            self.at = before;
        }
        Ok(char::from_u32(first))
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.rest().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|d| u32::from_str_radix(d, 16).ok()) else {
            return Err(self.syntax("expected four hexadecimal digits after \\u"));
        };
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<Object, JsonError> {
        let start = self.at;
        self.eat("-");
        let digits = if self.eat("0") { "0" } else { self.eat_while(|b| b.is_ascii_digit()) };
        if digits.is_empty() {
            self.at = start;
            return Err(self.syntax("expected a value"));
        }
        let integer_end = self.at;
        if self.eat(".") && self.eat_while(|b| b.is_ascii_digit()).is_empty() {
            self.at = integer_end;
        }
        let fraction_end = self.at;
        if self.eat("e") || self.eat("E") {
            let _ = self.eat("+") || self.eat("-");
            if self.eat_while(|b| b.is_ascii_digit()).is_empty() {
                self.at = fraction_end;
            }
        }
        let number = self.text.get(start..self.at).unwrap_or_default();
        if self.at > integer_end {
            return number.parse().map(Object::Float).map_err(|_| self.syntax("expected a number"));
        }
        if digits.len() > MAX_INT_DIGITS {
            return Err(JsonError::Limit(format!("an integer has more than {MAX_INT_DIGITS} digits")));
        }
        Ok(number.parse().map_or(Object::Foreign("an integer beyond 128 bits"), Object::Int))
    }
}

const UNPAIRED: Object = Object::Foreign("text with an unpaired surrogate");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_extensions_are_read() {
        let Ok(Object::List(items)) = parse(r#" [NaN, -Infinity, 1e999, -0, 1E2, "\ud83d\ude00\/"] "#) else {
            panic!("not a list");
        };
        assert!(matches!(items[0], Object::Float(f) if f.is_nan()));
        let rest = [
            Object::Float(f64::NEG_INFINITY),
            Object::Float(f64::INFINITY),
            Object::Int(0),
            Object::Float(100.0),
            Object::from("😀/"),
        ];
        assert_eq!(items[1..], rest);
    }

    #[test]
    fn surrogates_without_a_partner_are_kept_apart() {
        for text in [r#""\ud800""#, r#""\udc00x""#, r#""\ud800\u0041""#] {
            assert_eq!(parse(text), Ok(UNPAIRED), "{text}");
        }
    }

    #[test]
    fn what_python_refuses_is_refused() {
        let bad = [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "tru",
            "nan",
            "'a'",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12é4\"",
            "[1] 2",
            "\u{feff}{}",
            "-",
            "{1:2}",
            "\"a",
            "\"\\",
            "\"\\u",
        ];
        for text in bad {
            assert!(matches!(parse(text), Err(JsonError::Syntax(_))), "{text:?}: {:?}", parse(text));
        }
    }

    #[test]
    fn depth_and_digits_are_limited() {
        for text in ["[".repeat(1_000_000), "9".repeat(5000)] {
            assert!(matches!(parse(&text), Err(JsonError::Limit(_))));
        }
    }
}
