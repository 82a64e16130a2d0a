//! Workers: each takes jobs from the queue until there are no more, or until something goes wrong anywhere.

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ggraft_platform::{copy_in_kernel, interrupt, write_all_at};

use super::arithmetic::Evaluation;
use super::behind::Behind;
use super::overflow::{self, Overflows};
use super::pace::Pace;
use super::queue::{CHUNK, Content, Job, Part, Queue, Task, unit};
use super::sources::Sources;
use super::tile::{self, Tile};
use crate::dtype::{Dtype, GgmlType};
use crate::error::{Error, Result};
use crate::kernels;
use crate::plan::{Output, Walk};

/// How often whoever waits is told of the progress.
const INTERVAL: Duration = Duration::from_millis(100);

/// Bytes of stack of a worker, whose buffers are elsewhere.
const STACK: usize = 256 << 10;

/// What all workers share.
pub struct Work<'a> {
    /// What is read.
    pub sources: &'a Sources<'a>,
    /// What is written, as planned.
    pub outputs: &'a [Output],
    /// The files that are written.
    pub files: &'a [&'a File],
    /// What became infinite on the way.
    pub overflows: Overflows,
    queue: Mutex<(Queue<'a>, Behind)>,
    pace: Pace,
    written: AtomicU64,
    stop: AtomicBool,
    failure: Mutex<Option<Error>>,
}

impl<'a> Work<'a> {
    /// Work that has not begun.
    pub fn new(
        sources: &'a Sources<'a>,
        outputs: &'a [Output],
        files: &'a [&'a File],
        queue: Queue<'a>,
        behind: Behind,
        pace: Pace,
    ) -> Self {
        Self {
            sources,
            outputs,
            files,
            overflows: Overflows::default(),
            queue: Mutex::new((queue, behind)),
            pace,
            written: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// Has `threads` workers do all of it, and tells `progress` of finished bytes as they come.
    ///
    /// # Errors
    /// The first error of any worker, or [`Error::Interrupted`].
    pub fn run(&self, threads: usize, progress: &mut dyn FnMut(u64)) -> Result<()> {
        let mut told = 0;
        thread::scope(|scope| {
            let (alive, ended) = mpsc::channel::<()>();
            for n in 0..threads {
                // Dropped with the last worker, which ends the wait below.
                let alive = alive.clone();
                let worker = move || {
                    let _alive = alive;
                    self.work(&mut Buffers::default());
                };
                let spawned = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, worker);
                match spawned {
                    Ok(_) => {}
                    Err(e) if n == 0 => return Err(Error::io("cannot start", "a thread", e)),
                    // Fewer will do.
                    Err(_) => break,
                }
            }
            drop(alive);
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let written = self.written.load(Ordering::Relaxed);
                progress(written - told);
                told = written;
            }
            Ok(())
        })?;
        progress(self.written.load(Ordering::Relaxed) - told);
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take().map_or(Ok(()), Err)
    }

    /// What a worker does.
    fn work(&self, buffers: &mut Buffers) {
        while !self.stop.load(Ordering::Relaxed) {
            let (job, behind) = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                let (queue, behind) = &mut *queue;
                let Some(job) = queue.next() else { return };
                let behind = behind.pass(&job);
                (job, behind)
            };
            if let Some(behind) = behind {
                behind.apply(self.files[job.output]);
            }
            let result =
                if interrupt::interrupted() { Err(Error::Interrupted) } else { self.job(&job, buffers) };
            if let Err(error) = result {
                self.stop.store(true, Ordering::Relaxed);
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error);
            }
            self.keep_pace();
        }
    }

    /// Waits until more may be written, or nothing is to be.
    fn keep_pace(&self) {
        while let Some(due) = self.pace.due(self.written.load(Ordering::Relaxed))
            && !self.stop.load(Ordering::Relaxed)
            && !interrupt::interrupted()
        {
            thread::sleep(due.min(INTERVAL));
        }
    }

    fn job(&self, job: &Job, buffers: &mut Buffers) -> Result<()> {
        match &job.task {
            Task::Fill(parts) => {
                let len: u64 = parts.iter().map(|part| part.len).sum();
                let mut out = std::mem::take(&mut buffers.out);
                let bytes = part_of(&mut out, len);
                let mut rest = &mut *bytes;
                for part in parts {
                    let (to, tail) = rest.split_at_mut(part.len as usize);
                    self.fill(job.output, part, to, buffers)?;
                    rest = tail;
                }
                self.put(job.output, bytes, parts[0].start)?;
                buffers.out = out;
                Ok(())
            }
            Task::Copy { start, len, file, offset } => {
                self.copy(job.output, *start, *len, *file, *offset, buffers)
            }
            Task::Tile { start, walk, to, tile } => self.tile(job.output, *start, walk, *to, tile, buffers),
            Task::Skip { len } => {
                self.done(*len);
                Ok(())
            }
        }
    }

    fn fill(&self, output: usize, part: &Part, out: &mut [u8], buffers: &mut Buffers) -> Result<()> {
        match part.content {
            Content::Raw { file, offset } => self.sources.read(file, out, offset),
            Content::Walk { walk, first, to: None } => {
                self.sources.gather(walk, first, out, &mut buffers.scratch)
            }
            Content::Walk { walk, first, to: Some(GgmlType::BF16) }
                if walk.dtype == Dtype::BF16 && walk.arithmetic.is_empty() =>
            {
                self.sources.gather(walk, first, out, &mut buffers.scratch)?;
                kernels::quiet_bf16(out);
                Ok(())
            }
            Content::Walk { walk, first, to: Some(to) } => {
                let (elements, bytes) = unit(walk, Some(to));
                let count = out.len() as u64 / bytes * elements;
                let raw = part_of(&mut buffers.raw, count * walk.dtype.size());
                self.sources.gather(walk, first, raw, &mut buffers.scratch)?;
                if walk.arithmetic.is_empty() {
                    self.overflows.add(output, part.start, overflow::convert(walk.dtype, to, raw, out));
                    return Ok(());
                }
                let mut evaluation = Evaluation::new(self.sources, walk);
                if walk.is_packed() {
                    return evaluation.mxfp4(first, raw, out);
                }
                let overflowed = evaluation.encode(first, raw, to, out)?;
                self.overflows.add(output, part.start, overflowed);
                Ok(())
            }
            Content::Bytes(bytes) => {
                out.copy_from_slice(bytes);
                Ok(())
            }
            Content::Zeros => {
                out.fill(0);
                Ok(())
            }
        }
    }

    fn tile(
        &self,
        output: usize,
        start: u64,
        walk: &Walk,
        to: Option<GgmlType>,
        tile: &Tile,
        buffers: &mut Buffers,
    ) -> Result<()> {
        let Buffers { out, raw, scratch, rearranged, values, rearranged_values } = buffers;
        let elements = tile.elements();
        let (block, block_bytes) = unit(walk, to);
        let (source, steps) = (tile.in_source_order(walk), tile.steps(walk));
        let raw = part_of(raw, elements * walk.dtype.size());
        self.sources.gather(&source, 0, raw, scratch)?;
        let out = part_of(out, elements / block * block_bytes);
        match to {
            None => tile::rearrange_elements(walk.dtype, raw, out, &steps),
            Some(to) if walk.arithmetic.is_empty() => {
                let rearranged = part_of(rearranged, raw.len() as u64);
                tile::rearrange_elements(walk.dtype, raw, rearranged, &steps);
                self.overflows.add(output, start, overflow::convert(walk.dtype, to, rearranged, out));
            }
            Some(to) => {
                let (values, ordered) = (part_of(values, elements), part_of(rearranged_values, elements));
                Evaluation::new(self.sources, &source).values(0, raw, values)?;
                tile::rearrange(values, ordered, &steps);
                self.overflows.add(output, start, overflow::encode(to, ordered, out));
            }
        }
        let (run, firsts) = tile.runs(walk);
        let run_bytes = (run / block * block_bytes) as usize;
        for (first, bytes) in firsts.into_iter().zip(out.chunks_exact(run_bytes)) {
            self.put(output, bytes, start + first / block * block_bytes)?;
        }
        Ok(())
    }

    fn put(&self, output: usize, bytes: &[u8], at: u64) -> Result<()> {
        let written = write_all_at(self.files[output], bytes, at);
        written.map_err(|e| Error::io("cannot write", &self.outputs[output].path, e))?;
        self.done(bytes.len() as u64);
        Ok(())
    }

    fn done(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Copies within the kernel what it takes, and the rest chunk by chunk.
    fn copy(
        &self,
        output: usize,
        start: u64,
        len: u64,
        file: usize,
        offset: u64,
        buffers: &mut Buffers,
    ) -> Result<()> {
        let mut copied =
            copy_in_kernel(&*self.sources.file(file).handle()?, offset, self.files[output], start, len);
        self.sources.forget(file, offset, copied);
        self.done(copied);
        while copied < len {
            let buffer = part_of(&mut buffers.out, CHUNK.min(len - copied));
            self.sources.read(file, buffer, offset + copied)?;
            self.put(output, buffer, start + copied)?;
            copied += buffer.len() as u64;
        }
        Ok(())
    }
}

/// Memory that a worker uses again and again.
#[derive(Default)]
struct Buffers {
    /// What is written.
    out: Vec<u8>,
    /// What was read.
    raw: Vec<u8>,
    /// What was read together with gaps.
    scratch: Vec<u8>,
    /// What was read, in the output's order.
    rearranged: Vec<u8>,
    /// What was computed.
    values: Vec<f32>,
    /// What was computed, in the output's order.
    rearranged_values: Vec<f32>,
}

/// The first `len` elements of a buffer, which grows if it must.
fn part_of<T: Clone + Default>(buffer: &mut Vec<T>, len: u64) -> &mut [T] {
    let len = len as usize;
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}
