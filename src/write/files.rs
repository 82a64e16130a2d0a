//! The files that are written, as a sink of what is computed.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ggraft_platform::{copy_in_kernel, write_all_at};

use super::behind::Behind;
use super::overflow::Overflows;
use super::pace::Pace;
use crate::error::{Error, Result};
use crate::evaluate::{Job, Sink};
use crate::plan::Output;
use crate::source::File;

/// Files of the outputs' lengths, all zeros to begin with.
pub struct Files<'a> {
    /// As planned.
    pub outputs: &'a [Output],
    /// In the same order.
    pub files: &'a [&'a fs::File],
    /// What became infinite on the way.
    pub overflows: Overflows,
    behind: Mutex<Behind>,
    pace: Pace<'a>,
}

impl<'a> Files<'a> {
    /// `files` for `outputs`, whose pages are looked after by `behind`, written at this `pace`.
    pub fn new(outputs: &'a [Output], files: &'a [&'a fs::File], behind: Behind, pace: Pace<'a>) -> Self {
        Self { outputs, files, overflows: Overflows::default(), behind: Mutex::new(behind), pace }
    }
}

impl Sink for Files<'_> {
    fn begin(&self, job: &Job) {
        let due = self.behind.lock().unwrap_or_else(PoisonError::into_inner).pass(job);
        if let Some(due) = due {
            due.apply(self.files[job.output]);
        }
    }

    fn put(&self, output: usize, at: u64, bytes: &[u8]) -> Result<()> {
        let written = write_all_at(self.files[output], bytes, at);
        written.map_err(|e| Error::io("cannot write", &self.outputs[output].path, e))
    }

    /// New files are zeros.
    fn zeros(&self, _: usize, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    /// Within the kernel, as far as it does.
    fn copy(&self, output: usize, at: u64, len: u64, source: &File, offset: u64) -> Result<u64> {
        if !source.is_local() {
            return Ok(0);
        }
        Ok(copy_in_kernel(&*source.handle()?, offset, self.files[output], at, len))
    }

    fn pause(&self, done: u64) -> Option<Duration> {
        self.pace.due(done)
    }

    fn overflowed(&self, output: usize, at: u64, count: u64) {
        self.overflows.add(output, at, count);
    }
}
