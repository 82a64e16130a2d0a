//! Puts a plan's outputs into files: clones, has `evaluate` compute the rest, publishes.
//!
//! Knows nothing of architectures, or of why the plan is what it is. Clones come first, since they take no
//! time and decide what is left to do; then workers fill the rest, chunk by chunk, at whatever offset.

mod behind;
mod files;
mod holes;
mod overflow;
mod pace;
mod probe;
mod refusals;
mod report;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

use ggraft_platform::{
    AtomicFile, CloneError, FileSystem, Identity, Links, Patience, Published, available_memory, clone_range,
    interrupt, open_file_limit, output_target, parent, remove_leftovers, resemble, shared_bytes,
};

pub use report::{Bytes, Measured, Report, Shortfall, Written};

use crate::error::{Error, Result};
use crate::evaluate::{self, Sources};
use crate::plan::{Action, Output, Plan, Step};
use crate::source::{File, ModelDir};
use crate::stage::Stage;
use behind::Behind;
use files::Files;
pub(crate) use holes::keep as keep_holes;
pub(crate) use pace::Pace;
pub use pace::Rate;
pub use probe::Reflink;
pub(crate) use probe::{check_target, probe, stamp};
use refusals::Refusals;

/// Files that are open besides those of the plan: standard streams, the directory, and what libraries hold.
const OTHER_FILES: usize = 16;

/// How to carry out a plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Makes a clone that the file system refuses an error; otherwise it becomes a copy.
    pub must_share: bool,
    /// Makes sure that outputs are on the disk before they get their names, and the names before it is said to be done.
    pub sync: bool,
    /// What becomes of symbolic links that have an output's name.
    pub links: Links,
    /// How many threads read, convert and write; as many as there are processors by default.
    pub threads: Option<NonZeroUsize>,
    /// Compares what was written with what it was made of before it gets its name.
    pub verify: bool,
    /// How many bytes to read a second, and how many to write, at most; sharing costs nothing.
    pub rate: Option<NonZeroU64>,
}

/// What was done.
#[derive(Debug)]
pub struct Finished {
    /// In numbers.
    pub report: Report,
    /// The outputs, to withdraw should what follows fail.
    pub published: Vec<Published>,
}

/// How many bytes [`write()`] tells of: each that is not shared when it is written, and once more when it is verified.
/// Shared ones take no time, so a rate that counts them says nothing of what is left. Clones that the file system
/// refuses in spite of the plan come on top.
pub fn work(plan: &Plan, settings: &Settings) -> u64 {
    (plan.bytes() - plan.shared().0) * if settings.verify { 2 } else { 1 }
}

/// Writes every output of `plan` from `sources`, which are files of `model`, tells `progress` of [bytes](work) as they are
/// done, and puts the files in place only when all of them are complete.
///
/// # Errors
/// Whatever goes wrong leaves no output behind, and what was there before as it was (see
/// [`Flushed::publish`](ggraft_platform::Flushed::publish) for the one exception): [`Error::Io`] for the operating system,
/// [`Error::Interrupted`] after a signal, [`Error::CannotShare`], [`Error::Invalid`] if a file of the model changed,
/// [`Error::Differs`] if that was to be verified.
pub fn write(
    plan: &Plan,
    model: &ModelDir,
    sources: &[File],
    settings: Settings,
    progress: &mut dyn FnMut(u64),
) -> Result<Finished> {
    let control = Control { ready: &mut |_| Ok(()), rate: &|| settings.rate };
    write_and_tell(plan, model, sources, settings, progress, control)
}

/// What somebody who watches over a conversion wants to hear and to say.
pub struct Control<'a> {
    /// Told what each of the complete files is, in the plan's order, before any of them gets its name. It may take its time, and
    /// its error is one of any other step.
    pub ready: &'a mut dyn FnMut(&[Identity]) -> Result<()>,
    /// Asked for the rate now and again, instead of [`Settings::rate`].
    pub rate: Rate<'a>,
}

/// As [`write()`], under `control`.
///
/// # Errors
/// As [`write()`], and those of `control`.
pub fn write_and_tell(
    plan: &Plan,
    model: &ModelDir,
    sources: &[File],
    settings: Settings,
    progress: &mut dyn FnMut(u64),
    control: Control,
) -> Result<Finished> {
    check_open_files(plan)?;
    let mut stage = Stage::begin();
    let mut report = Report::of(plan);
    let moved = report.bytes.total - report.bytes.cloned;
    let forget = available_memory().is_some_and(|available| moved.saturating_mul(2) > available);
    let sources = Sources::new(sources, forget);
    let create = |output| create(output, &sources, settings.links);
    let files = plan.outputs.iter().map(create).collect::<Result<Vec<_>>>()?;
    let refusals = clone_all(plan, &sources, &files, settings.must_share)?;
    report.refused(&refusals);

    stage.end(format_args!("{} bytes shared", report.bytes.cloned));

    let open: Vec<&fs::File> = files.iter().map(AtomicFile::file).collect();
    let sink = Files::new(&plan.outputs, &open, Behind::new(settings.sync, forget), Pace::new(control.rate));
    evaluate::run(&plan.outputs, &sources, &refusals.clones, &sink, settings.threads, progress)?;
    stage.end(format_args!("{} bytes written", report.bytes.total - report.bytes.cloned));
    report.overflows = sink.overflows.by_tensor(&plan.outputs);

    for (file, output) in open.iter().zip(&plan.outputs) {
        // Nothing shared is overwritten, so what is still to be written back does not matter.
        let usage = shared_bytes(file, settings.sync)
            .map_err(|e| Error::io("cannot map the extents of", &output.path, e))?;
        report.measure(usage.map(|u| (u.shared, u.unique)));
    }
    if interrupt::interrupted() {
        return Err(Error::Interrupted);
    }
    let flushed = AtomicFile::flush_all(files, settings.sync)?;
    stage.end(if settings.sync { "all of it on the disk" } else { "all of it in the cache (--no-fsync)" });
    if settings.verify {
        report.verified = Some(verify::verify(plan, &flushed, sources.files(), settings, forget, progress)?);
    }
    let identities = flushed.files().map(|file| Identity::of(file)).collect::<io::Result<Vec<_>>>();
    (control.ready)(&identities.map_err(|e| Error::io("cannot look at", "what was written", e))?)?;
    // Bytes of two states of a model would be a model that never was.
    model.check_unchanged()?;
    let published = flushed.publish()?;
    stage.end("the names");
    Ok(Finished { report, published })
}

/// Makes sure that all outputs can be open together, until they are published together. Sources take turns.
fn check_open_files(plan: &Plan) -> Result<()> {
    let (needed, limit) = (plan.outputs.len() + OTHER_FILES, open_file_limit());
    if needed <= limit {
        return Ok(());
    }
    let problem =
        format!("{needed} files have to be open at once, {limit} may be; allow more (ulimit -n {needed})");
    let path = plan.outputs.first().map_or(Path::new("."), |output| output.path.as_path());
    Err(Error::io("cannot write", path, io::Error::other(problem)))
}

/// A file of the right length, all zeros.
fn create(output: &Output, sources: &Sources, links: Links) -> Result<AtomicFile> {
    let cannot = |e| Error::io("cannot write", &output.path, e);
    let file = AtomicFile::create(&output.path, links).map_err(cannot)?;
    file.file().set_len(output.len).map_err(cannot)?;
    if let Some(like) = output.like {
        let like = sources.file(like).handle()?.metadata().map_err(cannot)?;
        resemble(file.file(), &like).map_err(cannot)?;
    }
    Ok(file)
}

/// Shares what is to be shared. Answers which clones the file system refuses after all.
fn clone_all(plan: &Plan, sources: &Sources, files: &[AtomicFile], must_share: bool) -> Result<Refusals> {
    let (mut refusals, mut patience) = (Refusals::default(), Patience::default());
    for (o, (output, to)) in plan.outputs.iter().zip(files).enumerate() {
        let clones = output.spots().filter_map(|spot| match spot.step.action {
            Action::Clone { file, offset } => Some((file, offset + spot.source_shift, spot)),
            _ => None,
        });
        for (number, (file, offset, spot)) in (0..).zip(clones) {
            if interrupt::interrupted() {
                return Err(Error::Interrupted);
            }
            let source = sources.file(file);
            let (path, from) = (source.path(), source.handle()?);
            let len = spot.step.len;
            match patience.retry(|| clone_range(&from, offset, len, to.file(), spot.start())) {
                Ok(()) => {}
                Err(CloneError::CopyInstead(reason)) if must_share => {
                    let path = path.display();
                    return Err(Error::cannot_share(format!("--reflink always: {path}: {reason}")));
                }
                Err(CloneError::CopyInstead(reason)) => {
                    tracing::debug!("cannot share {len} bytes of {}: {reason}", path.display());
                    refusals.add((o, output), number, spot, &reason.to_string());
                }
                Err(CloneError::Io(e)) => return Err(Error::io("cannot clone blocks of", path, e)),
            }
        }
    }
    Ok(refusals)
}

/// Removes what killed processes left where `plan` writes to.
pub fn tidy(plan: &Plan, links: Links) {
    let target = |path: &Path| output_target(path, links).unwrap_or_else(|_| path.to_owned());
    let dirs: BTreeSet<PathBuf> =
        plan.outputs.iter().map(|output| parent(&target(&output.path)).to_owned()).collect();
    dirs.iter().for_each(|dir| remove_leftovers(dir));
}

/// Compares what must be written by all of `plans`, one file system's, with what is free: shared bytes take no space.
///
/// # Errors
/// [`Error::Io`] if there is too little space.
pub fn check_space<'p>(plans: impl IntoIterator<Item = &'p Plan>, links: Links) -> Result<()> {
    let mut outputs = plans.into_iter().flat_map(|plan| &plan.outputs).peekable();
    let Some(first) = outputs.peek() else { return Ok(()) };
    let path = &first.path;
    let target = output_target(path, links).map_err(|e| Error::io("cannot write", path, e))?;
    let dir = parent(&target);
    // Zeros are holes.
    let takes_space = |(step, _): &(&Step, _)| !matches!(step.action, Action::Clone { .. } | Action::Zero);
    let steps = outputs.flat_map(Output::counted).filter(takes_space);
    let needed: u64 = steps.map(|(step, times)| times * step.len).sum();
    let free = FileSystem::of(dir).map_err(|e| Error::io("cannot look at", dir, e))?.free_bytes;
    if needed > free {
        let problem = format!("needs {needed} bytes, the file system has {free} free");
        let full = io::Error::new(io::ErrorKind::StorageFull, problem);
        return Err(Error::io("too little space in", dir, full));
    }
    Ok(())
}
