//! Files and texts that strangers supplied: opening them without being trapped, reading them
//! without being flooded, quoting them without being fooled.
//!
//! Knows nothing of any file format.

use std::fmt::Write as _;
use std::fs::{self, File, FileType};
use std::io::{ErrorKind, Read};
use std::path::Path;

use ggraft_platform::advise_huge_pages;

use crate::error::{Error, Result};

/// Opens `path`, through symlinks, if it leads to a regular file.
///
/// # Errors
/// [`Error::Invalid`] for directories, FIFOs, devices, sockets and symlinks that lead nowhere.
pub fn open_regular(path: &Path) -> Result<File> {
    check_regular(path)?;
    File::open(path).map_err(|error| Error::io("cannot open", path, error))
}

/// Whether there is a file at `path`. What is there and cannot be read is not taken for absent; a name too long
/// to exist is.
///
/// # Errors
/// As [`open_regular`].
pub fn exists(path: &Path) -> Result<bool> {
    use ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    match fs::symlink_metadata(path) {
        Err(e) if matches!(e.kind(), NotFound | NotADirectory | InvalidFilename) => Ok(false),
        _ => check_regular(path).map(|()| true),
    }
}

/// Looks at the type before anything is opened: opening a FIFO would block until somebody writes to it.
fn check_regular(path: &Path) -> Result<()> {
    let kind = fs::metadata(path).map_err(|error| match fs::read_link(path) {
        Ok(target) => Error::invalid(
            path,
            format!("expected a file, found a symlink to {target:?} that cannot be followed: {error}"),
        ),
        Err(_) => Error::io("cannot open", path, error),
    })?;
    if !kind.is_file() {
        let found = describe(kind.file_type());
        return Err(Error::invalid(path, format!("expected a regular file, found {found}")));
    }
    Ok(())
}

/// Reads all of `path`, which must be a regular file of at most `limit` bytes.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open_regular(path)?;
    let len = file.metadata().map_err(|error| Error::io("cannot read", path, error))?.len();
    let mut bytes = Vec::with_capacity(len.min(limit) as usize);
    // A tokenizer has 17 to 33 MB, and a fault for every 4 KiB of it costs more than reading it.
    _ = advise_huge_pages(bytes.spare_capacity_mut());
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("cannot read", path, error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::invalid(path, format!("expected at most {limit} bytes, found more")));
    }
    Ok(bytes)
}

fn describe(kind: FileType) -> &'static str {
    if kind.is_dir() {
        return "a directory";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a FIFO";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    "something else"
}

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
        assert!(bounded(&"x".repeat(10_000)).chars().count() < 500);
    }
}
