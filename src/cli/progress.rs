//! Progress of long work: a bar on a terminal, a plain line now and then elsewhere.

use std::cell::Cell;
use std::fmt;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, HumanDuration, ProgressBar, ProgressStyle};

use super::messages::say;

/// Short conversions stay silent in logs; long ones say that they live.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// As wide as the terminal is.
const BAR: &str =
    "{wide_bar} {percent:>3} % {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}, {eta} left";

/// Bytes done out of bytes to do.
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
    began: Instant,
    last_line: Cell<Instant>,
}

impl Progress {
    /// Shows on standard error how `work` gets on, which tells of `total` bytes, if that is known, and takes the bar away.
    pub fn watch<T>(total: u64, quiet: bool, work: impl FnOnce(&Self) -> T) -> T {
        let progress = Self::start(total, quiet);
        let result = work(&progress);
        progress.bar.finish_and_clear();
        result
    }

    fn start(total: u64, quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(total) };
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        // It draws, so the style comes first.
        bar.set_length(total);
        let lines = !quiet && !std::io::stderr().is_terminal();
        let now = Instant::now();
        Self { bar, lines, began: now, last_line: Cell::new(now) }
    }

    /// It turned out that `total` bytes are to be done.
    pub fn expect(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// `bytes` more are done.
    pub fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
        if self.lines && self.last_line.get().elapsed() >= LINE_INTERVAL {
            self.last_line.set(Instant::now());
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
            say(Line { done, total, elapsed: self.began.elapsed() });
        }
    }
}

/// What a log gets instead of a bar.
struct Line {
    done: u64,
    total: u64,
    elapsed: Duration,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { done, total, elapsed } = *self;
        // More than was planned if the file system shares less.
        let total = total.max(done);
        let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
        let percent = (done as f64 / total.max(1) as f64 * 100.0) as u64;
        write!(f, "{percent} %, {} of {}", DecimalBytes(done), DecimalBytes(total))?;
        write!(f, ", {}/s", DecimalBytes(rate as u64))?;
        match Duration::try_from_secs_f64((total - done) as f64 / rate) {
            Ok(left) => write!(f, ", {} left", HumanDuration(left)),
            // Nothing was done yet.
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Line};

    #[test]
    fn lines_tell_rate_and_time_left() {
        let line = |done, total, secs| Line { done, total, elapsed: Duration::from_secs(secs) }.to_string();
        assert_eq!(
            line(2_500_000_000, 10_000_000_000, 10),
            "25 %, 2.50 GB of 10.00 GB, 250.00 MB/s, 30 seconds left"
        );
        assert_eq!(line(0, 10_000_000_000, 10), "0 %, 0 B of 10.00 GB, 0 B/s");
        assert_eq!(line(30, 20, 10), "100 %, 30 B of 30 B, 3 B/s, 0 seconds left");
    }
}
