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

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows that are to be written and dropped when a job begins in window `window` of output `output`.
    fn pass(behind: &mut Behind, output: usize, window: u64) -> Option<(Range<u64>, Range<u64>)> {
        let task = Task::Copy { start: window * WINDOW + 5, len: 1, file: 0, offset: 0 };
        let Due { writeback, drop } = behind.pass(&Job { output, task })?;
        let windows = |range: Range<u64>| {
            assert!(range.start.is_multiple_of(WINDOW) && range.end.is_multiple_of(WINDOW), "{range:?}");
            range.start / WINDOW..range.end / WINDOW
        };
        Some((windows(writeback), windows(drop)))
    }

    #[test]
    fn pages_are_written_one_window_behind_and_dropped_five_behind() {
        let mut behind = Behind::new(true, true);
        assert_eq!(pass(&mut behind, 0, 0), None);
        assert_eq!(pass(&mut behind, 0, 3), Some((0..2, 0..0)));
        assert_eq!(pass(&mut behind, 0, 3), None, "nothing new");
        assert_eq!(pass(&mut behind, 0, 2), None, "a worker that lags");
        assert_eq!(pass(&mut behind, 0, 9), Some((2..8, 0..4)));
        assert_eq!(pass(&mut behind, 0, 12), Some((8..11, 4..7)));
        assert_eq!(pass(&mut behind, 1, 1), Some((0..0, 0..0)), "another file begins");
        assert_eq!(pass(&mut behind, 0, 20), None, "and the first is behind");
        assert_eq!(pass(&mut behind, 1, 2), Some((0..1, 0..0)));
        let zeros = Task::Zeros { start: 50 * WINDOW, len: 1 };
        assert!(behind.pass(&Job { output: 1, task: zeros }).is_none(), "holes take no pages");
    }

    #[test]
    fn only_what_was_asked_for_is_due() {
        assert_eq!(pass(&mut Behind::new(false, false), 0, 9), None);
        assert_eq!(pass(&mut Behind::new(true, false), 0, 9), Some((0..8, 0..0)));
        // What is dropped must have been written.
        assert_eq!(pass(&mut Behind::new(false, true), 0, 9), Some((0..8, 0..4)));
    }
}
