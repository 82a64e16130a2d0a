//! Texts that strangers supplied: quoting them without being fooled.

use std::fmt::{self, Write as _};

/// Longest stretch of a stranger's text in a message, in characters.
const QUOTE: usize = 80;

/// `text` in quotes, control characters escaped, cut to a length that fits a message.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTE) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// Whether a terminal would act on `c` instead of showing it: control characters, line and paragraph separators, and
/// those that change the direction of the text around them.
pub fn steers_a_terminal(c: char) -> bool {
    let separates = matches!(c, '\u{2028}' | '\u{2029}');
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || separates || turns
}

/// `text`, which may hold names from strangers, with escapes for what would forge lines, colours or directions.
/// Backslashes stay, so nothing that is escaped already is escaped again.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match steers_a_terminal(c) {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

/// `text` as a word for a shell, to be copied from a message into a command. What would steer a terminal is escaped, and then it
/// is nothing to copy any more.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./+,:=@%".contains(c);
    let word = if text.starts_with('-') { format!("./{text}") } else { text.to_owned() };
    match !word.is_empty() && word.chars().all(plain) {
        true => word,
        false => one_line(&format!("'{}'", word.replace('\'', "'\\''"))),
    }
}

/// `count` things of a kind: "1 file", "2 files".
pub fn counted<N: fmt::Display + PartialEq + From<u8>>(count: N, thing: &str) -> String {
    format!("{count} {thing}{}", if count == N::from(1) { "" } else { "s" })
}

/// What a file is that begins with `start`, in words that can follow "found".
pub fn glimpse(start: &[u8]) -> String {
    /// Longest beginning of a text that is shown, in characters.
    const SHOWN: usize = 30;
    let safetensors = start.len() > 8 && start[8] == b'{';
    match start {
        [] => return "nothing: it is empty".into(),
        [b'P', b'K', 3, 4, ..] => return "a ZIP archive, which is what PyTorch saves".into(),
        [b'G', b'G', b'U', b'F', ..] => return "a GGUF file".into(),
        _ if safetensors && start[4..8] == [0; 4] => return "a safetensors file".into(),
        _ => {}
    }
    // Whoever read the start may have cut a character in two.
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() => {
            std::str::from_utf8(&start[..e.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => "",
    };
    let line = text.lines().next().unwrap_or_default().trim_end();
    if line.is_empty() || line.chars().any(|c| c.is_control() && c != '\t') {
        let bytes: Vec<String> = start.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        return format!("a file that begins with the bytes {}", bytes.join(" "));
    }
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("a text that begins with {:?}…", &line[..end]),
        None => format!("a text that begins with {line:?}"),
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
        assert_eq!(one_line("é\u{1b}[31m\n\\n\u{9b}1m\u{202e}"), r"é\u{1b}[31m\n\n\u{9b}1m\u{202e}");
        assert_eq!(quoted(&"é".repeat(81)).chars().count(), 80 + 3);
        assert_eq!(listed(["a", "b"]), r#""a", "b""#);
        assert_eq!(listed(["a", "b", "c", "d", "e"]), r#""a", "b", "c" and 2 more"#);
        assert_eq!(glimpse(b"# ggraft\n\nTurns"), r##"a text that begins with "# ggraft""##);
        assert_eq!(
            glimpse("é".repeat(31).as_bytes()),
            format!("a text that begins with \"{}\"…", "é".repeat(30))
        );
        assert_eq!(glimpse(&"xé".as_bytes()[..2]), r#"a text that begins with "x""#);
        assert_eq!(glimpse(&[0x80, 2, b'}']), "a file that begins with the bytes 80 02 7d");
        assert_eq!(glimpse(b"\x1b[31mred"), "a file that begins with the bytes 1b 5b 33 31 6d 72 65 64");
        assert_eq!(glimpse(b"\x10\0\0\0\0\0\0\0{\"a\""), "a safetensors file");
        assert_eq!(glimpse(b""), "nothing: it is empty");
        assert_eq!(shell_word("/data/Llama-3.2-1B"), "/data/Llama-3.2-1B");
        assert_eq!(shell_word("-it's $HOME\n"), r"'./-it'\''s $HOME\n'");
        assert!(bounded(&"x".repeat(10_000)).chars().count() < 500);
    }
}
