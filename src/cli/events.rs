//! What one conversion tells its batch, an object a line, and how the batch answers (see [`crate::batch::child`]).

use std::io::{self, BufRead as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use ggraft_platform::{Identity, interrupt};
use serde_json::{Value, json};

use super::messages::warnings;
use super::stdout;
use crate::batch::written::Written;
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
        // More than was planned if the file system shares less.
        self.total = self.total.max(self.done);
        if self.on && self.told_at.elapsed() >= TELLING {
            self.told_at = Instant::now();
            self.tell(&json!({"event": "progress", "done": self.done, "total": self.total}));
        }
    }

    /// Tells that the outputs of `conversion` are written, those files, and on the disk if `durable`.
    ///
    /// # Errors
    /// [`Error::Usage`] if their names cannot be told.
    pub fn ready(&self, conversion: &Conversion, durable: bool, files: &[Identity]) -> Result<()> {
        if !self.on {
            return Ok(());
        }
        let outputs = &conversion.plan.outputs;
        let written =
            Written::new(durable, outputs.iter().map(|o| o.path.as_path()).zip(files.iter().copied()));
        let mut event = serde_json::to_value(written)
            .map_err(|e| Error::usage(format!("a batch cannot tell of outputs with such names: {e}")))?;
        event["event"] = "ready".into();
        self.tell(&event);
        Ok(())
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

/// Whoever wanted the conversion, at the other end of standard input. When that ends, the conversion stops: nobody wants it
/// any more.
///
/// A line `rate N` limits what is read and written to N bytes a second; any other lets the conversion go on.
pub struct Master {
    lines: Receiver<()>,
    /// 0 is no limit.
    rate: Arc<AtomicU64>,
}

impl Master {
    /// Listens from now on.
    pub fn listen() -> Self {
        let (tell, lines) = mpsc::channel();
        let rate = Arc::new(AtomicU64::new(0));
        let told = rate.clone();
        thread::spawn(move || {
            let mut line = String::new();
            while matches!(io::stdin().lock().read_line(&mut line), Ok(1..)) {
                match line.trim_end().strip_prefix("rate ") {
                    Some(rate) => told.store(rate.parse().unwrap_or(0), Ordering::Relaxed),
                    None => _ = tell.send(()),
                }
                line.clear();
            }
            drop(tell);
            interrupt::stop();
        });
        Self { lines, rate }
    }

    /// Waits for a line.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if there is none to come.
    pub fn wait(&self) -> Result<()> {
        self.lines.recv().map_err(|_| Error::Interrupted)
    }

    /// How many bytes a second may be read, and how many written, as was last heard; 0 is no limit.
    pub fn rate(&self) -> Arc<AtomicU64> {
        self.rate.clone()
    }
}
