//! The part of a limit that each conversion gets: as many parts as there are conversions at work.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A conversion's part of the limit, for as long as it is at work.
pub struct Share<'a>(&'a AtomicUsize);

impl<'a> Share<'a> {
    /// Counts it in from now on.
    pub fn take(of: &'a AtomicUsize) -> Self {
        of.fetch_add(1, Ordering::Relaxed);
        Self(of)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Among how many the limit is divided.
pub fn share_count(writing: &AtomicUsize) -> u64 {
    writing.load(Ordering::Relaxed).max(1) as u64
}
