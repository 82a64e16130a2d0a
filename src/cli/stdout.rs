//! Standard output. All of it goes through here, because it may be a terminal and much of it are names from
//! strangers: what steers a terminal is escaped, whatever those who print have overlooked.

use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::input::steers_a_terminal;

/// What errors call it.
pub const STANDARD_OUTPUT: &str = "standard output";

/// Whether `path` means standard output, or standard input where something is read.
pub fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
}

/// Prints what `write` writes, as text. Line feeds stay: names on lines of their own need
/// [`one_line`](crate::input::one_line).
///
/// # Errors
/// [`Error::Io`].
pub fn text(write: impl FnOnce(&mut Stdout) -> io::Result<()>) -> Result<()> {
    print(|c| c.escape_default().to_string(), write)
}

/// Prints the JSON that `write` writes. It means the same as before.
///
/// # Errors
/// [`Error::Io`].
pub fn json(write: impl FnOnce(&mut Stdout) -> io::Result<()>) -> Result<()> {
    // All of these have four digits, and outside of strings JSON has none of them.
    print(|c| format!("\\u{:04x}", u32::from(c)), write)
}

/// Sends what `write` writes to the program or file that reads it, byte for byte; `flag` asked for it.
///
/// # Errors
/// [`Error::Usage`] if a terminal reads it, [`Error::Io`].
pub fn raw(flag: &str, write: impl FnOnce(&mut BufWriter<StdoutLock>) -> io::Result<()>) -> Result<()> {
    not_a_terminal(flag)?;
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out)
        .and_then(|()| out.flush())
        .map_err(|source| Error::io("cannot write to", STANDARD_OUTPUT, source))
}

/// Refuses to send what `flag` asked for to a terminal, which shows text only.
///
/// # Errors
/// [`Error::Usage`].
pub fn not_a_terminal(flag: &str) -> Result<()> {
    if io::stdout().is_terminal() {
        let problem = format!("{flag}: standard output is a terminal");
        let hint = format!("send it to a file or a program: `ggraft … {flag} | …`");
        return Err(Error::usage(problem).hint(hint));
    }
    Ok(())
}

fn print(escape: fn(char) -> String, write: impl FnOnce(&mut Stdout) -> io::Result<()>) -> Result<()> {
    let mut out = Stdout { out: BufWriter::new(io::stdout().lock()), escape };
    write(&mut out)
        .and_then(|()| out.flush())
        .map_err(|source| Error::io("cannot write to", STANDARD_OUTPUT, source))
}

/// Takes text in whole characters, as formatting and JSON serializers give it.
pub struct Stdout {
    out: BufWriter<StdoutLock<'static>>,
    escape: fn(char) -> String,
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut rest = &*text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| *c != '\n' && steers_a_terminal(*c)) {
            let (before, after) = rest.split_at(at);
            self.out.write_all(before.as_bytes())?;
            self.out.write_all((self.escape)(c).as_bytes())?;
            rest = &after[c.len_utf8()..];
        }
        self.out.write_all(rest.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// How many columns the terminal has that standard output goes to, if it does.
pub fn columns() -> Option<usize> {
    let (_, columns) =
        console::Term::stdout().features().is_attended().then(|| console::Term::stdout().size())?;
    Some(columns.into())
}
