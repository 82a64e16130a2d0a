//! A limit to how fast is read and written, for machines that have other things to do.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes a second, as they are at the moment; none is no limit.
pub type Rate<'a> = &'a (dyn Fn() -> Option<NonZeroU64> + Sync);

/// What was not used is kept for this long: a disk that stalls is not made up for by a burst.
const CREDIT: Duration = Duration::from_secs(1);

/// How much may be done by now.
pub struct Pace<'a> {
    rate: Rate<'a>,
    allowed: Mutex<Allowed>,
}

struct Allowed {
    /// Bytes since the start.
    bytes: f64,
    /// When that was so.
    at: Instant,
}

impl<'a> Pace<'a> {
    /// At most `rate` bytes a second from now on.
    pub fn new(rate: Rate<'a>) -> Self {
        Self { rate, allowed: Mutex::new(Allowed { bytes: 0.0, at: Instant::now() }) }
    }

    /// How long to wait with more when `done` bytes are.
    pub fn due(&self, done: u64) -> Option<Duration> {
        self.due_at(done, Instant::now())
    }

    fn due_at(&self, done: u64, now: Instant) -> Option<Duration> {
        let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.saturating_duration_since(allowed.at);
        allowed.at = now;
        let Some(rate) = (self.rate)().map(|rate| rate.get() as f64) else {
            allowed.bytes = done as f64;
            return None;
        };
        let kept = done as f64 + rate * CREDIT.as_secs_f64();
        allowed.bytes = (allowed.bytes + rate * elapsed.as_secs_f64()).min(kept);
        let ahead = done as f64 - allowed.bytes;
        // Less than a microsecond is no wait.
        Duration::try_from_secs_f64(ahead / rate).ok().filter(|due| *due > Duration::from_micros(1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn waits_for_as_long_as_it_is_ahead_at_whatever_rate() {
        let rate = AtomicU64::new(100);
        let now = || NonZeroU64::new(rate.load(Ordering::Relaxed));
        let pace = Pace::new(&now);
        let start = pace.allowed.lock().unwrap().at;
        let due = |done, seconds| {
            let due = pace.due_at(done, start + Duration::from_secs_f64(seconds));
            due.map_or(0.0, |due| (due.as_secs_f64() * 100.0).round() / 100.0)
        };
        assert_eq!(due(200, 0.0), 2.0);
        assert_eq!(due(200, 1.0), 1.0);
        rate.store(50, Ordering::Relaxed);
        assert_eq!(due(200, 1.0), 2.0, "100 bytes ahead, at half the rate");
        assert_eq!(due(200, 3.0), 0.0);
        // A stall of ten seconds is worth one.
        assert_eq!(due(200, 13.0), 0.0);
        assert_eq!(due(350, 13.0), 2.0);
        rate.store(0, Ordering::Relaxed);
        assert_eq!(due(900, 13.0), 0.0);
    }
}
