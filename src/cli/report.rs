//! The final report for people, on standard error.

use indicatif::DecimalBytes;

use super::messages::say;
use crate::write::Report;

/// Prints what was written, what was shared, and why the rest was not.
pub fn print(report: &Report) {
    for output in &report.outputs {
        say(format_args!("wrote {} ({})", output.path.display(), DecimalBytes(output.bytes)));
    }
    let bytes = &report.bytes;
    let parts = [("shared", bytes.cloned), ("copied", bytes.copied), ("converted", bytes.converted)];
    let parts: Vec<String> = parts.iter().map(|(what, n)| format!("{what} {}", DecimalBytes(*n))).collect();
    say(format_args!("  {}; metadata {}", parts.join(", "), DecimalBytes(bytes.header + bytes.padding)));
    if let Some(measured) = report.measured.filter(|_| bytes.cloned > 0) {
        let all = (measured.shared + measured.unique).max(1);
        let percent = 100.0 * measured.shared as f64 / all as f64;
        say(format_args!("  on disk: {percent:.2} % shared, {} new", DecimalBytes(measured.unique)));
    }
    for shortfall in &report.reasons {
        let tensors =
            if shortfall.tensors > 0 { format!(" in {} tensors", shortfall.tensors) } else { String::new() };
        say(format_args!(
            "  not shared: {}{tensors}: {}",
            DecimalBytes(shortfall.bytes),
            shortfall.explanation
        ));
    }
}
