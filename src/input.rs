//! Texts that strangers supplied: quoting them without being fooled.

use std::fmt::Write as _;

/// Longest stretch of a stranger's text in a message, in characters.
const QUOTE: usize = 80;

/// `text` in quotes, control characters escaped, cut to a length that fits a message.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTE) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// The first few of `names`, quoted, and how many there are besides.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 3;
    let mut names = names.into_iter();
    let mut list = names.by_ref().take(SHOWN).map(quoted).collect::<Vec<_>>().join(", ");
    let more = names.count();
    if more > 0 {
        // Writing to a String cannot fail.
        let _ = write!(list, " and {more} more");
    }
    list
}

/// An error text that may itself quote a stranger, cut to a bearable length. What a parser says
/// about the position stands at the end, so that is kept.
pub fn bounded(message: &str) -> String {
    const HALF: usize = 200;
    let chars = message.chars().count();
    if chars <= 2 * HALF {
        return message.to_owned();
    }
    let head = message.chars().take(HALF);
    let tail = message.chars().skip(chars - HALF);
    head.chain(" … ".chars()).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_short_and_harmless() {
        assert_eq!(quoted("a\u{1b}[31m\n"), r#""a\u{1b}[31m\n""#);
        assert_eq!(quoted(&"é".repeat(81)).chars().count(), 80 + 3);
        assert_eq!(listed(["a", "b"]), r#""a", "b""#);
        assert_eq!(listed(["a", "b", "c", "d", "e"]), r#""a", "b", "c" and 2 more"#);
        assert!(bounded(&"x".repeat(10_000)).chars().count() < 500);
    }
}
