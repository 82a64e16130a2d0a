//! Progress of long work: a bar on a terminal, a plain line now and then elsewhere.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};

use super::messages::say;

/// Short conversions stay silent in logs; long ones say that they live.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Bytes done out of bytes to do.
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
    last_line: Cell<Instant>,
}

impl Progress {
    /// Starts to show progress towards `total` bytes on standard error.
    pub fn start(total: u64, quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(total) };
        bar.set_length(total);
        let style = "{bar:32} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        let lines = !quiet && !std::io::stderr().is_terminal();
        Self { bar, lines, last_line: Cell::new(Instant::now()) }
    }

    /// `bytes` more are done.
    pub fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
        if self.lines && self.last_line.get().elapsed() >= LINE_INTERVAL {
            self.last_line.set(Instant::now());
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
            say(format_args!("done {} of {}", DecimalBytes(done), DecimalBytes(total)));
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
