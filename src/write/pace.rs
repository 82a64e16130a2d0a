//! A limit to how fast is written, for machines that have other things to do.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// Bytes a second, counted from the start.
#[derive(Debug)]
pub struct Pace {
    rate: Option<NonZeroU64>,
    start: Instant,
}

impl Pace {
    /// At most `rate` bytes a second from now on; none is no limit.
    pub fn new(rate: Option<NonZeroU64>) -> Self {
        Self { rate, start: Instant::now() }
    }

    /// How long to wait with more when `written` bytes are.
    pub fn due(&self, written: u64) -> Option<Duration> {
        let seconds = written as f64 / self.rate?.get() as f64;
        Duration::try_from_secs_f64(seconds).ok()?.checked_sub(self.start.elapsed())
    }
}
