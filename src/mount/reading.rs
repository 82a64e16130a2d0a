//! Comes by the bytes of a conversion's outputs: from the cache, from whoever is computing them, or by computing them.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::look::Look;
use super::streams::Streams;
use super::tiles::{Claim, Key, TILE, Tiles};
use crate::conversion::Conversion;
use crate::error::{Error, Result};
use crate::evaluate::Buffers;

/// Tiles that are computed ahead of who reads in order.
const DEPTH: u64 = 4;

/// Tiles that may wait to be computed ahead.
const QUEUE: usize = 32;

/// What is read of, and what helps.
#[derive(Debug)]
pub struct Reading {
    conversion: Conversion,
    tiles: Tiles,
    /// Those who read each output.
    streams: Vec<Mutex<Streams>>,
    /// Requests that are being answered.
    busy: AtomicUsize,
    /// Takes tiles to compute ahead.
    ahead: SyncSender<Key>,
}

thread_local! {
    /// Memory that a thread answers from.
    static ANSWER: RefCell<Vec<u8>> = RefCell::default();

    /// Memory that it computes in.
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

impl Reading {
    /// Of `conversion`, with a cache of `cache` bytes and `threads` threads that compute ahead. These end some time after the
    /// last reference but theirs is gone.
    ///
    /// # Errors
    /// [`Error::Io`] if there can be no more threads.
    pub fn new(conversion: Conversion, cache: u64, threads: usize) -> Result<Arc<Self>> {
        let (ahead, wanted) = sync_channel(QUEUE);
        let streams = conversion.plan.outputs.iter().map(|_| Mutex::default()).collect();
        let tiles = Tiles::new(cache);
        let reading = Arc::new(Self { conversion, tiles, streams, busy: AtomicUsize::new(0), ahead });
        let wanted = Arc::new(Mutex::new(wanted));
        for _ in 0..threads {
            let (reading, wanted) = (Arc::downgrade(&reading), wanted.clone());
            let compute = move || {
                while let Some(key) = next(&wanted) {
                    let Some(reading) = reading.upgrade() else { return };
                    // Whoever asks for it will hear what is wrong.
                    _ = reading.compute_ahead(key);
                }
            };
            let thread = thread::Builder::new().name("ahead".into()).spawn(compute);
            thread.map_err(|e| Error::io("cannot start", "a thread", e))?;
        }
        Ok(reading)
    }

    /// The conversion.
    pub fn conversion(&self) -> &Conversion {
        &self.conversion
    }

    /// Comes by bytes `range` of an output, as far as there are any, and hands them to `take`.
    ///
    /// # Errors
    /// If a source cannot be read, or is not what it was when it was planned.
    pub fn read<T>(&self, output: usize, range: Range<u64>, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let len = self.len(output)?;
        let range = range.start.min(len)..range.end.min(len);
        let idle = self.busy.fetch_add(1, Ordering::Relaxed) == 0;
        let result = self.read_within(output, range, idle, take);
        self.busy.fetch_sub(1, Ordering::Relaxed);
        result
    }

    fn read_within<T>(
        &self,
        output: usize,
        range: Range<u64>,
        idle: bool,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T> {
        let look = Look::at(&self.conversion.plan.outputs[output], &range);
        if look.computed && idle {
            self.look_ahead(output, &range);
        }
        let len = (range.end - range.start) as usize;
        let tiles = range.start / TILE..range.end.div_ceil(TILE);
        if look.computed
            && tiles.end - tiles.start == 1
            && let Some(bytes) = self.tile(Key { output, tile: tiles.start }, len, look.scattered)?
        {
            let from = (range.start % TILE) as usize;
            return Ok(take(&bytes[from..from + len]));
        }
        ANSWER.with_borrow_mut(|bytes| {
            bytes.resize(len, 0);
            if look.computed {
                self.piece_together(output, &range, look.scattered, bytes)?;
            } else {
                self.evaluate(output, range.start, bytes)?;
            }
            self.check(&look)?;
            Ok(take(bytes))
        })
    }

    /// Fills `bytes` with `range`, tile by tile.
    fn piece_together(
        &self,
        output: usize,
        range: &Range<u64>,
        scattered: bool,
        bytes: &mut [u8],
    ) -> Result<()> {
        let mut rest = bytes;
        for tile in range.start / TILE..range.end.div_ceil(TILE) {
            let part = range.start.max(tile * TILE)..range.end.min((tile + 1) * TILE);
            let (out, tail) = rest.split_at_mut((part.end - part.start) as usize);
            rest = tail;
            if let Some(bytes) = self.tile(Key { output, tile }, out.len(), scattered)? {
                let from = (part.start % TILE) as usize;
                out.copy_from_slice(&bytes[from..from + out.len()]);
            } else {
                self.evaluate(output, part.start, out)?;
            }
        }
        Ok(())
    }

    fn evaluate(&self, output: usize, start: u64, out: &mut [u8]) -> Result<usize> {
        BUFFERS.with_borrow_mut(|buffers| self.conversion.evaluator().read_at(output, start, out, buffers))
    }

    /// A tile of which `len` bytes are wanted, if it is there, or `compute` says to compute it and there is room.
    fn tile(&self, key: Key, len: usize, compute: bool) -> Result<Option<Arc<Vec<u8>>>> {
        if let Some(bytes) = self.tiles.get(key, len) {
            return Ok(Some(bytes));
        }
        if compute && let Some(claim) = self.tiles.claim(key) {
            self.compute(key, claim)?;
        }
        Ok(self.tiles.get(key, len))
    }

    fn compute(&self, key: Key, mut claim: Claim<'_>) -> Result<()> {
        let start = key.tile * TILE;
        let end = self.len(key.output)?.min(start + TILE);
        claim.bytes.resize(end.saturating_sub(start) as usize, 0);
        self.evaluate(key.output, start, &mut claim.bytes)?;
        self.check(&Look::at(&self.conversion.plan.outputs[key.output], &(start..end)))?;
        claim.fulfil();
        Ok(())
    }

    fn compute_ahead(&self, key: Key) -> Result<()> {
        let (start, end) = (key.tile * TILE, self.len(key.output)?.min((key.tile + 1) * TILE));
        if start >= end || !Look::at(&self.conversion.plan.outputs[key.output], &(start..end)).computed {
            return Ok(());
        }
        self.tiles.claim(key).map_or(Ok(()), |claim| self.compute(key, claim))
    }

    /// Has what comes after `range` computed if its reader waits for every range it asks for: otherwise there is enough to do.
    fn look_ahead(&self, output: usize, range: &Range<u64>) {
        let streams = &self.streams[output];
        let wanted = streams.lock().unwrap_or_else(PoisonError::into_inner).observe(range, DEPTH);
        for tile in wanted {
            // If there is too much to do already, it will be computed when it is asked for.
            _ = self.ahead.try_send(Key { output, tile });
        }
    }

    /// Makes sure that what was read is of the state that was planned. Asked after reading, so that no change goes unnoticed.
    fn check(&self, look: &Look) -> Result<()> {
        look.sources.iter().try_for_each(|file| self.conversion.check_source(*file))
    }

    fn len(&self, output: usize) -> Result<u64> {
        let output = self.conversion.plan.outputs.get(output);
        output.map(|output| output.len).ok_or_else(|| Error::Internal("there is no such output".into()))
    }
}

/// What to compute next; none when nobody will ask any more.
fn next(wanted: &Mutex<Receiver<Key>>) -> Option<Key> {
    wanted.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
