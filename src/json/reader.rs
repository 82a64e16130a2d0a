//! Reads JSON from left to right, value by value, without a tree where none is wanted.

use super::gap::Gap;
use super::text::{self, Text};
use super::value::{Map, Value};
use super::{JsonError, MAX_INT_DIGITS};

/// Nesting beyond this is an error, as it is in Python.
const MAX_DEPTH: u32 = 1000;
/// What trees may take in memory, in bytes, unless the caller says otherwise: each byte of a file can take a hundred.
const TREES: usize = 32 << 20;
/// What an entry of an object takes besides its key's text and its value, and an allocation besides its content, in
/// bytes.
const ENTRY: usize = size_of::<String>() + 3 * size_of::<usize>();
const ALLOCATION: usize = 16;

/// A place in a text.
///
/// Every method that reads a value skips the space before it.
pub struct Reader<'a> {
    text: &'a str,
    /// Byte offset, always at a character boundary.
    at: usize,
    depth: u32,
    memory: Memory,
}

/// What trees may take.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    most: usize,
    left: usize,
}

impl Memory {
    /// So many bytes.
    pub fn new(most: usize) -> Self {
        Self { most, left: most }
    }

    fn take(&mut self, bytes: usize) -> Result<(), JsonError> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let most = self.most >> 20;
                Err(JsonError::Limit(format!(
                    "expected values that fit {most} MiB of memory, found more; no model has as many"
                )))
            }
        }
    }
}

/// What stands around the items of lists of the same form.
#[derive(Debug, Default)]
pub struct Gaps {
    open: Gap,
    comma: Gap,
    close: Gap,
}

/// What is read of a list or an object, with the key of what comes next.
enum Open {
    Array(Vec<Value>),
    Object(Map<String, Value>, String),
}

impl<'a> Reader<'a> {
    /// The start of a document.
    ///
    /// # Errors
    /// If it is not UTF-8, or starts with a byte order mark.
    pub fn new(bytes: &'a [u8]) -> Result<Self, JsonError> {
        // Of the two only the slower one tells where an error is.
        let text =
            simdutf8::basic::from_utf8(bytes).or_else(|_| std::str::from_utf8(bytes)).map_err(|e| {
                let at = e.valid_up_to();
                JsonError::Limit(format!("expected UTF-8 text, found something else at byte {at}"))
            })?;
        if text.starts_with('\u{feff}') {
            let problem = "expected JSON, found a UTF-8 byte order mark before it; save the file without one";
            return Err(JsonError::Syntax(problem.into()));
        }
        Ok(Self { text, at: 0, depth: 0, memory: Memory::new(TREES) })
    }

    /// Sets what trees may take from here on; gives what was left until then.
    pub fn replace_memory(&mut self, memory: Memory) -> Memory {
        std::mem::replace(&mut self.memory, memory)
    }

    /// Checks that nothing follows.
    ///
    /// # Errors
    /// If something does.
    pub fn end(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.at < self.text.len() { Err(self.syntax("expected the end of the file")) } else { Ok(()) }
    }

    /// The first byte of the next value, which tells what kind it is of.
    pub fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.byte()
    }

    /// Reads an object; `entry` is called with each key and must read its value.
    ///
    /// # Errors
    /// If there is something else, and what `entry` returns.
    pub fn object(
        &mut self,
        mut entry: impl FnMut(&mut Self, Text<'a>) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        if self.peek() != Some(b'{') {
            return Err(self.unexpected("an object"));
        }
        let (mut to_value, mut to_key) = (Gap::default(), Gap::default());
        let mut goes_on = self.open(b'}')?;
        while goes_on {
            let key = self.key_alone()?;
            if !self.step_over(&to_value) {
                let start = self.at;
                self.colon()?;
                self.skip_space();
                to_value.learn(self.since(start));
            }
            entry(self, key)?;
            goes_on = self.next_after(&mut to_key, b'}')?;
        }
        Ok(())
    }

    /// Reads a list; `item` is called for each item and must read it.
    ///
    /// # Errors
    /// If there is something else, and what `item` returns.
    pub fn array(&mut self, item: impl FnMut(&mut Self) -> Result<(), JsonError>) -> Result<(), JsonError> {
        self.array_like(&mut Gaps::default(), item)
    }

    /// [`Reader::array`], one of many of the same form: `gaps` are those of the one before.
    ///
    /// # Errors
    /// As [`Reader::array`].
    pub fn array_like(
        &mut self,
        gaps: &mut Gaps,
        mut item: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        if self.depth < MAX_DEPTH && self.step_over(&gaps.open) {
            if self.peek() == Some(b']') {
                self.at += 1;
                return Ok(());
            }
            self.depth += 1;
        } else {
            if self.peek() != Some(b'[') {
                return Err(self.unexpected("a list"));
            }
            let start = self.at;
            if !self.open(b']')? {
                return Ok(());
            }
            gaps.open.learn(self.since(start));
        }
        loop {
            item(self)?;
            if self.step_over(&gaps.close) {
                self.depth -= 1;
                return Ok(());
            }
            let start = self.at;
            if !self.next_after(&mut gaps.comma, b']')? {
                gaps.close.learn(self.since(start));
                return Ok(());
            }
        }
    }

    /// Reads a string.
    ///
    /// # Errors
    /// If there is something else.
    pub fn text(&mut self) -> Result<Text<'a>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a string"));
        }
        let start = self.at + 1;
        match text::read(self.text, start) {
            Ok((text, end)) => {
                self.at = end;
                Ok(text)
            }
            Err((problem, at)) => {
                self.at = at;
                Err(self.syntax(problem))
            }
        }
    }

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

    /// Reads whatever comes, as a tree. Not recursive: strangers' nesting would take as much stack as they like.
    ///
    /// # Errors
    /// If it is not JSON, or too much.
    pub fn value(&mut self) -> Result<Value, JsonError> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut value = match self.peek() {
                Some(b'{') if self.open(b'}')? => {
                    self.memory.take(ALLOCATION)?;
                    open.push(Open::Object(Map::new(), self.tree_key()?));
                    continue;
                }
                Some(b'[') if self.open(b']')? => {
                    self.memory.take(ALLOCATION)?;
                    open.push(Open::Array(Vec::new()));
                    continue;
                }
                // An empty one, which is read.
                Some(b'{') => Value::Object(Map::new()),
                Some(b'[') => Value::Array(Vec::new()),
                Some(b'"') => match self.text()? {
                    Text::Whole(text) => {
                        self.memory.take(ALLOCATION + text.len())?;
                        Value::String(text.into_owned())
                    }
                    Text::Unpaired(_) => Value::Unpaired,
                },
                _ => self.scalar()?,
            };
            loop {
                value = match open.pop() {
                    None => return Ok(value),
                    Some(Open::Array(mut items)) => {
                        self.memory.take(size_of::<Value>())?;
                        items.push(value);
                        if self.goes_on(b']')? {
                            open.push(Open::Array(items));
                            break;
                        }
                        Value::Array(items)
                    }
                    Some(Open::Object(mut map, key)) => {
                        map.insert(key, value);
                        if self.goes_on(b'}')? {
                            open.push(Open::Object(map, self.tree_key()?));
                            break;
                        }
                        Value::Object(map)
                    }
                };
            }
        }
    }

    /// Reads an object as a tree, of which the value of `key` may take other `memory` than the rest.
    ///
    /// # Errors
    /// As [`Reader::value`]; also if there is something else.
    pub fn object_with(&mut self, key: &str, memory: Memory) -> Result<Map<String, Value>, JsonError> {
        if self.peek() != Some(b'{') {
            let found = self.value()?;
            return Err(JsonError::Unexpected(format!("expected a JSON object, found {}", found.kind())));
        }
        let mut map = Map::new();
        self.object(|reader, found| {
            let found = found.lossy().into_owned();
            reader.memory.take(size_of::<Value>() + ENTRY + ALLOCATION + found.len())?;
            let value = if found == key { reader.value_within(memory)? } else { reader.value()? };
            map.insert(found, value);
            Ok(())
        })?;
        Ok(map)
    }

    /// [`Reader::value`] that may take other `memory` than the rest.
    ///
    /// # Errors
    /// As [`Reader::value`].
    pub fn value_within(&mut self, memory: Memory) -> Result<Value, JsonError> {
        let kept = self.replace_memory(memory);
        let value = self.value();
        self.replace_memory(kept);
        value
    }

    /// Reads whatever comes and forgets it.
    ///
    /// # Errors
    /// If it is not JSON.
    pub fn skip(&mut self) -> Result<(), JsonError> {
        let mut open = Vec::new();
        loop {
            match self.peek() {
                Some(b'{') if self.open(b'}')? => {
                    self.key()?;
                    open.push(b'}');
                    continue;
                }
                Some(b'[') if self.open(b']')? => {
                    open.push(b']');
                    continue;
                }
                Some(b'{' | b'[') => {}
                Some(b'"') => drop(self.text()?),
                _ => drop(self.scalar()?),
            }
            loop {
                let Some(bracket) = open.last() else { return Ok(()) };
                if !self.goes_on(*bracket)? {
                    open.pop();
                    continue;
                }
                if *bracket == b'}' {
                    self.key()?;
                }
                break;
            }
        }
    }

    /// Reads the key of an entry of a tree.
    fn tree_key(&mut self) -> Result<String, JsonError> {
        let key = self.key()?.lossy().into_owned();
        self.memory.take(size_of::<Value>() + ENTRY + ALLOCATION + key.len())?;
        Ok(key)
    }

    fn scalar(&mut self) -> Result<Value, JsonError> {
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

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        if self.byte().is_some_and(|b| b <= b' ') {
            self.skip_more_space();
        }
    }

    /// Files are often indented, so that there is more space than anything else.
    fn skip_more_space(&mut self) {
        const SPACES: u64 = u64::from_ne_bytes([b' '; 8]);
        while self.byte().is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
            while let Some(chunk) = self.rest().first_chunk() {
                let others = u64::from_le_bytes(*chunk) ^ SPACES;
                self.at += (others.trailing_zeros() / 8) as usize;
                if others != 0 {
                    break;
                }
            }
        }
    }

    /// What is not read yet.
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// What was read from `start` on.
    fn since(&self, start: usize) -> &'a [u8] {
        self.text.as_bytes().get(start..self.at).unwrap_or_default()
    }

    /// Steps over `gap`, if that comes next.
    #[inline]
    fn step_over(&mut self, gap: &Gap) -> bool {
        let len = gap.at_start_of(self.rest());
        self.at += len.unwrap_or(0);
        len.is_some()
    }

    /// Steps over an opening bracket, and, if it follows at once, the closing one. Says whether something is between.
    fn open(&mut self, closing: u8) -> Result<bool, JsonError> {
        if self.depth == MAX_DEPTH {
            return Err(JsonError::Limit(format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.at += 1;
        let empty = self.peek() == Some(closing);
        if empty {
            self.at += 1
        } else {
            self.depth += 1
        }
        Ok(!empty)
    }

    /// Steps over a comma or the closing bracket, and says which.
    fn goes_on(&mut self, closing: u8) -> Result<bool, JsonError> {
        let found = self.peek();
        self.at += 1;
        if found == Some(b',') {
            return Ok(true);
        }
        if found == Some(closing) {
            self.depth -= 1;
            return Ok(false);
        }
        self.at -= 1;
        Err(self.syntax(if closing == b']' { "expected ',' or ']'" } else { "expected ',' or '}'" }))
    }

    /// [`Reader::goes_on`], and the space after a comma. `gap` is what that was the last time.
    #[inline]
    fn next_after(&mut self, gap: &mut Gap, closing: u8) -> Result<bool, JsonError> {
        if self.step_over(gap) {
            return Ok(true);
        }
        let start = self.at;
        let goes_on = self.goes_on(closing)?;
        if goes_on {
            self.skip_space();
            gap.learn(self.since(start));
        }
        Ok(goes_on)
    }

    /// Reads a key and the colon after it.
    fn key(&mut self) -> Result<Text<'a>, JsonError> {
        let key = self.key_alone()?;
        self.colon()?;
        Ok(key)
    }

    fn key_alone(&mut self) -> Result<Text<'a>, JsonError> {
        if self.peek() == Some(b'"') {
            self.text()
        } else {
            Err(self.syntax("expected a key in double quotes"))
        }
    }

    fn colon(&mut self) -> Result<(), JsonError> {
        if self.peek() != Some(b':') {
            return Err(self.syntax("expected ':'"));
        }
        self.at += 1;
        Ok(())
    }

    fn syntax(&self, expected: &str) -> JsonError {
        let line = self.text.as_bytes().iter().take(self.at).filter(|b| **b == b'\n').count() + 1;
        JsonError::Syntax(format!("not valid JSON at line {line}: {expected}"))
    }

    /// The error for a value of another kind than `expected`.
    fn unexpected(&mut self, expected: &str) -> JsonError {
        let start = self.at;
        let found = match self.peek() {
            Some(b'{') => "an object".to_owned(),
            Some(b'[') => "a list".to_owned(),
            Some(b'"') => "a string".to_owned(),
            _ => match self.scalar() {
                Ok(value) => value.to_string(),
                Err(error) => return error,
            },
        };
        self.at = start;
        JsonError::Unexpected(format!("expected {expected}, found {found}"))
    }
}
