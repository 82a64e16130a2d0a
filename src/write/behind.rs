//! What happens to the page cache behind the place that is being written.

use std::fs::File;
use std::ops::Range;

use ggraft_platform::{drop_cache, start_writeback};

use crate::evaluate::{Job, Task};

/// Output is looked after in windows of this many bytes.
const WINDOW: u64 = 16 << 20;

/// Windows that workers may still be writing to.
const UNFINISHED: u64 = 1;

/// Windows that the disk is given to write before their pages are dropped.
const IN_FLIGHT: u64 = 4;

/// Follows jobs through the outputs.
pub struct Behind {
    /// Whether a sync is to come, for which the disk had better begin early.
    writeback: bool,
    /// Whether pages are to be dropped, because not all of them fit into memory.
    drop: bool,
    output: usize,
    /// The window of the last job.
    window: u64,
}

/// What is due for an output.
pub struct Due {
    writeback: Range<u64>,
    drop: Range<u64>,
}

impl Behind {
    /// Starts writing early with `writeback`, and drops what is written with `drop`.
    pub fn new(writeback: bool, drop: bool) -> Self {
        Self { writeback: writeback || drop, drop, output: 0, window: 0 }
    }

    /// What is due now that `job` begins.
    pub fn pass(&mut self, job: &Job) -> Option<Due> {
        if job.output > self.output {
            (self.output, self.window) = (job.output, 0);
        }
        if job.output < self.output {
            return None;
        }
        let start = match &job.task {
            Task::Fill(parts) => parts.first()?.start,
            Task::Copy { start, .. } => *start,
            // Boxes are written to all over their tensor, holes not at all.
            Task::Tile { .. } | Task::Zeros { .. } => return None,
        };
        let window = start / WINDOW;
        if !self.writeback || window <= self.window {
            return None;
        }
        let lagging = |lag: u64| {
            let from = self.window.saturating_sub(lag) * WINDOW;
            from..window.saturating_sub(lag) * WINDOW
        };
        let drop = if self.drop { lagging(UNFINISHED + IN_FLIGHT) } else { 0..0 };
        let due = Due { writeback: lagging(UNFINISHED), drop };
        self.window = window;
        Some(due)
    }
}

impl Due {
    /// Does it. Failures are none of the output's: these are hints.
    pub fn apply(&self, file: &File) {
        _ = start_writeback(file, self.writeback.start, self.writeback.end - self.writeback.start);
        _ = drop_cache(file, self.drop.start, self.drop.end - self.drop.start);
    }
}
