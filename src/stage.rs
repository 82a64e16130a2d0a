//! How long the stages of a conversion take, for those who ask (`-v`, `RUST_LOG=debug`).

use std::fmt;
use std::time::Instant;

/// A stage that runs.
pub struct Stage(Instant);

impl Stage {
    /// Begins now.
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// It has ended, and this came of it; the next one begins.
    pub fn end(&mut self, result: impl fmt::Display) {
        tracing::debug!("{:7.3} s for {result}", self.0.elapsed().as_secs_f64());
        self.0 = Instant::now();
    }
}
