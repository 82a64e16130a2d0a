//! One conversion as a process of its own: what it needs is told before it begins, and how it goes while it runs.
//!
//! `ggraft convert --events - --hold` prints an object a line. Twice it waits for a line on its standard input: when it has
//! said what will be written, and when all of that is written and about to get its names. Should that input end, it stops:
//! so no conversion outlives its batch, however that ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ggraft_platform::{Lock, die_with_parent, interrupt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Job;
use super::written::Written;
use crate::error::{Error, Result};

/// What a conversion tells.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Told {
    /// What it will write. It waits.
    Planned {
        /// Bytes of its outputs.
        bytes: u64,
        /// Bytes that take new space.
        new_bytes: u64,
        /// Its outputs, and the bytes of each.
        outputs: Vec<(String, u64)>,
    },
    /// Bytes done so far.
    Progress {
        /// Of all.
        done: u64,
        /// All.
        total: u64,
    },
    /// All is written, and about to get its names. It waits.
    Ready(Written),
    /// A warning.
    Warning {
        /// In words.
        message: String,
    },
    /// What it says to people, a line.
    #[serde(skip)]
    Trace {
        /// That line.
        line: String,
    },
    /// Done.
    Finished {
        /// As `--json` has it.
        report: Value,
    },
    /// Not done.
    Failed {
        /// As `--json` has it.
        error: Value,
    },
}

/// Why a conversion made nothing.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its exit code; none if a signal ended it.
    pub exit_code: Option<i32>,
    /// As `--json` has it.
    pub error: Value,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { exit_code: Some(error.exit_code().into()), error: error.to_json() }
    }
}

/// A running conversion.
#[derive(Debug)]
pub struct Conversion {
    child: Child,
    input: Option<ChildStdin>,
    /// As it was told; 0 is no limit.
    rate: u64,
    /// What it says to people, when it has ended: the last line.
    said: JoinHandle<String>,
    told: Receiver<Told>,
}

/// What there is to hear of a conversion.
#[derive(Debug)]
pub enum Heard {
    /// This.
    Told(Told),
    /// Nothing for a while.
    Nothing,
    /// It will tell nothing more.
    End,
}

/// Longest line that is taken from a conversion, in bytes.
const LINE_MAX: u64 = 16 << 20;

/// A conversion that was told to stop gets this long.
const PATIENCE: Duration = Duration::from_millis(1800);

impl Conversion {
    /// Starts the conversion of `job`, with `more` arguments. It holds `lock`, too, if there is one: without, it must not write.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn start(job: &Job, more: &[String], lock: Option<&Lock>) -> Result<Self> {
        let (program, mut command) = ggraft(lock)?;
        command.arg("convert").args(&job.args).args(["--events=-", "--hold"]);
        command.args(more).arg("--").arg(&job.model);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| Error::io("cannot start", &program, e))?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(|| Error::Internal("a process without output".into()))?;
        let (tell, told) = mpsc::channel();
        let traces = tell.clone();
        let stderr = child.stderr.take();
        let said = thread::spawn(move || stderr.map_or_else(String::new, |stderr| pass_on(stderr, &traces)));
        thread::spawn(move || read(BufReader::new(output), &tell));
        Ok(Self { child, input, rate: 0, said, told })
    }

    /// The next thing it tells within a moment.
    pub fn hear(&self) -> Heard {
        match self.told.recv_timeout(Duration::from_millis(50)) {
            Ok(told) => Heard::Told(told),
            Err(RecvTimeoutError::Timeout) => Heard::Nothing,
            Err(RecvTimeoutError::Disconnected) => Heard::End,
        }
    }

    /// Lets it go on.
    pub fn go(&mut self) {
        self.say("go");
    }

    /// Lets it read `rate` bytes a second, and write as many.
    pub fn limit(&mut self, rate: u64) {
        if self.rate != rate {
            self.rate = rate;
            self.say(&format!("rate {rate}"));
        }
    }

    fn say(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            // If it has ended meanwhile, `end` tells why.
            _ = writeln!(input, "{line}");
        }
    }

    /// Waits for its end, which `last`, the last thing it told, explains; its report, as `--json` has it.
    ///
    /// # Errors
    /// What went wrong in it, or with it.
    pub fn end(mut self, last: Option<Told>) -> Result<Value, Failure> {
        let status = self.child.wait().map_err(|e| Error::io("cannot wait for", "a conversion", e))?;
        let error = match last {
            Some(Told::Finished { report }) if status.success() => return Ok(report),
            Some(Told::Failed { error }) => error,
            _ => {
                let said = self.said.join().unwrap_or_default();
                let said = if said.is_empty() { "it ended without a word" } else { &said };
                json!({"kind": "process", "message": format!("{status}: {said}")})
            }
        };
        Err(Failure { exit_code: status.code(), error })
    }

    /// Ends it: asks first, and kills what does not listen.
    pub fn stop(mut self) {
        drop(self.input.take());
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// This program, to be started once more by somebody who holds `lock`. A lock that only its batch held would be free when
/// that is killed, while the process still does what it was about to do.
fn ggraft(lock: Option<&Lock>) -> Result<(PathBuf, Command)> {
    let program = std::env::current_exe().map_err(|e| Error::io("cannot find", "this program", e))?;
    let mut command = Command::new(&program);
    let shared = lock.map_or(Ok(()), |lock| lock.share_with(&mut command));
    shared.map_err(|e| Error::io("cannot share", "a lock", e))?;
    Ok((program, command))
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The file is what becomes of the model.
    Proven,
    /// It is not, or that cannot be told, for this reason.
    Refuted(String),
    /// The batch is to stop.
    Stopped,
}

/// Has `ggraft verify` compare `output` with what becomes of the model of `job`.
///
/// # Errors
/// [`Error::Io`].
pub fn verify(job: &Job, output: &Path, more: &[String], lock: &Lock) -> Result<Verdict> {
    let (program, mut command) = ggraft(Some(lock))?;
    command.arg("verify").args(&job.verify).args(more).arg("--").arg(output).arg(&job.model);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    die_with_parent(&mut command);
    let mut child = command.spawn().map_err(|e| Error::io("cannot start", &program, e))?;
    let stderr = child.stderr.take();
    let said = thread::spawn(move || {
        let mut said = Vec::new();
        stderr.map(|stderr| stderr.take(LINE_MAX).read_to_end(&mut said));
        String::from_utf8_lossy(&said).into_owned()
    });
    loop {
        match child.try_wait().map_err(|e| Error::io("cannot wait for", "a verification", e))? {
            Some(status) if status.success() => return Ok(Verdict::Proven),
            Some(status) => {
                let said = said.join().unwrap_or_default();
                let said =
                    said.lines().find(|line| line.starts_with("ggraft: ")).unwrap_or("it said nothing");
                return Ok(Verdict::Refuted(format!("{status}: {said}")));
            }
            None if interrupt::interrupted() => {
                // It writes nothing that could be left half done.
                _ = child.kill();
                _ = child.wait();
                return Ok(Verdict::Stopped);
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Passes on what is said to people, line by line; answers the last one.
fn pass_on(stderr: ChildStderr, tell: &Sender<Told>) -> String {
    let (mut stderr, mut line, mut last) = (BufReader::new(stderr), Vec::new(), String::new());
    while matches!(stderr.by_ref().take(LINE_MAX).read_until(b'\n', &mut line), Ok(1..)) {
        last = String::from_utf8_lossy(&line).trim_end().to_owned();
        _ = tell.send(Told::Trace { line: last.clone() });
        line.clear();
    }
    last
}

/// Passes on what comes, until it ends or nobody listens. Lines that are something else are not meant for us.
fn read(mut output: BufReader<ChildStdout>, tell: &Sender<Told>) {
    loop {
        let mut line = Vec::new();
        match output.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if let Ok(told) = serde_json::from_slice(&line)
            && tell.send(told).is_err()
        {
            return;
        }
    }
}
