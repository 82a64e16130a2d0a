//! Workers: each takes jobs from the queue until there are no more, or until something goes wrong anywhere.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ggraft_platform::interrupt;

use super::Sink;
use super::arithmetic::Evaluation;
use super::buffers::{Buffers, part_of};
use super::content::unit;
use super::overflow;
use super::queue::{CHUNK, Job, Queue, Task};
use super::sources::Sources;
use super::tile::{self, Tile};
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::plan::Walk;

/// How often whoever waits is told of the progress.
const INTERVAL: Duration = Duration::from_millis(100);

/// Bytes of stack of a worker, whose buffers are elsewhere.
const STACK: usize = 256 << 10;

/// What all workers share.
pub struct Work<'a, S> {
    sources: &'a Sources<'a>,
    sink: &'a S,
    queue: Mutex<Queue<'a>>,
    done: AtomicU64,
    stop: AtomicBool,
    failure: Mutex<Option<Error>>,
}

impl<'a, S: Sink> Work<'a, S> {
    /// Work that has not begun.
    pub fn new(sources: &'a Sources<'a>, queue: Queue<'a>, sink: &'a S) -> Self {
        Self {
            sources,
            sink,
            queue: Mutex::new(queue),
            done: AtomicU64::new(0),
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
                let done = self.done.load(Ordering::Relaxed);
                progress(done - told);
                told = done;
            }
            Ok(())
        })?;
        progress(self.done.load(Ordering::Relaxed) - told);
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take().map_or(Ok(()), Err)
    }

    /// What a worker does.
    fn work(&self, buffers: &mut Buffers) {
        while !self.stop.load(Ordering::Relaxed) {
            let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(job) = next else { return };
            self.sink.begin(&job);
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

    /// Waits until the sink takes more, or nothing more comes.
    fn keep_pace(&self) {
        let done = || self.done.load(Ordering::Relaxed).max(self.sources.bytes_read());
        while let Some(due) = self.sink.pause(done())
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
                    let overflowed = part.content.fill(self.sources, to, buffers)?;
                    self.sink.overflowed(job.output, part.start, overflowed);
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
            Task::Zeros { start, len } => {
                self.sink.zeros(job.output, *start, *len)?;
                self.done(*len);
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
                self.sink.overflowed(output, start, overflow::convert(walk.dtype, to, rearranged, out));
            }
            Some(to) if walk.codes.is_some() => {
                // Integers are small as long as nothing is computed of them, and what they are computed with is found faster
                // in the order of the output.
                let rearranged = part_of(rearranged, raw.len() as u64);
                tile::rearrange_elements(walk.dtype, raw, rearranged, &steps);
                let (run, firsts) = tile.runs(walk);
                let mut evaluation = Evaluation::new(self.sources, walk);
                let outs = out.chunks_exact_mut((run / block * block_bytes) as usize);
                for ((first, codes), out) in
                    firsts.into_iter().zip(rearranged.chunks_exact(run as usize)).zip(outs)
                {
                    self.sink.overflowed(output, start, evaluation.encode(first, codes, to, out)?);
                }
            }
            Some(to) => {
                let (values, ordered) = (part_of(values, elements), part_of(rearranged_values, elements));
                Evaluation::new(self.sources, &source).values(0, raw, values)?;
                tile::rearrange(values, ordered, &steps);
                self.sink.overflowed(output, start, overflow::encode(to, ordered, out));
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
        self.sink.put(output, at, bytes)?;
        self.done(bytes.len() as u64);
        Ok(())
    }

    fn done(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Has the sink take a range of source `file` by itself, as far as it does, and the rest chunk by chunk.
    fn copy(
        &self,
        output: usize,
        start: u64,
        len: u64,
        file: usize,
        offset: u64,
        buffers: &mut Buffers,
    ) -> Result<()> {
        let mut copied = self.sink.copy(output, start, len, self.sources.file(file), offset)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::refused::Refused;
    use crate::plan::{Action, Output, Step};

    /// Takes nothing, and counts how often it was asked to.
    #[derive(Default)]
    struct Full(AtomicU64);

    impl Sink for Full {
        fn put(&self, _: usize, _: u64, _: &[u8]) -> Result<()> {
            unreachable!("there are only zeros")
        }

        fn zeros(&self, _: usize, _: u64, _: u64) -> Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(Error::Internal("full".into()))
        }
    }

    #[test]
    fn a_failure_ends_all_work() {
        let step = |n: u64| Step { start: n * CHUNK, len: CHUNK, action: Action::Zero, reason: None };
        let output = Output {
            path: "out".into(),
            len: 100 * CHUNK,
            data_start: 0,
            alignment: 1,
            tensors: Vec::new(),
            steps: (0..100).map(step).collect(),
            like: None,
        };
        let (outputs, refused, sources) = ([output], Refused::default(), Sources::new(&[], false));
        for threads in [1, 4] {
            let sink = Full::default();
            let work = Work::new(&sources, Queue::new(&outputs, &refused), &sink);
            let error = work.run(threads, &mut |_| {}).unwrap_err();
            assert!(matches!(error, Error::Internal(_)), "{error}");
            // Whoever had a job in hand finished it.
            assert!((1..=threads as u64).contains(&sink.0.into_inner()), "{threads} threads");
        }
    }
}
