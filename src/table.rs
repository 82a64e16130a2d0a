//! Tables for people and grep, and texts from strangers made fit for a terminal.

use std::io::{self, Write};

/// Widest column, in characters; longer cells stick out, so that one absurd name does not pad all rows.
const COLUMN_MAX: usize = 120;

/// Writes rows under a header whose entries start with `<` or `>`, the way the column is aligned.
/// The last column is not padded.
pub fn table<const N: usize>(
    out: &mut impl Write,
    header: [&str; N],
    rows: Vec<[String; N]>,
) -> io::Result<()> {
    long_table(out, header, || rows.iter().cloned())
}

/// [`table`] of rows that are made twice, to find the widths and to write them, instead of being kept.
pub fn long_table<const N: usize, Rows: Iterator<Item = [String; N]>>(
    out: &mut impl Write,
    header: [&str; N],
    rows: impl Fn() -> Rows,
) -> io::Result<()> {
    let right = header.map(|h| h.starts_with('>'));
    let header = header.map(|h| h.trim_start_matches(['<', '>']).to_owned());
    let mut widths = [0; N];
    for row in std::iter::once(header.clone()).chain(rows()) {
        for (width, cell) in widths.iter_mut().zip(&row) {
            *width = cell.chars().count().max(*width).min(COLUMN_MAX);
        }
    }
    for row in std::iter::once(header).chain(rows()) {
        for (i, ((cell, width), right)) in row.iter().zip(widths).zip(right).enumerate() {
            match (i + 1 == N, right) {
                (true, _) => writeln!(out, "{cell}")?,
                (false, true) => write!(out, "{cell:>width$}  ")?,
                (false, false) => write!(out, "{cell:<width$}  ")?,
            }
        }
    }
    Ok(())
}

/// `text` on one line, with escapes in place of what a terminal would act on or not show.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out
}
