//! Cuts a plan into jobs for workers: long ranges into chunks, short neighbours into one chunk together.

use super::content::{Content, unit};
use super::refused::Refused;
use super::tile::{Tile, Tiling};
use crate::dtype::GgmlType;
use crate::plan::{Action, NO_SOURCE, Output, Spot, Spots, Step, Walk};

/// Bytes per chunk, read or written, whichever is more. File systems let one writer at a time into a file, so a
/// chunk must be worth the wait; what is read, converted and written in one go should still be in the cache
/// when it is written.
pub const CHUNK: u64 = 1 << 20;

/// Bytes that are copied by the kernel in one call.
const KERNEL_CHUNK: u64 = 4 << 20;

/// Bytes per box of a walk that is rearranged.
const TILE: u64 = 1 << 20;

/// Runs of a walk that are shorter than this many bytes are worth rearranging in memory.
const SHORT_RUN: u64 = 1 << 10;

/// No file system has smaller blocks, and all have a multiple of it.
const SMALLEST_BLOCK: u64 = 512;

/// Something for a worker to do.
#[derive(Debug)]
pub struct Job<'a> {
    /// Index of the output file.
    pub output: usize,
    /// What to do with it.
    pub task: Task<'a>,
}

/// What to do with an output file.
#[derive(Debug)]
pub enum Task<'a> {
    /// Fill neighbouring ranges, and write them together.
    Fill(Vec<Part<'a>>),
    /// Have the kernel copy a range of source `file` from `offset` on.
    Copy { start: u64, len: u64, file: usize, offset: u64 },
    /// Fill the part of a range that is in a box.
    Tile { start: u64, walk: &'a Walk, to: Option<GgmlType>, tile: Tile },
    /// A long range of zeros.
    Zeros { start: u64, len: u64 },
}

/// A range of an output and what it holds.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// First byte, from the start of the file.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
    /// What it holds.
    pub content: Content<'a>,
}

impl<'a> Part<'a> {
    /// All of a step at one of its places.
    fn at(spot: Spot<'a>) -> Self {
        Self { start: spot.start(), len: spot.step.len, content: Content::at(spot) }
    }

    /// The most bytes up to `room` that can be cut off: whole units, of which no more than a chunk is read.
    fn fitting(&self, room: u64) -> u64 {
        let fitting = match self.content {
            Content::Walk { walk, to, .. } => {
                let (elements, bytes) = unit(walk, to);
                let units = (room / bytes).min(CHUNK / (elements * walk.dtype.size()));
                units * bytes
            }
            _ => room,
        };
        fitting.min(self.len)
    }

    /// The first `len` bytes, and the rest, if any.
    fn cut(self, len: u64) -> (Self, Option<Self>) {
        let (content, rest) = match self.content {
            Content::Raw { file, offset } => (self.content, Content::Raw { file, offset: offset + len }),
            Content::Walk { walk, first, to } => {
                let (elements, bytes) = unit(walk, to);
                (self.content, Content::Walk { walk, first: first + len / bytes * elements, to })
            }
            Content::Bytes(bytes) => {
                let (bytes, rest) = bytes.split_at(len as usize);
                (Content::Bytes(bytes), Content::Bytes(rest))
            }
            Content::Zeros => (Content::Zeros, Content::Zeros),
        };
        let rest = Self { start: self.start + len, len: self.len - len, content: rest };
        (Self { len, content, ..self }, (rest.len > 0).then_some(rest))
    }

    /// What is better not filled and written chunk by chunk.
    fn special(&self) -> Option<Special<'a>> {
        match self.content {
            Content::Zeros if self.len >= CHUNK => Some(Special::Zeros),
            // Congruent offsets would make the kernel share blocks, which is not what was planned.
            Content::Raw { offset, .. }
                if self.len >= CHUNK && self.start % SMALLEST_BLOCK != offset % SMALLEST_BLOCK =>
            {
                Some(Special::Copy)
            }
            Content::Walk { walk, first: 0, to }
                if !walk.is_contiguous() && walk.run_bytes() < SHORT_RUN && !walk.is_packed() =>
            {
                let (block, bytes) = unit(walk, to);
                let all = self.len / bytes * block == walk.elements();
                let in_between =
                    if walk.arithmetic.is_empty() || walk.codes.is_some() { walk.dtype.size() } else { 4 };
                Tiling::new(walk, block, TILE / in_between).filter(|_| all).map(|tiling| Special::Tiles {
                    walk,
                    to,
                    tiling,
                })
            }
            _ => None,
        }
    }
}

enum Special<'a> {
    Zeros,
    Copy,
    Tiles { walk: &'a Walk, to: Option<GgmlType>, tiling: Tiling },
}

/// The jobs of a plan, in the order of its outputs' bytes.
pub struct Queue<'a> {
    outputs: &'a [Output],
    refused: &'a Refused,
    output: usize,
    /// What is left of the output.
    spots: Spots<'a>,
    /// How many clones of the output have been passed.
    clones: u64,
    /// What is left of the spot before.
    rest: Option<Part<'a>>,
    /// The boxes of the spot before, and the next of them.
    tiles: Option<(u64, &'a Walk, Option<GgmlType>, Tiling, u64)>,
}

impl<'a> Queue<'a> {
    /// All jobs for `outputs`, except clones that are not `refused`.
    pub fn new(outputs: &'a [Output], refused: &'a Refused) -> Self {
        let spots = outputs.first().map(Output::spots).unwrap_or_default();
        Self { outputs, refused, output: 0, spots, clones: 0, rest: None, tiles: None }
    }

    /// Whether there is nothing to compute for a step: a clone that was accepted.
    fn is_done(&mut self, step: &Step) -> bool {
        let Action::Clone { file, .. } = step.action else { return false };
        self.clones += 1;
        file == NO_SOURCE || !self.refused.contains(self.output, self.clones - 1)
    }

    /// The next job in the present output.
    fn task(&mut self) -> Option<Task<'a>> {
        if let Some(tile) = self.next_tile() {
            return Some(tile);
        }
        let (mut parts, mut filled) = (Vec::new(), 0);
        loop {
            let part = match self.rest.take() {
                Some(part) => part,
                None => {
                    let Some(spot) = self.spots.next() else { break };
                    match self.is_done(spot.step) {
                        false => Part::at(spot),
                        true if parts.is_empty() => continue,
                        true => break,
                    }
                }
            };
            if let Some(special) = part.special() {
                if !parts.is_empty() {
                    self.rest = Some(part);
                    break;
                }
                return Some(self.begin(part, special));
            }
            // Chunks end where pages do.
            let room = (CHUNK - part.start % CHUNK).min(CHUNK - filled);
            let len = match part.fitting(room) {
                0 if parts.is_empty() => part.fitting(CHUNK),
                0 => {
                    self.rest = Some(part);
                    break;
                }
                len => len,
            };
            let (part, rest) = part.cut(len);
            filled += len;
            parts.push(part);
            self.rest = rest;
            if self.rest.is_some() || filled >= CHUNK {
                break;
            }
        }
        (!parts.is_empty()).then_some(Task::Fill(parts))
    }

    fn begin(&mut self, part: Part<'a>, special: Special<'a>) -> Task<'a> {
        match (special, part.content) {
            (Special::Tiles { walk, to, tiling }, _) => {
                let tile = tiling.tile(walk, 0);
                self.tiles = Some((part.start, walk, to, tiling, 1));
                Task::Tile { start: part.start, walk, to, tile }
            }
            (Special::Copy, Content::Raw { file, offset }) => {
                let (part, rest) = part.cut(part.len.min(KERNEL_CHUNK));
                self.rest = rest;
                Task::Copy { start: part.start, len: part.len, file, offset }
            }
            _ => Task::Zeros { start: part.start, len: part.len },
        }
    }

    fn next_tile(&mut self) -> Option<Task<'a>> {
        let (start, walk, to, tiling, next) = self.tiles.as_mut()?;
        if *next == tiling.count() {
            self.tiles = None;
            return None;
        }
        let tile = tiling.tile(walk, *next);
        *next += 1;
        Some(Task::Tile { start: *start, walk, to: *to, tile })
    }
}

impl<'a> Iterator for Queue<'a> {
    type Item = Job<'a>;

    fn next(&mut self) -> Option<Job<'a>> {
        while self.output < self.outputs.len() {
            if let Some(task) = self.task() {
                return Some(Job { output: self.output, task });
            }
            self.output += 1;
            self.spots = self.outputs.get(self.output).map(Output::spots).unwrap_or_default();
            self.clones = 0;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Reason;

    /// How many bytes of a long copy from `offset` to `start` the kernel is asked for, and how many are read and written.
    fn copied(start: u64, offset: u64) -> (u64, u64) {
        let len = 3 * CHUNK;
        let (action, reason) = (Action::Copy { file: 0, offset }, Some(Reason::CannotShare));
        let output = Output {
            path: "out".into(),
            len: start + len,
            data_start: start,
            alignment: 32,
            tensors: Vec::new(),
            steps: vec![Step { start, len, action, reason }],
            like: None,
        };
        let (outputs, refused) = ([output], Refused::default());
        Queue::new(&outputs, &refused).fold((0, 0), |(kernel, here), job| match job.task {
            Task::Copy { len, .. } => (kernel + len, here),
            Task::Fill(parts) => (kernel, here + parts.iter().map(|part| part.len).sum::<u64>()),
            task => panic!("{task:?}"),
        })
    }

    /// It would share them, whatever was asked for, on file systems whose blocks are no larger than what both are multiples of.
    #[test]
    fn what_the_kernel_could_share_it_is_not_asked_to_copy() {
        let all = 3 * CHUNK;
        for (start, offset) in [(4096, 4096), (4096, 20480), (512, 1 << 33), (4096 + 32, 8192 + 32)] {
            assert_eq!(copied(start, offset), (0, all), "from {offset} to {start}");
        }
        for (start, offset) in [(4096, 4096 + 8), (4096 + 32, 4096), (4096 + 256, 1 << 33)] {
            assert_eq!(copied(start, offset), (all, 0), "from {offset} to {start}");
        }
    }
}
