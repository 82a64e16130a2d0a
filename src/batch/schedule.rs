//! Who is next: jobs in the order of the list, several at once, none twice, failures later again.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ggraft_platform::interrupt;
use serde_json::Value;

use super::Job;
use super::child::{Conversion, Failure, Heard, Told};
use super::events::{Event, VERSION, What};
use super::space::Space;
use super::state::{self, Place};
use crate::error::{Error, Result};

/// How to run a list.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many conversions run at once.
    pub jobs: usize,
    /// How often a failure that may pass is tried again.
    pub retry: u32,
    /// Whether nothing more is started after a failure.
    pub fail_fast: bool,
    /// Arguments for every conversion.
    pub args: Vec<String>,
}

/// How it went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Jobs whose outputs were made.
    pub finished: usize,
    /// Jobs that failed.
    pub failed: usize,
    /// Jobs with nothing to do.
    pub skipped: usize,
    /// Bytes of outputs that share blocks with their checkpoints.
    pub shared: u64,
    /// Bytes of all outputs made.
    pub bytes: u64,
}

/// A job another batch has the lock of is looked at again after this long.
const ELSEWHERE: Duration = Duration::from_millis(500);

/// The first pause before another attempt; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Progress of one job is told no more often than this.
const TELLING: Duration = Duration::from_millis(500);

/// Runs `jobs`, telling `tell` of what happens.
pub fn run(jobs: Vec<Job>, settings: &Settings, tell: &(dyn Fn(Event) + Sync)) -> Summary {
    let start = Instant::now();
    let batch = Batch {
        settings,
        tell,
        queue: Mutex::default(),
        outputs: Mutex::default(),
        summary: Mutex::default(),
        space: Space::default(),
        stop: AtomicBool::new(false),
    };
    for job in &jobs {
        let args = job.args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
        batch.say(Some(job), What::Queued { model: job.model.display().to_string(), args });
    }
    let waiting = |(id, job)| Waiting { id, job, attempt: 1, not_before: start, elsewhere: false };
    *batch.queue() = Queue { waiting: jobs.into_iter().enumerate().map(waiting).collect(), running: 0 };
    thread::scope(|scope| {
        (0..settings.jobs).for_each(|_| _ = scope.spawn(|| batch.work()));
    });
    for left in std::mem::take(&mut batch.queue().waiting) {
        batch.skip(&left.job, "stopped");
    }
    let summary = *batch.summary.lock().unwrap_or_else(PoisonError::into_inner);
    let Summary { finished, failed, skipped, shared, bytes } = summary;
    let seconds = start.elapsed().as_secs_f64();
    batch.say(None, What::Summary { finished, failed, skipped, seconds, shared, bytes });
    summary
}

/// A job that is not done.
struct Waiting {
    id: usize,
    job: Job,
    /// Which attempt is next, from 1.
    attempt: u32,
    not_before: Instant,
    /// Whether another batch was seen at it.
    elsewhere: bool,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    running: usize,
}

/// What came of one attempt that did not fail.
enum Outcome {
    /// There is nothing left to do.
    Done,
    /// Another batch is at it.
    Busy,
}

/// An output and its length in bytes.
type Planned = (PathBuf, u64);

struct Batch<'a> {
    settings: &'a Settings,
    tell: &'a (dyn Fn(Event) + Sync),
    queue: Mutex<Queue>,
    /// Which job writes an output.
    outputs: Mutex<HashMap<PathBuf, usize>>,
    summary: Mutex<Summary>,
    space: Space,
    /// Set when nothing more may be started.
    stop: AtomicBool,
}

impl Batch<'_> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, job: Option<&Job>, what: What) {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        (self.tell)(Event { version: VERSION, time, job: job.map(|job| job.name.clone()), what });
    }

    fn count(&self, change: impl FnOnce(&mut Summary)) {
        change(&mut self.summary.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn skip(&self, job: &Job, reason: &'static str) {
        self.count(|summary| summary.skipped += 1);
        self.say(Some(job), What::Skipped { reason });
    }

    /// Takes one job after the other until there is none left.
    fn work(&self) {
        while !self.stop.load(Ordering::Relaxed) && !interrupt::interrupted() {
            let next = {
                let mut queue = self.queue();
                let ready = queue.waiting.iter().position(|waiting| waiting.not_before <= Instant::now());
                let next = ready.and_then(|at| queue.waiting.remove(at));
                if next.is_none() && queue.waiting.is_empty() && queue.running == 0 {
                    return;
                }
                queue.running += usize::from(next.is_some());
                next
            };
            let Some(waiting) = next else {
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            let later = self.attempt(waiting);
            let mut queue = self.queue();
            queue.running -= 1;
            queue.waiting.extend(later);
        }
    }

    /// Runs a job, unless it is done or somebody else is at it; what is to be tried later is answered.
    fn attempt(&self, waiting: Waiting) -> Option<Waiting> {
        let outcome = self.try_once(&waiting);
        self.space.release(waiting.id);
        match outcome {
            Ok(Outcome::Done) => None,
            Ok(Outcome::Busy) => {
                Some(Waiting { not_before: Instant::now() + ELSEWHERE, elsewhere: true, ..waiting })
            }
            Err(failure) => self.failed(waiting, failure),
        }
    }

    fn try_once(&self, waiting: &Waiting) -> Result<Outcome, Failure> {
        let job = &waiting.job;
        if !job.model.is_dir() {
            return Err(crate::source::not_a_model(&job.model).into());
        }
        let place = Place::of(job);
        let Ok(_lock) = place.lock()? else { return Ok(Outcome::Busy) };
        let fingerprint = state::fingerprint(job)?;
        if place.is_complete(&fingerprint) {
            self.skip(job, if waiting.elsewhere { "elsewhere" } else { "complete" });
            return Ok(Outcome::Done);
        }
        let start = Instant::now();
        let Some((report, outputs)) = self.convert(waiting, &place, &fingerprint)? else {
            self.skip(job, "stopped");
            return Ok(Outcome::Done);
        };
        place.finish(job, &fingerprint, &outputs)?;
        let number = |key: &str| report["bytes"][key].as_u64().unwrap_or(0);
        self.count(|summary| {
            summary.finished += 1;
            summary.shared += number("cloned");
            summary.bytes += number("total");
        });
        self.say(Some(job), What::Finished { seconds: start.elapsed().as_secs_f64(), report });
        Ok(Outcome::Done)
    }

    /// One conversion: its report, and what it wrote; none if it was stopped.
    fn convert(
        &self,
        waiting: &Waiting,
        place: &Place,
        fingerprint: &str,
    ) -> Result<Option<(Value, Vec<Planned>)>, Failure> {
        let job = &waiting.job;
        let mut conversion = Conversion::start(job, &self.settings.args)?;
        let (mut last, mut outputs, mut planned, mut held) = (None, Vec::new(), 0, None);
        let mut told_at = Instant::now();
        loop {
            if interrupt::interrupted() {
                conversion.stop();
                return Ok(None);
            }
            if let Some(bytes) = held
                && self.space.reserve(waiting.id, &job.outdir, bytes)
            {
                held = None;
                if let Err(error) = place.begin(job, fingerprint, &outputs) {
                    conversion.stop();
                    return Err(error.into());
                }
                conversion.go();
            }
            match conversion.hear() {
                Heard::Nothing => continue,
                Heard::End => break,
                Heard::Told(Told::Planned { bytes, new_bytes, outputs: planned_outputs }) => {
                    outputs = planned_outputs.into_iter().map(|(path, bytes)| (path.into(), bytes)).collect();
                    if let Err(error) = self.claim(waiting.id, &outputs) {
                        conversion.stop();
                        return Err(error.into());
                    }
                    (planned, held) = (new_bytes, Some(new_bytes));
                    let attempt = waiting.attempt;
                    let outputs =
                        outputs.iter().map(|(path, _): &Planned| path.display().to_string()).collect();
                    self.say(Some(job), What::Started { attempt, bytes, new_bytes, outputs });
                }
                Heard::Told(Told::Progress { done, total }) => {
                    let left = planned as f64 * (1.0 - done as f64 / total.max(1) as f64);
                    self.space.update(waiting.id, left as u64);
                    if told_at.elapsed() >= TELLING {
                        told_at = Instant::now();
                        self.say(Some(job), What::Progress { done, total });
                    }
                }
                Heard::Told(Told::Warning { message }) => self.say(Some(job), What::Warning { message }),
                Heard::Told(told) => last = Some(told),
            }
        }
        conversion.end(last).map(|report| Some((report, outputs)))
    }

    /// Makes sure that no two jobs write one file.
    fn claim(&self, id: usize, outputs: &[Planned]) -> Result<()> {
        let mut claimed = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = outputs
            .iter()
            .map(|(path, _)| path)
            .find(|path| claimed.get(*path).is_some_and(|other| *other != id))
        {
            return Err(Error::usage("another job of this list writes it")
                .at(path)
                .hint("give each an outfile of its own"));
        }
        claimed.extend(outputs.iter().map(|(path, _)| (path.clone(), id)));
        Ok(())
    }

    fn failed(&self, waiting: Waiting, Failure { exit_code, error }: Failure) -> Option<Waiting> {
        // I/O errors may pass, and so may what killed a process; what is wrong with a model stays wrong.
        let passes = matches!(exit_code, Some(1) | None);
        let retried = passes && waiting.attempt <= self.settings.retry && !interrupt::interrupted();
        self.say(Some(&waiting.job), What::Failed { attempt: waiting.attempt, retried, exit_code, error });
        if retried {
            let pause = PAUSE.saturating_mul(1 << (waiting.attempt - 1).min(10)).min(PAUSE_MAX);
            return Some(Waiting {
                attempt: waiting.attempt + 1,
                not_before: Instant::now() + pause,
                ..waiting
            });
        }
        self.count(|summary| summary.failed += 1);
        if self.settings.fail_fast {
            self.stop.store(true, Ordering::Relaxed);
        }
        None
    }
}
