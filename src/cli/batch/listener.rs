//! What people and machines see of a batch: a table or lines on standard error, events in a file.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, MultiProgress, ProgressBar, ProgressStyle};

use crate::batch::{Event, What};
use crate::cli::messages::say;
use crate::cli::stdout;
use crate::error::{Error, Result};
use crate::input::one_line;

/// Shows people and machines what happens.
pub struct Listener {
    /// Where events go: a file, or standard output.
    events: Option<Mutex<Option<File>>>,
    quiet: bool,
    bars: Option<Bars>,
    last_line: Mutex<Instant>,
    /// Whether an event could not be written, and people were told.
    lost: AtomicBool,
}

/// What a terminal shows.
struct Bars {
    whole: MultiProgress,
    /// How many jobs are done.
    all: ProgressBar,
    /// One for each running job.
    running: Mutex<BTreeMap<String, ProgressBar>>,
}

/// Where there is no terminal, running jobs are named no more often than this.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

impl Listener {
    /// For so many jobs: events go to the file `events`, `-` being standard output, and people hear of failures only if
    /// `quiet`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn new(events: Option<&Path>, quiet: bool, jobs: usize) -> Result<Self> {
        let events = match events {
            None => None,
            Some(path) if path.as_os_str() == "-" => Some(Mutex::new(None)),
            Some(path) => Some(Mutex::new(Some(append(path)?))),
        };
        let bars = (std::io::stderr().is_terminal() && !quiet).then(|| {
            let whole = MultiProgress::new();
            let all = whole.add(ProgressBar::new(jobs as u64));
            if let Ok(style) =
                ProgressStyle::with_template("{pos}/{len} jobs {wide_bar} {elapsed}, {eta} left")
            {
                all.set_style(style);
            }
            Bars { whole, all, running: Mutex::default() }
        });
        Ok(Self { events, quiet, bars, last_line: Mutex::new(Instant::now()), lost: AtomicBool::new(false) })
    }

    /// Shows an event.
    pub fn hear(&self, event: &Event) {
        if let Some(events) = &self.events
            && let Ok(line) = serde_json::to_string(event)
        {
            // A full disk must not end conversions that go elsewhere; lines stay whole.
            let written = match &mut *events.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(file) => file.write_all(format!("{line}\n").as_bytes()).map_err(|e| e.to_string()),
                None => stdout::json(|out| writeln!(out, "{line}")).map_err(|e| e.to_string()),
            };
            if let Err(error) = written
                && !self.lost.swap(true, Ordering::Relaxed)
            {
                self.always(format_args!("warning: --events: {error}; events are missing from here on"));
            }
        }
        let job = event.job.as_deref().unwrap_or_default();
        match &event.what {
            What::Queued { .. } => {}
            What::Started { bytes, .. } => self.bar(job, *bytes),
            What::Progress { done, total } => self.progress(job, *done, *total),
            What::Warning { message } => self.line(format_args!("{job}: warning: {message}")),
            What::Finished { seconds, report } => {
                self.ended(job);
                let bytes = |key: &str| report["bytes"][key].as_u64().unwrap_or(0);
                let (all, shared) = (DecimalBytes(bytes("total")), DecimalBytes(bytes("cloned")));
                self.line(format_args!("{job}: done in {seconds:.1} s, {all}, {shared} of it shared"));
            }
            What::Failed { retried, error, .. } => {
                if !retried {
                    self.ended(job);
                }
                let message = error["message"].as_str().unwrap_or("failed");
                let again = if *retried { "; it will be tried again" } else { "" };
                self.always(format_args!("{job}: failed: {message}{again}"));
                let hints = error["hints"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
                hints.for_each(|hint| self.always(format_args!("  hint: {hint}")));
            }
            What::Skipped { reason } => {
                self.ended(job);
                self.line(format_args!("{job}: skipped, {reason}"));
            }
            What::Summary { finished, failed, skipped, seconds, bytes, shared } => self.line(format_args!(
                "{finished} finished, {failed} failed, {skipped} skipped in {seconds:.1} s; wrote {}, {} of it shared",
                DecimalBytes(*bytes),
                DecimalBytes(*shared),
            )),
        }
    }

    fn bar(&self, job: &str, total: u64) {
        let Some(Bars { whole, all, running }) = &self.bars else { return };
        let bar = whole.insert_before(all, ProgressBar::new(total));
        let style = "{bar:20} {decimal_bytes}/{decimal_total_bytes} {eta:>4} {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(one_line(job));
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = running.insert(job.to_owned(), bar) {
            before.finish_and_clear();
        }
    }

    fn progress(&self, job: &str, done: u64, total: u64) {
        if let Some(Bars { running, .. }) = &self.bars {
            if let Some(bar) = running.lock().unwrap_or_else(PoisonError::into_inner).get(job) {
                bar.set_position(done);
            }
            return;
        }
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= LINE_INTERVAL {
            *last = Instant::now();
            self.line(format_args!("{job}: {} of {}", DecimalBytes(done), DecimalBytes(total)));
        }
    }

    fn ended(&self, job: &str) {
        let Some(Bars { all, running, .. }) = &self.bars else { return };
        all.inc(1);
        if let Some(bar) = running.lock().unwrap_or_else(PoisonError::into_inner).remove(job) {
            bar.finish_and_clear();
        }
    }

    fn line(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            self.always(line);
        }
    }

    fn always(&self, line: impl std::fmt::Display) {
        match &self.bars {
            Some(bars) => bars.whole.suspend(|| say(line)),
            None => say(line),
        }
    }

    /// Takes the table away.
    pub fn finish(&self) {
        if let Some(bars) = &self.bars {
            bars.all.finish_and_clear();
            _ = bars.whole.clear();
        }
    }
}

fn append(path: &Path) -> Result<File> {
    OpenOptions::new().create(true).append(true).open(path).map_err(|e| Error::io("cannot write", path, e))
}
