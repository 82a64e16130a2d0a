//! Carries out a plan: clones, copies, converts, publishes.
//!
//! Knows nothing of architectures, or of why the plan is what it is.

mod arithmetic;
mod gather;
mod report;

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use ggraft_platform::{
    AtomicFile, CloneError, FileSystem, clone_range, interrupt, raise_open_file_limit, shared_bytes,
    write_all_at,
};

pub use report::{Bytes, Measured, Report, Shortfall, Written};

use crate::convert::convert;
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::plan::{Action, Output, Plan, Step, Walk};

/// Zeros are written from a block this long.
const ZEROS: [u8; 4096] = [0; 4096];

/// Writes every output of `plan`, tells `progress` of finished bytes as they come, and puts the
/// files in place only when all of them are complete. With `must_share`, a clone that the file system
/// refuses is an error instead of a copy.
///
/// # Errors
/// Whatever goes wrong leaves no output behind: [`Error::Io`] for the operating system,
/// [`Error::Interrupted`] after a signal, [`Error::CannotShare`].
pub fn write(plan: &Plan, must_share: bool, progress: &mut dyn FnMut(u64)) -> Result<Report> {
    // All files stay open until they can be published together.
    raise_open_file_limit();
    let sources = plan
        .sources
        .iter()
        .map(|path| File::open(path).map_err(|e| Error::io("cannot open", path, e)))
        .collect::<Result<Vec<_>>>()?;
    let mut report = Report::of(plan);
    let mut files = Vec::with_capacity(plan.outputs.len());
    for output in &plan.outputs {
        let cannot = |e| Error::io("cannot write", &output.path, e);
        let file = AtomicFile::create(&output.path).map_err(cannot)?;
        file.file().set_len(output.len).map_err(cannot)?;
        if let Some(like) = output.like {
            resemble(file.file(), &sources[like]).map_err(cannot)?;
        }
        let mut writer = Writer {
            plan,
            output,
            sources: &sources,
            file: file.file(),
            report: &mut report,
            must_share,
            progress,
            buffers: Buffers::default(),
        };
        output.steps.iter().try_for_each(|step| writer.step(step))?;
        files.push(file);
    }
    for (file, output) in files.iter().zip(&plan.outputs) {
        file.file().sync_all().map_err(|e| Error::io("cannot write", &output.path, e))?;
        let usage =
            shared_bytes(file.file()).map_err(|e| Error::io("cannot map the extents of", &output.path, e))?;
        report.measure(usage.map(|u| (u.shared, u.unique)));
    }
    if interrupt::interrupted() {
        return Err(Error::Interrupted);
    }
    let paths: Vec<&Path> = plan.outputs.iter().map(|o| o.path.as_path()).collect();
    AtomicFile::publish_all(files).map_err(|e| Error::io("cannot publish", paths[0], e))?;
    Ok(report)
}

/// Compares what must be written (shared bytes take no space) with what is free.
///
/// # Errors
/// [`Error::Io`] if there is too little space.
pub fn check_space(plan: &Plan) -> Result<()> {
    let Some(first) = plan.outputs.first() else { return Ok(()) };
    let dir = first.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let bytes = Report::of(plan).bytes;
    let needed = bytes.total - bytes.cloned;
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

#[derive(Default)]
struct Buffers {
    read: Vec<u8>,
    scratch: Vec<u8>,
    converted: Vec<u8>,
}

/// Fills one output file.
struct Writer<'a> {
    plan: &'a Plan,
    output: &'a Output,
    sources: &'a [File],
    file: &'a File,
    report: &'a mut Report,
    must_share: bool,
    progress: &'a mut dyn FnMut(u64),
    buffers: Buffers,
}

impl Writer<'_> {
    fn step(&mut self, step: &Step) -> Result<()> {
        if interrupt::interrupted() {
            return Err(Error::Interrupted);
        }
        match &step.action {
            Action::Clone { file, offset } => self.clone(step, *file, *offset),
            Action::Copy { walk, first } => self.stream(step, walk, *first, None),
            Action::Convert { walk, first, to } => self.stream(step, walk, *first, Some(*to)),
            Action::Bytes(bytes) => self.put(bytes, step.start),
            Action::Zero => {
                let mut at = step.start;
                while at < step.end() {
                    let len = (step.end() - at).min(ZEROS.len() as u64);
                    self.put(&ZEROS[..len as usize], at)?;
                    at += len;
                }
                Ok(())
            }
        }
    }

    /// Shares blocks; where the file system refuses this range after all, copies it.
    fn clone(&mut self, step: &Step, file: usize, offset: u64) -> Result<()> {
        match clone_range(&self.sources[file], offset, step.len, self.file, step.start) {
            Ok(()) => {
                (self.progress)(step.len);
                Ok(())
            }
            Err(CloneError::CopyInstead(reason)) if self.must_share => Err(Error::CannotShare(format!(
                "--reflink always: {}: {reason}",
                self.source(file).display()
            ))),
            Err(CloneError::CopyInstead(reason)) => {
                tracing::debug!(
                    "cannot share {} bytes of {}: {reason}",
                    step.len,
                    self.source(file).display()
                );
                self.report.cloned_by_copying(step.len, reason.to_string());
                self.copy(step, file, offset)
            }
            Err(CloneError::Io(e)) => Err(Error::io("cannot clone blocks of", self.source(file), e)),
        }
    }

    fn copy(&mut self, step: &Step, file: usize, offset: u64) -> Result<()> {
        const LEN: u64 = 4 << 20;
        let mut done = 0;
        while done < step.len {
            let len = (step.len - done).min(LEN);
            let mut buffer = std::mem::take(&mut self.buffers.read);
            buffer.resize(len as usize, 0);
            ggraft_platform::read_exact_at(&self.sources[file], &mut buffer, offset + done)
                .map_err(|e| self.unreadable(file, e))?;
            self.put(&buffer, step.start + done)?;
            self.buffers.read = buffer;
            done += len;
        }
        Ok(())
    }

    /// Reads `step`'s part of a walk chunk by chunk, makes output bytes of type `to` of each (those it has, if
    /// none is given), and writes those.
    fn stream(&mut self, step: &Step, walk: &Walk, first: u64, to: Option<GgmlType>) -> Result<()> {
        let bytes = |count| match to {
            None => count * walk.dtype.size(),
            Some(to) => to.bytes(if walk.is_packed() { count * 2 } else { count }),
        };
        let chunk = gather::chunk(walk);
        let mut buffers = std::mem::take(&mut self.buffers);
        let (mut done, mut at) = (0, step.start);
        while at < step.end() {
            let left = walk.elements() - first - done;
            let mut count = chunk.min(left);
            if to.is_none() {
                count = count.min((step.end() - at) / walk.dtype.size());
            }
            let Buffers { read, scratch, converted } = &mut buffers;
            gather::gather(&self.sources[walk.file], walk, first + done, count, read, scratch)
                .map_err(|e| self.unreadable(walk.file, e))?;
            let out = match to {
                None => read,
                Some(to) if walk.arithmetic.is_empty() => {
                    converted.resize(bytes(count) as usize, 0);
                    convert(walk.dtype, to, read, converted);
                    converted
                }
                Some(to) => {
                    arithmetic::evaluate(
                        self.sources,
                        walk,
                        (first + done, count),
                        to,
                        read,
                        scratch,
                        converted,
                    )
                    .map_err(|e| self.unreadable(walk.file, e))?;
                    converted
                }
            };
            self.put(out, at)?;
            done += count;
            at += bytes(count);
        }
        self.buffers = buffers;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8], at: u64) -> Result<()> {
        if interrupt::interrupted() {
            return Err(Error::Interrupted);
        }
        write_all_at(self.file, bytes, at).map_err(|e| Error::io("cannot write", &self.output.path, e))?;
        (self.progress)(bytes.len() as u64);
        Ok(())
    }

    fn source(&self, file: usize) -> &PathBuf {
        &self.plan.sources[file]
    }

    fn unreadable(&self, file: usize, error: std::io::Error) -> Error {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::invalid(
                self.source(file),
                "became shorter while it was being read; is it still downloading?",
            ),
            _ => Error::io("cannot read", self.source(file), error),
        }
    }
}
