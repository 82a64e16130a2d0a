//! The final report for people, on standard error.

use indicatif::DecimalBytes;

use crate::advice::Alternative;
use crate::write::Report;

/// Prints what was written, what was shared, and why the rest was not.
pub fn print(report: &Report) {
    for output in &report.outputs {
        eprintln!("wrote {} ({})", output.path.display(), DecimalBytes(output.bytes));
    }
    let bytes = &report.bytes;
    let parts = [("shared", bytes.cloned), ("copied", bytes.copied), ("converted", bytes.converted)];
    let parts: Vec<String> = parts.iter().map(|(what, n)| format!("{what} {}", DecimalBytes(*n))).collect();
    eprintln!("  {}; metadata {}", parts.join(", "), DecimalBytes(bytes.header + bytes.padding));
    if let Some(measured) = report.measured.filter(|_| bytes.cloned > 0) {
        let all = (measured.shared + measured.unique).max(1);
        let percent = 100.0 * measured.shared as f64 / all as f64;
        eprintln!("  on disk: {percent:.2} % shared, {} new", DecimalBytes(measured.unique));
    }
    for shortfall in &report.reasons {
        let tensors =
            if shortfall.tensors > 0 { format!(" in {} tensors", shortfall.tensors) } else { String::new() };
        eprintln!("  not shared: {}{tensors}: {}", DecimalBytes(shortfall.bytes), shortfall.explanation);
    }
}

/// Says in one line how more could have been shared.
pub fn print_advice(better: &Alternative, report: &Report) {
    let percent = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
    eprintln!(
        "  advice: {} {:.1} % would be shared instead of {:.1} %; `ggraft plan` shows why",
        better.way.instruction(),
        percent(better.shared, better.total),
        percent(report.bytes.cloned, report.bytes.total),
    );
}
