//! Reads JSON from left to right, value by value, without a tree where none is wanted.

mod number;
mod plain;
mod tree;

use std::borrow::Cow;

use super::JsonError;
use super::gap::Gap;
use super::text::{self, Text};
pub use tree::Memory;
use tree::TREES;

/// Nesting beyond this is an error, as it is in Python.
const MAX_DEPTH: u32 = 1000;

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

/// What stands around the items of lists of the same form.
#[derive(Debug, Default)]
pub struct Gaps {
    open: Gap,
    comma: Gap,
    close: Gap,
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
    #[inline]
    pub fn text(&mut self) -> Result<Text<'a>, JsonError> {
        match self.plain() {
            Some(text) => Ok(Text::Whole(Cow::Borrowed(text))),
            None => self.text_with_escapes(),
        }
    }

    fn text_with_escapes(&mut self) -> Result<Text<'a>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a string"));
        }
        match text::read(self.text, self.at + 1) {
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
        match self.plain() {
            Some(key) => Ok(Text::Whole(Cow::Borrowed(key))),
            None if self.peek() == Some(b'"') => self.text_with_escapes(),
            None => Err(self.syntax("expected a key in double quotes")),
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
