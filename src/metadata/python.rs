//! Python's notions of letters, digits, spaces and titles, where Rust's differ.

use std::sync::LazyLock;

use regex::Regex;

/// Compiles a pattern of this program's own.
#[allow(clippy::expect_used)]
pub(super) fn pattern(source: &str) -> Regex {
    Regex::new(source).expect("the pattern is part of the program")
}

fn is_in(class: &Regex, c: char) -> bool {
    class.is_match(c.encode_utf8(&mut [0; 4]))
}

/// `str.isdecimal` of one character.
pub(super) fn is_decimal(c: char) -> bool {
    static DECIMAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"\p{Nd}"));
    if c.is_ascii() { c.is_ascii_digit() } else { is_in(&DECIMAL, c) }
}

/// `str.isalpha` of one character. `char::is_alphabetic` also takes marks and letter-like numbers.
pub(super) fn is_letter(c: char) -> bool {
    static LETTER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\p{L}"));
    if c.is_ascii() { c.is_ascii_alphabetic() } else { is_in(&LETTER, c) }
}

/// `str.isspace` of one character: also the four ASCII separators.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `str.strip()`.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.splitlines()`.
pub(super) fn split_lines(text: &str) -> impl Iterator<Item = &str> {
    const BREAKS: [char; 10] =
        ['\n', '\r', '\x0b', '\x0c', '\x1c', '\x1d', '\x1e', '\u{85}', '\u{2028}', '\u{2029}'];
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.filter(|text| !text.is_empty())?;
        let (line, tail) = match text.split_once(BREAKS) {
            Some((line, tail)) if text[line.len()..].starts_with("\r\n") => (line, &tail[1..]),
            Some((line, tail)) => (line, tail),
            None => (text, ""),
        };
        rest = Some(tail);
        Some(line)
    })
}

/// `str.islower()`: something is lowercase and nothing is uppercase or titlecase.
pub(super) fn is_lowercase(word: &str) -> bool {
    static TITLECASE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\p{Lt}"));
    word.chars().any(char::is_lowercase) && !word.chars().any(char::is_uppercase) && !TITLECASE.is_match(word)
}

/// `str.title()` of a word without uppercase letters: letters that follow no letter get their title form.
/// Greek letters with a subscript iota get two capitals instead of one.
pub(super) fn title(word: &str) -> String {
    let mut titled = String::with_capacity(word.len());
    let mut inside = false;
    for c in word.chars() {
        match c {
            _ if inside => titled.extend(c.to_lowercase()),
            // Georgian has capitals, but not in titles.
            '\u{10d0}'..='\u{10ff}' => titled.push(c),
            'ǆ' => titled.push('ǅ'),
            'ǉ' => titled.push('ǈ'),
            'ǌ' => titled.push('ǋ'),
            'ǳ' => titled.push('ǲ'),
            'ŉ' => titled.push_str("ʼN"),
            _ => {
                let mut upper = c.to_uppercase();
                titled.extend(upper.next());
                titled.extend(upper.flat_map(char::to_lowercase));
            }
        }
        inside = c.is_lowercase() || c.is_uppercase();
    }
    titled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_python_ends_them() {
        let lines: Vec<_> = split_lines("a\r\nb\rc\n\nd\u{2028}e\x0cf\x1eg\u{85}").collect();
        assert_eq!(lines, ["a", "b", "c", "", "d", "e", "f", "g"]);
        assert_eq!(split_lines("").count(), 0);
    }

    /// Results of CPython 3.11.
    #[test]
    fn titles_are_python_titles() {
        for (word, expected) in [
            ("don't", "Don'T"),
            ("ßa", "Ssa"),
            ("ﬁx", "Fix"),
            ("a1b", "A1B"),
            ("ქართული", "ქართული"),
            ("ǆa", "ǅa"),
        ] {
            assert_eq!(title(word), expected);
        }
    }
}
