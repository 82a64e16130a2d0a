//! What a batch tells about itself, one JSON object a line. `docs/reference/events.schema.json` is the promise.

use serde::Serialize;
use serde_json::Value;

/// Version of what follows; it changes when a reader has to.
pub const VERSION: u32 = 1;

/// The JSON schema of [`Event`], as text.
pub const SCHEMA: &str = include_str!("../../docs/reference/events.schema.json");

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// [`VERSION`].
    pub version: u32,
    /// When, in seconds since 1970.
    pub time: f64,
    /// Which job it is about; none for the whole batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum What {
    /// The job is in the list.
    Queued {
        /// The model's directory.
        model: String,
        /// Arguments of `ggraft convert`.
        args: Vec<String>,
    },
    /// Its conversion begins.
    Started {
        /// From 1; more after failures that may pass.
        attempt: u32,
        /// Bytes of its outputs.
        bytes: u64,
        /// Bytes that take new space on the disk.
        new_bytes: u64,
        /// Paths of its outputs.
        outputs: Vec<String>,
    },
    /// It goes on.
    Progress {
        /// Bytes done.
        done: u64,
        /// Bytes to do.
        total: u64,
    },
    /// It found something odd.
    Warning {
        /// In words.
        message: String,
    },
    /// Its outputs are there.
    Finished {
        /// How long it took.
        seconds: f64,
        /// What `ggraft convert --json` prints.
        report: Value,
    },
    /// It is not done.
    Failed {
        /// Which attempt, from 1.
        attempt: u32,
        /// Whether it will be tried again.
        retried: bool,
        /// The exit code of `ggraft convert`; none if a signal ended it.
        exit_code: Option<i32>,
        /// The error: `kind`, `message`, and what else is known.
        error: Value,
    },
    /// Nothing to do.
    Skipped {
        /// `complete`: its outputs are there. `elsewhere`: another batch did it meanwhile. `stopped`: the batch ended first.
        reason: &'static str,
    },
    /// The batch ended.
    Summary {
        /// Jobs whose outputs were made.
        finished: usize,
        /// Jobs that failed.
        failed: usize,
        /// Jobs with nothing to do.
        skipped: usize,
        /// How long it took.
        seconds: f64,
        /// Bytes of outputs that share blocks with their checkpoints.
        shared: u64,
        /// Bytes of all outputs made.
        bytes: u64,
    },
}
