//! Strings of JSON.

use std::borrow::Cow;

/// A string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// As UTF-8 has them.
    Whole(Cow<'a, str>),
    /// One with half a surrogate pair, which Python has and UTF-8 has not, and here with U+FFFD in its place.
    Unpaired(String),
}

impl<'a> Text<'a> {
    /// The text, halves of surrogate pairs replaced.
    pub fn lossy(self) -> Cow<'a, str> {
        match self {
            Self::Whole(text) => text,
            Self::Unpaired(text) => Cow::Owned(text),
        }
    }

    /// The text, if UTF-8 has it.
    pub fn whole(&self) -> Option<&str> {
        match self {
            Self::Whole(text) => Some(text),
            Self::Unpaired(_) => None,
        }
    }
}

/// Reads the string in `json` whose first character, after the quote, is at `start`, and says where what follows
/// its end is; or else why it cannot be read, and where that is.
pub(super) fn read(json: &str, start: usize) -> Result<(Text<'_>, usize), (&'static str, usize)> {
    let end = plain_end(json.as_bytes(), start);
    let plain = json.get(start..end).unwrap_or_default();
    match json.as_bytes().get(end) {
        Some(b'"') => Ok((Text::Whole(Cow::Borrowed(plain)), end + 1)),
        Some(b'\\') => escaped(json, plain.to_owned(), end),
        _ => Err((UNENDED, end)),
    }
}

const UNENDED: &str = "expected the string to end, found a control character or the end";

/// Where from `at` on the next quote, backslash, control character or the end is.
#[inline]
pub(super) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let special = special(u64::from_le_bytes(*chunk));
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|b| matches!(b, b'"' | b'\\' | ..0x20)).unwrap_or(rest.len())
}

/// The highest bits of those bytes that are a quote, a backslash or below 0x20. Above the lowest of them there may be
/// others set, too.
fn special(bytes: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let is_zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes;
    let quote = is_zero(bytes ^ (ONES * b'"' as u64));
    let backslash = is_zero(bytes ^ (ONES * b'\\' as u64));
    let control = bytes.wrapping_sub(ONES * 0x20) & !bytes;
    (quote | backslash | control) & (ONES << 7)
}

/// [`read`] from the backslash at `at` on, what is before it being read.
fn escaped(json: &str, mut text: String, mut at: usize) -> Result<(Text<'_>, usize), (&'static str, usize)> {
    let bytes = json.as_bytes();
    let mut unpaired = false;
    loop {
        let end = plain_end(bytes, at);
        text.push_str(json.get(at..end).unwrap_or_default());
        at = end + 1;
        match bytes.get(end) {
            Some(b'"') if unpaired => return Ok((Text::Unpaired(text), at)),
            Some(b'"') => return Ok((Text::Whole(Cow::Owned(text)), at)),
            Some(b'\\') => {}
            _ => return Err((UNENDED, end)),
        }
        let escape = bytes.get(at).copied();
        let plain = match escape {
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(b),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let (c, end) =
                    code(json, at + 1).ok_or(("expected four hexadecimal digits after \\u", at))?;
                unpaired |= c.is_none();
                text.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
                at = end;
                continue;
            }
            _ => return Err(("unknown escape in a string", at)),
        };
        text.push(plain);
        at += 1;
    }
}

/// The character whose `\u` ends before `at`, if it is one, with the second half if it needs one, and where it ends.
fn code(json: &str, at: usize) -> Option<(Option<char>, usize)> {
    let first = hex4(json, at)?;
    let at = at + 4;
    if (0xd800..0xdc00).contains(&first) && json.get(at..at + 2) == Some("\\u") {
        // As in Python, what follows must have its digits even if it is no second half.
        let second = hex4(json, at + 2)?;
        if (0xdc00..0xe000).contains(&second) {
            return Some((char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)), at + 6));
        }
    }
    Some((char::from_u32(first), at))
}

fn hex4(json: &str, at: usize) -> Option<u32> {
    let digits = json.get(at..at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}
