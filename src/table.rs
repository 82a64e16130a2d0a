//! Tables for people and grep, and texts from strangers made fit for a terminal.

use std::io::{self, Write};

/// Widest column, in characters; longer cells stick out, so that one absurd name does not pad all rows.
const COLUMN_MAX: usize = 120;

/// A last column narrower than this is not wrapped: it would be a word a line.
const WRAPPED_MIN: usize = 20;

/// Writes rows under a header whose entries start with `<` or `>`, the way the column is aligned.
/// The last column is not padded, but wrapped if somebody looks at it on so many columns.
pub fn table<const N: usize>(
    out: &mut impl Write,
    columns: Option<usize>,
    header: [&str; N],
    rows: Vec<[String; N]>,
) -> io::Result<()> {
    lines(out, columns, header, || rows.iter().cloned())
}

/// [`table`] of rows that are made twice, to find the widths and to write them, instead of being kept.
pub fn long_table<const N: usize, Rows: Iterator<Item = [String; N]>>(
    out: &mut impl Write,
    header: [&str; N],
    rows: impl Fn() -> Rows,
) -> io::Result<()> {
    lines(out, None, header, rows)
}

fn lines<const N: usize, Rows: Iterator<Item = [String; N]>>(
    out: &mut impl Write,
    columns: Option<usize>,
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
    let before: usize = widths[..N - 1].iter().map(|width| width + 2).sum();
    let last = columns.and_then(|columns| columns.checked_sub(before)).filter(|last| *last >= WRAPPED_MIN);
    for row in std::iter::once(header).chain(rows()) {
        for (i, ((cell, width), right)) in row.iter().zip(widths).zip(right).enumerate() {
            match (i + 1 == N, right) {
                (true, _) => match last {
                    Some(last) => {
                        let wrapped = textwrap::wrap(cell, textwrap::Options::new(last).break_words(false));
                        writeln!(out, "{}", wrapped.join(&format!("\n{:before$}", "")))?;
                    }
                    None => writeln!(out, "{cell}")?,
                },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_column_is_wrapped_where_there_are_few() {
        let rows = || vec![["7".to_owned(), "one two three four five six".to_owned()]];
        let shown = |columns| {
            let mut out = Vec::new();
            table(&mut out, columns, [">N", "<WHY"], rows()).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(None), "N  WHY\n7  one two three four five six\n");
        assert_eq!(shown(Some(26)), "N  WHY\n7  one two three four five\n   six\n");
        assert_eq!(shown(Some(22)), shown(None), "a word a line helps nobody");
    }
}
