//! A plan as tables for people and grep: what is shared, why the rest is not, what would share more.
//!
//! Names come from strangers and go to a terminal: whatever does not print is escaped.

use std::io::{self, Write};

use indicatif::DecimalBytes;

use super::{Explanation, Fate, fates, percent};
use crate::advice::aligning;
use crate::input::shell_word;
use crate::plan::{Kind, Output};
use crate::table::{printable, table};
use crate::write::Bytes;

impl Explanation<'_> {
    /// Writes the summary; with `tensors`, also a line for every tensor.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_text(&self, out: &mut impl Write, tensors: bool) -> io::Result<()> {
        self.write_files(out)?;
        self.write_reasons(out)?;
        self.write_notes(out)?;
        self.write_advice(out)?;
        match tensors {
            true => self.plan.outputs.iter().try_for_each(|output| self.write_tensors(out, output)),
            false => Ok(()),
        }
    }

    fn write_files(&self, out: &mut impl Write) -> io::Result<()> {
        let row = |name: String, bytes: &Bytes| {
            let part = |n: u64| format!("{} {:>8}", DecimalBytes(n), percent(n, bytes.total));
            let rest = bytes.header + bytes.padding;
            let total = DecimalBytes(bytes.total).to_string();
            [total, part(bytes.cloned), part(bytes.copied), part(bytes.converted), part(rest), name]
        };
        let outputs = &self.plan.outputs;
        let mut rows: Vec<_> =
            outputs.iter().map(|o| row(printable(&o.path.to_string_lossy()), &Bytes::of(o))).collect();
        if outputs.len() > 1 {
            rows.push(row(format!("all {} files", outputs.len()), &self.report.bytes));
        }
        table(out, self.columns, [">BYTES", ">SHARED", ">COPIED", ">CONVERTED", ">METADATA", "<FILE"], rows)
    }

    fn write_reasons(&self, out: &mut impl Write) -> io::Result<()> {
        if self.report.reasons.is_empty() {
            return Ok(());
        }
        writeln!(out)?;
        let rows = self.report.reasons.iter().map(|s| {
            let bytes = DecimalBytes(s.bytes).to_string();
            let share = percent(s.bytes, self.report.bytes.total);
            [bytes, share, s.tensors.to_string(), s.reason.to_owned(), printable(&s.explanation)]
        });
        table(out, self.columns, [">NOT SHARED", ">", ">TENSORS", "<REASON", "<BECAUSE"], rows.collect())
    }

    fn write_notes(&self, out: &mut impl Write) -> io::Result<()> {
        if self.notes.is_empty() {
            return Ok(());
        }
        writeln!(out)?;
        self.notes.iter().try_for_each(|note| writeln!(out, "{note}"))
    }

    fn write_advice(&self, out: &mut impl Write) -> io::Result<()> {
        let (now, total) = (self.report.bytes.cloned, self.report.bytes.total);
        if let Some(a) = &self.advice.not_worth {
            writeln!(
                out,
                "\nNot worth rewriting {}: after `{}`, {} would be shared instead of {} ({} instead of {})",
                DecimalBytes(a.rewritten),
                aligning(&self.model_word()),
                DecimalBytes(a.shared),
                DecimalBytes(now),
                percent(a.shared, a.total),
                percent(now, total)
            )?;
        }
        if !self.advice.better.is_empty() {
            self.write_better(out)?;
        }
        if self.advice.extents.is_empty() {
            return Ok(());
        }
        writeln!(out)?;
        let rows = self.advice.extents.iter().map(|e| {
            let size = format!("{}K", e.min_extent >> 10);
            let new = DecimalBytes(total.saturating_sub(e.shared)).to_string();
            [size, DecimalBytes(e.shared).to_string(), new, e.extents.to_string()]
        });
        table(out, self.columns, [">--min-extent", ">SHARED", ">NEW", ">EXTENTS"], rows.collect())
    }

    /// The model as one would name it in a shell.
    fn model_word(&self) -> String {
        shell_word(&self.checkpoint.dir.path().to_string_lossy())
    }

    fn write_better(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out)?;
        let rows = self.advice.better.iter().map(|a| {
            let shared = DecimalBytes(a.shared).to_string();
            let how = format!("{} ({})", a.way.instruction(&self.model_word()), a.way.caveat());
            [shared, percent(a.shared, a.total), a.extents.to_string(), a.files.to_string(), how]
        });
        table(out, self.columns, [">COULD SHARE", ">", ">EXTENTS", ">FILES", "<HOW"], rows.collect())
    }

    fn write_tensors(&self, out: &mut impl Write, output: &Output) -> io::Result<()> {
        writeln!(out, "\n{}", printable(&output.path.to_string_lossy()))?;
        let block = self.plan.block;
        let rows = output.tensors.iter().zip(fates(output)).map(|(tensor, fate)| {
            let source = fate.source.map_or_else(|| "-".into(), |(_, at)| (at % block).to_string());
            [
                tensor.offset.to_string(),
                tensor.len.to_string(),
                (tensor.offset % block).to_string(),
                source,
                action(&fate, tensor.len),
                printable(&tensor.name),
            ]
        });
        let header = [">OFFSET", ">BYTES", ">PHASE", ">SOURCE PHASE", "<ACTION", "<TENSOR"];
        table(out, self.columns, header, rows.collect())
    }
}

/// Shares in percent of what happens to a tensor, and the main reason.
fn action(fate: &Fate, bytes: u64) -> String {
    let parts = Kind::ALL.iter().zip(fate.bytes).filter(|(_, n)| *n > 0);
    let parts: Vec<String> = parts
        .map(|(kind, n)| match n == bytes {
            true => kind.id().to_owned(),
            false => format!("{} {}", kind.id(), percent(n, bytes)),
        })
        .collect();
    match fate.reason {
        Some((reason, _)) if reason.id() != parts.join("") => {
            format!("{} ({})", parts.join(", "), reason.id())
        }
        _ => parts.join(", "),
    }
}
