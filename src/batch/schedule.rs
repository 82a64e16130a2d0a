//! Who is next: jobs in the order of the list, several at once, none twice, failures later again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ggraft_platform::{Lock, interrupt};
use serde_json::Value;

use super::Job;
use super::child::{self, Conversion, Failure, Heard, Told, Verdict};
use super::events::{Event, VERSION, What};
use super::fingerprint::Fingerprint;
use super::settings::{Settings, Summary};
use super::share::{Share, share_count};
use super::space::Space;
use super::state::{Place, State};
use super::written::{Output, Written};
use crate::error::{Error, Result};

/// A job another batch has the lock of is looked at again after this long.
const ELSEWHERE: Duration = Duration::from_millis(500);

/// The first pause before another attempt; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Leftovers of killed conversions are looked for no more often than this by array jobs.
const UNTIDY: Duration = Duration::from_secs(3600);

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
        writing: AtomicUsize::new(0),
        tidied: Mutex::default(),
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

/// Whether there is nothing to do for `job`, as its record says.
fn is_complete(job: &Job, place: &Place) -> Result<bool> {
    // Without a record there is nothing to compare, which may mean to ask a hub.
    Ok(place.written().is_some() && place.state(&Fingerprint::of(&job.pinned()?)?) == State::Complete)
}

struct Batch<'a> {
    settings: &'a Settings,
    tell: &'a (dyn Fn(Event) + Sync),
    queue: Mutex<Queue>,
    /// Which job writes an output.
    outputs: Mutex<HashMap<String, usize>>,
    summary: Mutex<Summary>,
    space: Space,
    /// How many conversions share the limit.
    writing: AtomicUsize,
    /// Directories of outputs in which nothing is left of killed conversions.
    tidied: Mutex<HashSet<PathBuf>>,
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
            // Who asks a hub may be interrupted, too.
            Err(_) if interrupt::interrupted() => {
                self.skip(&waiting.job, "stopped");
                None
            }
            Ok(Outcome::Done) => None,
            Ok(Outcome::Busy) => {
                Some(Waiting { not_before: Instant::now() + ELSEWHERE, elsewhere: true, ..waiting })
            }
            Err(failure) => self.failed(waiting, failure),
        }
    }

    fn try_once(&self, waiting: &Waiting) -> Result<Outcome, Failure> {
        let job = &waiting.job;
        if job.on_hub.is_none() && !job.model.is_dir() {
            return Err(crate::source::not_a_model(&job.model).into());
        }
        if job.makes_outdir {
            fs::create_dir_all(&job.outdir).map_err(|e| Error::io("cannot create", &job.outdir, e))?;
        }
        if !job.outdir.is_dir() {
            let missing = Error::usage(format!("there is no directory {}", job.outdir.display()));
            return Err(missing
                .about(&job.outdir)
                .hint("make it, or use --outdir, which makes its directory")
                .into());
        }
        let place = Place::of(job);
        // Complete is complete, whoever has the lock; where nothing can be written, nobody can take one.
        if !self.settings.verify && !waiting.elsewhere && is_complete(job, &place)? {
            self.skip(job, "complete");
            return Ok(Outcome::Done);
        }
        let Ok(lock) = place.lock()? else { return Ok(Outcome::Busy) };
        let pinned = job.pinned().map_err(Failure::from);
        let outcome = pinned.and_then(|job| self.do_locked(waiting, &job, &place, &lock));
        drop(lock);
        if outcome.is_err() {
            place.tidy();
        }
        outcome.map(|()| Outcome::Done)
    }

    /// Runs `job`, which is `waiting`'s, and which nobody else can be at.
    fn do_locked(&self, waiting: &Waiting, job: &Job, place: &Place, lock: &Lock) -> Result<(), Failure> {
        let fingerprint = Fingerprint::of(job)?;
        let skip = |reason| {
            self.skip(job, reason);
            Ok(())
        };
        let complete = if waiting.elsewhere { "elsewhere" } else { "complete" };
        let state = place.state(&fingerprint);
        tracing::debug!("{}: {state}", job.name);
        match state {
            State::Complete if !self.settings.verify => return skip(complete),
            State::Complete | State::Unproven(_) => match self.prove(job, place, &fingerprint, lock)? {
                Verdict::Proven => return skip(complete),
                Verdict::Stopped => return skip("stopped"),
                Verdict::Refuted(why) => {
                    let message = format!("converted again, because verification failed: {why}");
                    self.say(Some(job), What::Warning { message });
                }
            },
            State::ToDo(_) => {}
        }
        let is_first = self.tidied.lock().unwrap_or_else(PoisonError::into_inner).insert(job.outdir.clone());
        if is_first && (!self.settings.is_one_of_many || place.is_untidy(UNTIDY)) {
            place.remove_leftovers();
        }
        let start = Instant::now();
        let Some((report, written)) = self.convert(waiting, job, place, &fingerprint, lock)? else {
            return skip("stopped");
        };
        place.finish(job, &fingerprint, written)?;
        let number = |key: &str| report["bytes"][key].as_u64().unwrap_or(0);
        self.count(|summary| {
            summary.finished += 1;
            summary.shared += number("cloned");
            summary.bytes += number("total");
        });
        self.say(Some(job), What::Finished { seconds: start.elapsed().as_secs_f64(), report });
        Ok(())
    }

    /// Compares outputs of earlier with what becomes of the model. If they are that, they are on the disk from now on, and
    /// need not be looked at again.
    fn prove(&self, job: &Job, place: &Place, fingerprint: &Fingerprint, lock: &Lock) -> Result<Verdict> {
        let Some(mut written) = place.written() else { return Ok(Verdict::Refuted("no record".into())) };
        // Files of a set are verified with its first; a projector beside it is another one.
        let sets = written.outputs.iter().enumerate().filter(|(no, output)| *no == 0 || !output.continues());
        for (_, first) in sets {
            let verdict = child::verify(job, &first.path, &self.settings.verify_args, lock)?;
            if verdict != Verdict::Proven {
                return Ok(verdict);
            }
        }
        if written.outputs.is_empty() {
            return Ok(Verdict::Refuted("no output".into()));
        }
        for Output { path, .. } in &written.outputs {
            let synced = fs::File::open(path).and_then(|file| file.sync_all());
            synced.map_err(|e| Error::io("cannot sync", path, e))?;
        }
        if let State::ToDo(why) = place.state(fingerprint) {
            return Ok(Verdict::Refuted(why));
        }
        written.durable = true;
        place.finish(job, fingerprint, written)?;
        Ok(Verdict::Proven)
    }

    /// One conversion: its report, and what it wrote; none if it was stopped. Long, because it is a table: one arm for each
    /// thing that a conversion tells.
    fn convert(
        &self,
        waiting: &Waiting,
        job: &Job,
        place: &Place,
        fingerprint: &Fingerprint,
        lock: &Lock,
    ) -> Result<Option<(Value, Written)>, Failure> {
        let mut conversion = Conversion::start(job, &self.settings.args, Some(lock))?;
        let (mut last, mut written, mut planned, mut held) = (None, None, 0, None);
        let (mut told_at, mut share) = (Instant::now(), None);
        loop {
            if share.is_some() {
                self.limit(&mut conversion);
            }
            if interrupt::interrupted() {
                conversion.stop();
                return Ok(None);
            }
            if let Some(bytes) = held
                && self.space.reserve(waiting.id, &job.outdir, bytes)
            {
                held = None;
                share = Some(Share::take(&self.writing));
                self.limit(&mut conversion);
                conversion.go();
            }
            match conversion.hear() {
                Heard::Nothing => continue,
                Heard::End => break,
                Heard::Told(Told::Planned { bytes, new_bytes, outputs }) => {
                    let outputs: Vec<String> = outputs.into_iter().map(|(path, _)| path).collect();
                    if let Err(error) = self.claim(waiting.id, &outputs) {
                        conversion.stop();
                        return Err(error.into());
                    }
                    (planned, held) = (new_bytes, Some(new_bytes));
                    let attempt = waiting.attempt;
                    self.say(Some(job), What::Started { attempt, bytes, new_bytes, outputs });
                }
                Heard::Told(Told::Ready(ready)) => {
                    if let Err(error) = place.begin(job, fingerprint, &ready) {
                        conversion.stop();
                        return Err(error.into());
                    }
                    written = Some(ready);
                    conversion.go();
                }
                Heard::Told(Told::Progress { done, total }) => {
                    let left = planned as f64 * (1.0 - done as f64 / total.max(1) as f64);
                    self.space.update(waiting.id, left as u64);
                    if told_at.elapsed() >= TELLING {
                        told_at = Instant::now();
                        self.say(Some(job), What::Progress { done, total });
                    }
                }
                Heard::Told(Told::Trace { line }) => tracing::debug!("{}: {line}", job.name),
                Heard::Told(Told::Warning { message }) => self.say(Some(job), What::Warning { message }),
                Heard::Told(told) => last = Some(told),
            }
        }
        let report = conversion.end(last)?;
        let written =
            written.ok_or_else(|| Error::Internal("a conversion did not say what it wrote".into()))?;
        Ok(Some((report, written)))
    }

    /// Tells a conversion at work its part of the limit.
    fn limit(&self, conversion: &mut Conversion) {
        if let Some(limit) = self.settings.io_limit {
            conversion.limit((limit / share_count(&self.writing)).max(1));
        }
    }

    /// Makes sure that no two jobs write one file.
    fn claim(&self, id: usize, outputs: &[String]) -> Result<()> {
        let mut claimed = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = |path: &&String| claimed.get(*path).is_some_and(|other| *other != id);
        if let Some(path) = outputs.iter().find(taken) {
            return Err(Error::usage("another job of this list writes it")
                .at(path)
                .hint("give each an outfile of its own"));
        }
        claimed.extend(outputs.iter().map(|path| (path.clone(), id)));
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
