//! Reads numbers, and the words that stand for values.

use super::Reader;
use crate::json::value::Value;
use crate::json::{JsonError, MAX_INT_DIGITS};

impl Reader<'_> {
    /// Reads a number from 0 to 999,999,999 without point and exponent. Where there is anything else, nothing is read.
    pub fn small_number(&mut self) -> Option<u32> {
        self.skip_space();
        let next: &[u8; 10] = self.text.as_bytes().get(self.at..)?.first_chunk()?;
        let (mut number, mut digits) = (0, 0);
        while let Some(byte) = next.get(digits).filter(|byte| byte.is_ascii_digit()) {
            number = number * 10 + u64::from(byte - b'0');
            digits += 1;
        }
        let after = next.get(digits)?;
        if digits == 0 || matches!(after, b'.' | b'e' | b'E') || (digits > 1 && next[0] == b'0') {
            return None;
        }
        self.at += digits;
        u32::try_from(number).ok()
    }

    pub(super) fn scalar(&mut self) -> Result<Value, JsonError> {
        const WORDS: [(&str, Value); 6] = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        if self.byte().is_some_and(|b| b.is_ascii_digit()) {
            return self.number();
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        match WORDS.into_iter().find(|(word, _)| rest.starts_with(word)) {
            Some((word, value)) => {
                self.at += word.len();
                Ok(value)
            }
            None => self.number(),
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        let negative = self.eat(b"-");
        let digits = if self.eat(b"0") { 1 } else { self.digits() };
        if digits == 0 {
            self.at = start;
            return Err(self.syntax("expected a value"));
        }
        let integer_end = self.at;
        if self.eat(b".") && self.digits() == 0 {
            self.at = integer_end;
        }
        let fraction_end = self.at;
        if self.eat(b"eE") {
            self.eat(b"+-");
            if self.digits() == 0 {
                self.at = fraction_end;
            }
        }
        let number = self.text.get(start..self.at).unwrap_or_default();
        if self.at > integer_end {
            return number.parse().map(Value::Float).map_err(|_| self.syntax("expected a number"));
        }
        if digits > MAX_INT_DIGITS {
            return Err(JsonError::Limit(format!("an integer has more than {MAX_INT_DIGITS} digits")));
        }
        // Ids, of which there are many, have few digits.
        if digits < 10 && !negative {
            return Ok(Value::Int(number.bytes().fold(0, |sum, b| sum * 10 + i64::from(b - b'0'))));
        }
        match number.parse() {
            Ok(number) => Ok(Value::Int(number)),
            Err(_) => number.parse().map(Value::BigInt).map_err(|_| self.syntax("expected a number")),
        }
    }

    /// Skips digits, and returns how many.
    fn digits(&mut self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += count;
        count
    }

    /// Skips a byte if it is one of these.
    fn eat(&mut self, bytes: &[u8]) -> bool {
        let found = self.byte().is_some_and(|b| bytes.contains(&b));
        self.at += usize::from(found);
        found
    }
}
