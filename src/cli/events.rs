//! What one conversion tells its batch, an object a line, and how the batch answers (see [`crate::batch::child`]).

use std::io::{self, BufRead as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use ggraft_platform::interrupt;
use serde_json::{Value, json};

use super::messages::warnings;
use super::stdout;
use crate::conversion::Conversion;
use crate::error::{Error, Result};

/// Progress is told no more often than this.
const TELLING: Duration = Duration::from_millis(200);

/// Tells of a conversion on standard output, if anybody listens.
pub struct Events {
    on: bool,
    done: u64,
    total: u64,
    warned: usize,
    told_at: Instant,
}

impl Events {
    /// Tells nothing unless `on`.
    pub fn new(on: bool) -> Self {
        Self { on, done: 0, total: 0, warned: 0, told_at: Instant::now() }
    }

    fn tell(&self, event: &Value) {
        if self.on {
            // If the batch is gone, so is whoever could hear of that.
            _ = stdout::json(|out| writeln!(out, "{event}"));
        }
    }

    /// Tells what will be written.
    pub fn planned(&mut self, conversion: &Conversion) {
        if !self.on {
            return;
        }
        let report = conversion.expected();
        self.total = conversion.work();
        self.warnings();
        let outputs: Vec<_> = report
            .outputs
            .iter()
            .map(|output| json!([output.path.to_string_lossy(), output.bytes]))
            .collect();
        self.tell(&json!({
            "event": "planned", "bytes": report.bytes.total,
            "new_bytes": report.bytes.total - report.bytes.cloned, "outputs": outputs,
        }));
    }

    /// Tells that `bytes` more are done.
    pub fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        if self.on && self.told_at.elapsed() >= TELLING {
            self.told_at = Instant::now();
            self.tell(&json!({"event": "progress", "done": self.done, "total": self.total}));
        }
    }

    /// Tells of warnings since the last time.
    fn warnings(&mut self) {
        if !self.on {
            return;
        }
        let all = warnings();
        all.iter()
            .skip(self.warned)
            .for_each(|message| self.tell(&json!({"event": "warning", "message": message})));
        self.warned = all.len();
    }

    /// Tells that it is done.
    pub fn finished(&mut self, report: &Value) {
        self.warnings();
        self.tell(&json!({"event": "finished", "report": report}));
    }

    /// Tells why it is not.
    pub fn failed(&mut self, error: &Error) {
        self.warnings();
        self.tell(&json!({"event": "failed", "error": error.to_json()}));
    }
}

/// Waits for a line on standard input. When that input ends, before or after, the conversion stops: whoever wanted it is
/// gone.
///
/// # Errors
/// [`Error::Interrupted`] if it ended already.
pub fn hold() -> Result<()> {
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(1..) => {}
        _ => return Err(Error::Interrupted),
    }
    thread::spawn(|| {
        _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        interrupt::stop();
    });
    Ok(())
}
