//! The final report for people, on standard error.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use indicatif::{DecimalBytes, HumanDuration};

use super::messages::{say, warnings};
use super::stdout;
use crate::advice::Alternative;
use crate::compare::Comparison;
use crate::describe::Note;
use crate::error::Result;
use crate::input::{counted, listed, one_line, shell_word};
use crate::plan::Plan;
use crate::write::Report;

/// Prints what was written in which time, where its bytes come from, and why not all of them are shared.
pub fn print(report: &Report, took: Duration) {
    print_parts(report, took, "the checkpoint");
}

/// The same for what was made of `source`.
pub fn print_parts(report: &Report, took: Duration, source: &str) {
    let speed = speed(report.bytes.total - report.bytes.cloned, took);
    match &*report.outputs {
        [output] => {
            say(format_args!("wrote {} ({}){speed}", output.path.display(), DecimalBytes(output.bytes)))
        }
        outputs => {
            for output in outputs {
                say(format_args!("wrote {} ({})", output.path.display(), DecimalBytes(output.bytes)));
            }
            say(format_args!("wrote {} files ({}){speed}", outputs.len(), DecimalBytes(report.bytes.total)));
        }
    }
    if let Some(verified) = &report.verified {
        print_verified(verified);
    }
    let bytes = &report.bytes;
    let kinds = [
        ("shared", bytes.cloned),
        ("copied", bytes.copied),
        ("converted", bytes.converted),
        ("metadata", bytes.header + bytes.padding),
    ];
    let kinds = kinds.iter().filter(|(_, n)| *n > 0);
    let kinds: Vec<String> = kinds.map(|(what, n)| format!("{} {what}", DecimalBytes(*n))).collect();
    say(format_args!("  {}", kinds.join(", ")));
    if bytes.cloned == 0 {
        // The rest of the reasons would only repeat it.
        if let Some(main) = report.reasons.first() {
            say(format_args!("  nothing is shared with {source}: {}", main.explanation));
        }
        return;
    }
    if let Some(measured) = report.measured {
        let all = (measured.shared + measured.unique).max(1);
        let percent = 100.0 * measured.shared as f64 / all as f64;
        let new = DecimalBytes(measured.unique);
        say(format_args!("  on disk: {percent:.2} % shared with {source}, {new} new"));
    }
    for shortfall in &report.reasons {
        let (bytes, why) = (DecimalBytes(shortfall.bytes), &shortfall.explanation);
        match shortfall.tensors {
            0 => say(format_args!("  not shared: {bytes}: {why}")),
            n => say(format_args!("  not shared: {bytes} in {}: {why}", counted(n, "tensor"))),
        }
    }
}

/// The time that a conversion took, and how fast it wrote the `moved` bytes that it did not share, if that says anything.
fn speed(moved: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    let time = if seconds < 9.95 { format!("{seconds:.1} s") } else { HumanDuration(took).to_string() };
    // What is written in less is over before a rate means anything.
    if seconds < 0.05 || moved < 100_000_000 {
        return format!(" in {time}");
    }
    format!(" in {time}, {}/s", DecimalBytes((moved as f64 / seconds) as u64))
}

/// Says how what was written was compared.
pub fn print_verified(comparison: &Comparison) {
    say(format_args!("  verified: {}", comparison.in_words()));
}

/// The report for programs, with what was left out and warned of.
pub fn to_json(report: &Report, notes: &[Note]) -> serde_json::Value {
    let mut json = report.to_json();
    json["left_out"] = notes.iter().map(Note::to_json).collect();
    json["warnings"] = warnings().into();
    json
}

/// Prints the names of the files that `plan` would write, on standard output.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io).
pub fn print_names(plan: &Plan) -> Result<()> {
    let mut names = plan.outputs.iter().map(|output| one_line(&output.path.to_string_lossy()));
    stdout::text(|out| names.try_for_each(|name| writeln!(out, "{name}")))
}

/// Says what of the checkpoint is not in the output.
pub fn print_notes(notes: &[Note]) {
    notes.iter().for_each(|note| say(format_args!("  {note}")));
}

/// Warns of what did not survive the conversion.
pub fn warn(report: &Report) {
    if report.overflows.is_empty() {
        return;
    }
    let values: u64 = report.overflows.iter().map(|(_, count)| count).sum();
    let tensors = listed(report.overflows.iter().map(|(name, _)| name.as_str()));
    let values = counted(values, "value");
    tracing::warn!(
        "{values} beyond ±65504, the largest that F16 holds, became infinite in {tensors}; --outtype bf16 or f32 keeps \
         them finite"
    );
}

/// Says how more could be shared next time, and what that costs; and where nothing is shared, how to do without a file.
pub fn print_advice(better: Option<&Alternative>, report: &Report, model: &Path) {
    let model = shell_word(&model.to_string_lossy());
    if let Some(better) = better {
        say(format_args!("  advice: {}", advice(better, report, &model)));
    }
    if report.bytes.cloned == 0 {
        say(format_args!(
            "  no space at all: `ggraft mount {model} DIR` shows this file in DIR without writing it, \
             `ggraft with {model} -- COMMAND {{}}` only while COMMAND runs (both with the same flags)"
        ));
    }
}

fn advice(better: &Alternative, report: &Report, model: &str) -> String {
    let percent = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
    let cost = match (better.rewritten, better.staying) {
        (0, _) => String::new(),
        (all, 0) => format!("(one rewrite of {}) ", DecimalBytes(all)),
        (all, staying) => format!(
            "(one rewrite of {}, beside {} that stay in the cache; --replace-blob replaces them) ",
            DecimalBytes(all),
            DecimalBytes(staying)
        ),
    };
    format!(
        "{} {cost}{:.1} % would be shared instead of {:.1} %; `ggraft plan {model}` shows why",
        better.way.instruction(model),
        percent(better.shared, better.total),
        percent(report.bytes.cloned, report.bytes.total),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_of_what_took_a_while_and_was_much() {
        let said = |moved, millis| speed(moved, Duration::from_millis(millis));
        assert_eq!(said(100_000_000, 50), " in 0.1 s, 2.00 GB/s");
        assert_eq!(said(100_000_000, 49), " in 0.0 s");
        assert_eq!(said(99_999_999, 2000), " in 2.0 s");
        assert_eq!(said(3_000_000_000, 2000), " in 2.0 s, 1.50 GB/s");
        assert_eq!(said(3_000_000_000, 9949), " in 9.9 s, 301.54 MB/s");
        assert_eq!(said(3_000_000_000, 9950), " in 10 seconds, 301.51 MB/s");
        assert_eq!(said(0, 120_000), " in 2 minutes");
    }
}
