//! Computes what a plan's outputs hold: all of it, in parallel, for a `Sink`, or any range of it ([`Evaluator`]).
//!
//! Knows plans, sources and kernels; not what becomes of the bytes.

mod arithmetic;
mod buffers;
mod content;
mod overflow;
mod partners;
mod queue;
mod range;
mod refused;
mod sources;
mod tile;
mod update;
mod worker;

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use ggraft_platform::available_memory;

pub use buffers::Buffers;
pub(crate) use queue::{Job, Task};
pub use range::Evaluator;
pub(crate) use refused::Refused;
pub(crate) use sources::Sources;

use crate::error::Result;
use crate::plan::Output;
use crate::source::File;
use queue::Queue;
use worker::Work;

/// More threads than this do not help: memory is not that fast.
const USEFUL_THREADS: usize = 16;

/// Threads where reading means waiting for a hub: as many requests are on their way at once.
const WAITING_THREADS: usize = 24;

/// Bytes that a thread's buffers may take.
const THREAD_MEMORY: u64 = 32 << 20;

/// Where bytes of outputs go. Called by several threads at once, with ranges in any order.
pub(crate) trait Sink: Sync {
    /// Told of a job before any of its bytes come.
    fn begin(&self, _: &Job) {}

    /// Takes the bytes from byte `at` of `output` on.
    ///
    /// # Errors
    /// Whatever goes wrong ends all of it.
    fn put(&self, output: usize, at: u64, bytes: &[u8]) -> Result<()>;

    /// Takes `len` zeros from byte `at` of `output` on.
    ///
    /// # Errors
    /// As [`Sink::put`].
    fn zeros(&self, output: usize, at: u64, len: u64) -> Result<()>;

    /// Takes as many as it likes, up to `len`, of the bytes of `source` from `offset` on by itself, and answers how
    /// many those were; the others are put.
    ///
    /// # Errors
    /// As [`Sink::put`].
    fn copy(&self, _output: usize, _at: u64, _len: u64, _source: &File, _offset: u64) -> Result<u64> {
        Ok(0)
    }

    /// How long to wait with more when `done` bytes are written, or read if that is more; none to go on.
    fn pause(&self, _done: u64) -> Option<Duration> {
        None
    }

    /// Told of how many numbers became infinite in what starts at byte `at` of `output`.
    fn overflowed(&self, _output: usize, _at: u64, _count: u64) {}
}

/// Computes all bytes of `outputs` for `sink`, except clones that are not `refused`, and tells `progress` of them as they come.
///
/// # Errors
/// The first of a source or the sink, or [`Error::Interrupted`](crate::Error::Interrupted).
pub(crate) fn run<S: Sink>(
    outputs: &[Output],
    sources: &Sources,
    refused: &Refused,
    sink: &S,
    threads: Option<NonZeroUsize>,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let waiting = sources.files().iter().any(File::is_remote);
    let default = || if waiting { WAITING_THREADS } else { default_threads() };
    let threads = threads.map_or_else(default, NonZeroUsize::get);
    Work::new(sources, Queue::new(outputs, refused), sink).run(threads, progress)
}

/// As many threads as there are processors to run on, and memory for their buffers.
fn default_threads() -> usize {
    // Limits of processor time, such as a container's, are counted in.
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let fitting = available_memory().map_or(u64::MAX, |available| available / THREAD_MEMORY);
    processors.min(USEFUL_THREADS).min(usize::try_from(fitting).unwrap_or(usize::MAX)).max(1)
}
