//! What a list would do: which jobs are done, which would fail, and how much room the others take.
//!
//! Asks the conversions themselves, which tell what they will write before they begin; nothing is written.

use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use ggraft_platform::{interrupt, parent};

use super::child::{Conversion, Heard, Told};
use super::fingerprint::Fingerprint;
use super::state::{Place, State};
use super::{Job, Settings};
use crate::error::{Error, Result};

/// What would become of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forecast {
    /// It is done.
    Complete,
    /// Its outputs are there, and would be compared with the model first.
    Unproven,
    /// It would write this.
    ToDo {
        /// Bytes of its outputs.
        bytes: u64,
        /// Bytes that take new space.
        new_bytes: u64,
    },
    /// It would fail, for this reason.
    Fails(String),
}

/// What would become of each of `jobs`, as many at a time as would run at once.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn forecast(jobs: &[Job], settings: &Settings) -> Result<Vec<Forecast>> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(vec![None; jobs.len()]));
    thread::scope(|scope| {
        for _ in 0..settings.jobs {
            scope.spawn(|| {
                while let Some((at, job)) = take(jobs, &next) {
                    let one = of(job, &settings.args);
                    found.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(one);
                }
            });
        }
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.into_iter().collect::<Option<_>>().ok_or(Error::Interrupted)
}

fn take<'a>(jobs: &'a [Job], next: &AtomicUsize) -> Option<(usize, &'a Job)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(at).map(|job| (at, job)).filter(|_| !interrupt::interrupted())
}

fn of(job: &Job, args: &[String]) -> Forecast {
    expected(job, args).unwrap_or_else(|error| Forecast::Fails(error.to_string()))
}

fn expected(job: &Job, args: &[String]) -> Result<Forecast> {
    if job.on_hub.is_none() && !job.model.is_dir() {
        return Err(crate::source::not_a_model(&job.model));
    }
    let pinned = &job.pinned()?;
    match Place::of(job).state(&Fingerprint::of(pinned)?) {
        State::Complete => Ok(Forecast::Complete),
        State::Unproven(_) => Ok(Forecast::Unproven),
        State::ToDo(_) => planned(pinned, args),
    }
}

/// What the conversion says that it will write. It waits for a word to begin, and ends without it.
fn planned(job: &Job, args: &[String]) -> Result<Forecast> {
    let conversion = Conversion::start(&where_there_is_a_directory(job), args, None)?;
    let mut last = None;
    loop {
        match conversion.hear() {
            Heard::Told(Told::Planned { bytes, new_bytes, .. }) => {
                conversion.stop();
                return Ok(Forecast::ToDo { bytes, new_bytes });
            }
            Heard::Told(told) => last = Some(told),
            Heard::Nothing if interrupt::interrupted() => {
                conversion.stop();
                return Err(Error::Interrupted);
            }
            Heard::Nothing => {}
            Heard::End => break,
        }
    }
    let why = match conversion.end(last) {
        Err(failure) => failure.error["message"].as_str().unwrap_or("it does not say why").to_owned(),
        Ok(_) => "it ended without a word".to_owned(),
    };
    Ok(Forecast::Fails(why))
}

/// `job`, with outputs in the first directory above its own that is there: what is to be made is not there yet.
fn where_there_is_a_directory(job: &Job) -> Job {
    let mut job = job.clone();
    if job.makes_outdir {
        let dir = existing(&job.outdir).join("");
        let outfile: OsString = [OsString::from("--outfile="), dir.into()].into_iter().collect();
        let is_outfile = |arg: &&mut OsString| arg.to_string_lossy().starts_with("--outfile=");
        job.args.iter_mut().filter(is_outfile).for_each(|arg| *arg = outfile.clone());
    }
    job
}

/// `dir`, or the first directory above it that is there.
pub fn existing(dir: &Path) -> &Path {
    let mut dir = dir;
    while !dir.is_dir() && parent(dir) != dir {
        dir = parent(dir);
    }
    dir
}
