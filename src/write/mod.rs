//! Carries out a plan: clones, copies, converts, publishes.
//!
//! Knows nothing of architectures, or of why the plan is what it is. Clones come first, since they take no
//! time and decide what is left to do; then workers fill the rest, chunk by chunk, at whatever offset.

mod arithmetic;
mod behind;
mod queue;
mod report;
mod sources;
mod tile;
mod worker;

use std::collections::HashSet;
use std::fs::{File, Permissions};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;
use std::thread;

use ggraft_platform::{
    AtomicFile, CloneError, FileSystem, available_memory, clone_range, interrupt, raise_open_file_limit,
    shared_bytes,
};

pub use report::{Bytes, Measured, Report, Shortfall, Written};

use crate::error::{Error, Result};
use crate::plan::{Action, Output, Plan, Step};
use behind::Behind;
use queue::Queue;
use sources::Sources;
use worker::Work;

/// More threads than this do not help: memory is not that fast.
const USEFUL_THREADS: usize = 16;

/// Bytes that a thread's buffers may take.
const THREAD_MEMORY: u64 = 32 << 20;

/// Files that are open besides those of the plan: standard streams, the directory, and what libraries hold.
const OTHER_FILES: u64 = 16;

/// How to carry out a plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Makes a clone that the file system refuses an error; otherwise it becomes a copy.
    pub must_share: bool,
    /// Makes sure that outputs are on the disk before they get their names.
    pub sync: bool,
    /// How many threads read, convert and write; as many as there are processors by default.
    pub threads: Option<NonZeroUsize>,
}

/// Writes every output of `plan`, tells `progress` of finished bytes as they come, and puts the
/// files in place only when all of them are complete.
///
/// # Errors
/// Whatever goes wrong leaves no output behind: [`Error::Io`] for the operating system,
/// [`Error::Interrupted`] after a signal, [`Error::CannotShare`].
pub fn write(plan: &Plan, settings: Settings, progress: &mut dyn FnMut(u64)) -> Result<Report> {
    check_open_files(plan)?;
    let mut report = Report::of(plan);
    let moved = report.bytes.total - report.bytes.cloned;
    let forget = available_memory().is_some_and(|available| moved.saturating_mul(2) > available);
    let sources = Sources::open(&plan.sources, forget)?;
    let files = plan.outputs.iter().map(|output| create(output, &sources)).collect::<Result<Vec<_>>>()?;
    let refused = clone_all(plan, &sources, &files, settings.must_share, &mut report, progress)?;

    let open: Vec<&File> = files.iter().map(AtomicFile::file).collect();
    let queue = Queue::new(&plan.outputs, &refused);
    let work = Work::new(&sources, &plan.outputs, &open, queue, Behind::new(settings.sync, forget));
    work.run(settings.threads.map_or_else(default_threads, NonZeroUsize::get), progress)?;

    for (file, output) in open.iter().zip(&plan.outputs) {
        if settings.sync {
            file.sync_all().map_err(|e| Error::io("cannot write", &output.path, e))?;
        }
        // Nothing shared is overwritten, so what is still to be written back does not matter.
        let usage = shared_bytes(file, settings.sync)
            .map_err(|e| Error::io("cannot map the extents of", &output.path, e))?;
        report.measure(usage.map(|u| (u.shared, u.unique)));
    }
    if interrupt::interrupted() {
        return Err(Error::Interrupted);
    }
    let paths: Vec<&Path> = plan.outputs.iter().map(|o| o.path.as_path()).collect();
    AtomicFile::publish_all(files, settings.sync).map_err(|e| Error::io("cannot publish", paths[0], e))?;
    Ok(report)
}

/// As many threads as there are processors to run on, and memory for their buffers.
fn default_threads() -> usize {
    // Limits of processor time, such as a container's, are counted in.
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let fitting = available_memory().map_or(u64::MAX, |available| available / THREAD_MEMORY);
    processors.min(USEFUL_THREADS).min(usize::try_from(fitting).unwrap_or(usize::MAX)).max(1)
}

/// Makes sure that all files can be open together, until they are published together.
fn check_open_files(plan: &Plan) -> Result<()> {
    let needed = (plan.sources.len() + plan.outputs.len()) as u64 + OTHER_FILES;
    let Some(limit) = raise_open_file_limit().filter(|limit| *limit < needed) else { return Ok(()) };
    let problem =
        format!("{needed} files have to be open at once, {limit} may be; allow more (ulimit -n {needed})");
    let path = plan.outputs.first().map_or(Path::new("."), |output| output.path.as_path());
    Err(Error::io("cannot write", path, io::Error::other(problem)))
}

/// A file of the right length, all zeros.
fn create(output: &Output, sources: &Sources) -> Result<AtomicFile> {
    let cannot = |e| Error::io("cannot write", &output.path, e);
    let file = AtomicFile::create(&output.path).map_err(cannot)?;
    file.file().set_len(output.len).map_err(cannot)?;
    if let Some(like) = output.like {
        resemble(file.file(), sources.file(like)).map_err(cannot)?;
    }
    Ok(file)
}

/// Shares what is to be shared. Clones that the file system refuses after all are answered, by output and step.
fn clone_all(
    plan: &Plan,
    sources: &Sources,
    files: &[AtomicFile],
    must_share: bool,
    report: &mut Report,
    progress: &mut dyn FnMut(u64),
) -> Result<HashSet<(usize, usize)>> {
    let mut refused = HashSet::new();
    for (o, (output, to)) in plan.outputs.iter().zip(files).enumerate() {
        for (s, step) in output.steps.iter().enumerate() {
            let Action::Clone { file, offset } = step.action else { continue };
            if interrupt::interrupted() {
                return Err(Error::Interrupted);
            }
            let path = sources.path(file);
            match clone_range(sources.file(file), offset, step.len, to.file(), step.start) {
                Ok(()) => progress(step.len),
                Err(CloneError::CopyInstead(reason)) if must_share => {
                    let path = path.display();
                    return Err(Error::CannotShare(format!("--reflink always: {path}: {reason}")));
                }
                Err(CloneError::CopyInstead(reason)) => {
                    tracing::debug!("cannot share {} bytes of {}: {reason}", step.len, path.display());
                    report.cloned_by_copying(step.len, reason.to_string());
                    refused.insert((o, s));
                }
                Err(CloneError::Io(e)) => return Err(Error::io("cannot clone blocks of", path, e)),
            }
        }
    }
    Ok(refused)
}

/// Compares what must be written (shared bytes take no space) with what is free.
///
/// # Errors
/// [`Error::Io`] if there is too little space.
pub fn check_space(plan: &Plan) -> Result<()> {
    let Some(first) = plan.outputs.first() else { return Ok(()) };
    let dir = first.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Zeros are holes.
    let takes_space = |step: &&Step| !matches!(step.action, Action::Clone { .. } | Action::Zero);
    let needed: u64 =
        plan.outputs.iter().flat_map(|o| &o.steps).filter(takes_space).map(|step| step.len).sum();
    let free = FileSystem::of(dir).map_err(|e| Error::io("cannot look at", dir, e))?.free_bytes;
    if needed > free {
        let problem = format!("needs {needed} bytes, the file system has {free} free");
        return Err(Error::io(
            "too little space in",
            dir,
            io::Error::new(io::ErrorKind::StorageFull, problem),
        ));
    }
    Ok(())
}

/// Gives `file` the permissions of `like`, and its owner where that is allowed (only root may give files away).
fn resemble(file: &File, like: &File) -> io::Result<()> {
    let [new, old] = [file.metadata()?, like.metadata()?];
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        _ = fchown(file, Some(old.uid()), Some(old.gid()));
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o777))
}
