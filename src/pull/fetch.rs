//! Fetches files with several requests at once: some parts of one file, or of the next when that has no more to ask for.

use std::collections::VecDeque;
use std::fs;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ggraft_platform::interrupt;

use super::layout::Layout;
use super::part::Part;
use super::state::State;
use super::{Outcome, Pull, Wanted};
use crate::error::{Error, Result};
use crate::source::File;
use crate::write::Pace;

/// Bytes that one request asks for.
const RANGE: u64 = 16 << 20;

/// How often whoever waits is told of the progress.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long to wait for somebody who is finding out what is missing.
const MOMENT: Duration = Duration::from_millis(5);

/// A file that is on its way.
struct Coming {
    number: usize,
    source: File,
    part: Mutex<Option<Arc<Part>>>,
    /// Requests that are not answered.
    left: AtomicUsize,
}

/// What all threads share.
struct Work<'a> {
    pull: &'a Pull,
    state: &'a State,
    pace: Pace<'a>,
    /// Files that nobody has begun with.
    files: Mutex<VecDeque<(usize, &'a Wanted)>>,
    /// Files of which somebody is finding out what is missing.
    beginning: AtomicUsize,
    /// Ranges that nobody has asked for.
    ranges: Mutex<VecDeque<(Arc<Coming>, Range<u64>)>>,
    come: AtomicU64,
    aligned: AtomicUsize,
    stop: AtomicBool,
    failure: Mutex<Option<Error>>,
}

/// Downloads what of `pull` is not here.
///
/// # Errors
/// The first of any thread.
pub fn run(pull: &Pull, state: &State, progress: &mut dyn FnMut(u64)) -> Result<Outcome> {
    let rate = move || pull.rate;
    let work = Work {
        pull,
        state,
        pace: Pace::new(&rate as &(dyn Fn() -> Option<NonZeroU64> + Sync)),
        files: Mutex::new(pull.files.iter().enumerate().filter(|(_, file)| !file.is_here).collect()),
        beginning: AtomicUsize::new(0),
        ranges: Mutex::default(),
        come: AtomicU64::new(0),
        aligned: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        failure: Mutex::new(None),
    };
    let mut told = 0;
    thread::scope(|scope| {
        let (alive, ended) = mpsc::channel::<()>();
        for _ in 0..pull.streams {
            let (alive, work) = (alive.clone(), &work);
            scope.spawn(move || {
                let _alive = alive;
                work.work();
            });
        }
        drop(alive);
        while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
            let come = work.come.load(Ordering::Relaxed);
            progress(come - told);
            told = come;
        }
    });
    let fetched = work.come.load(Ordering::Relaxed);
    progress(fetched - told);
    let failure = work.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    let aligned = work.aligned.load(Ordering::Relaxed);
    failure.map_or(Ok(Outcome { fetched, aligned }), Err)
}

impl Work<'_> {
    /// What a thread does.
    fn work(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let range = lock(&self.ranges).pop_front();
            let result = match range {
                Some((file, range)) => self.fetch(&file, range),
                None => match self.next_file() {
                    Some((number, wanted)) => {
                        let result = self.begin(number, wanted);
                        self.beginning.fetch_sub(1, Ordering::AcqRel);
                        result
                    }
                    None if self.beginning.load(Ordering::Acquire) > 0 => {
                        thread::sleep(MOMENT);
                        continue;
                    }
                    // Whoever began before has left its ranges, if there are any.
                    None if lock(&self.ranges).is_empty() => return,
                    None => continue,
                },
            };
            if let Err(error) = result {
                // First, or others would say that they were stopped.
                lock(&self.failure).get_or_insert(error);
                self.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    fn next_file(&self) -> Option<(usize, &Wanted)> {
        let mut files = lock(&self.files);
        let next = files.pop_front()?;
        self.beginning.fetch_add(1, Ordering::AcqRel);
        Some(next)
    }

    /// Finds out what of a file is missing.
    fn begin(&self, number: usize, wanted: &Wanted) -> Result<()> {
        let source = self.pull.model.file(&wanted.path)?;
        let is_weights = wanted.path.extension().is_some_and(|e| e == "safetensors");
        let layout = match is_weights && !self.pull.manifest.plain {
            true => Layout::aligned(&source, self.pull.manifest.block)?,
            false => Layout::plain(wanted.len),
        };
        self.come.fetch_add(layout.head.len() as u64, Ordering::Relaxed);
        self.aligned.fetch_add(usize::from(layout.is_aligned()), Ordering::Relaxed);
        let part = Arc::new(Part::open(self.state, number, layout, &wanted.id)?);
        let ranges = part.missing(RANGE);
        let left = AtomicUsize::new(ranges.len());
        let coming = Arc::new(Coming { number, source, part: Mutex::new(Some(part)), left });
        if ranges.is_empty() {
            return self.finish(&coming);
        }
        lock(&self.ranges).extend(ranges.into_iter().map(|range| (coming.clone(), range)));
        Ok(())
    }

    fn fetch(&self, file: &Coming, range: Range<u64>) -> Result<()> {
        let Some(part) = lock(&file.part).clone() else { return Ok(()) };
        let mut at = range.start;
        file.source.stream(range, &mut |bytes| {
            part.put(at, bytes)?;
            at += bytes.len() as u64;
            self.come.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            self.keep_pace()
        })?;
        drop(part);
        match file.left.fetch_sub(1, Ordering::AcqRel) {
            1 => self.finish(file),
            _ => Ok(()),
        }
    }

    /// Waits until more may come.
    fn keep_pace(&self) -> Result<()> {
        loop {
            if self.stop.load(Ordering::Relaxed) || interrupt::interrupted() {
                return Err(Error::Interrupted);
            }
            match self.pace.due(self.come.load(Ordering::Relaxed)) {
                Some(due) => thread::sleep(due.min(INTERVAL)),
                None => return Ok(()),
            }
        }
    }

    /// All of a file has come.
    fn finish(&self, file: &Coming) -> Result<()> {
        let wanted = &self.pull.files[file.number];
        let Some(part) = lock(&file.part).take().and_then(Arc::into_inner) else {
            return Err(Error::Internal(format!("{}: somebody still writes to it", wanted.path.display())));
        };
        let path = part.path.clone();
        part.finish(file.source.path())?;
        self.state.publish(&path, &wanted.path, &wanted.id)?;
        // It is complete; without this, one file more is left.
        _ = fs::remove_file(self.state.done(file.number));
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
