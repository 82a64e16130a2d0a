//! Holds files against what a plan says of them: all of it is computed for a sink that compares instead of writing. What
//! extent maps show to be the same blocks is not read.
//!
//! Knows plans and files; not what the plan was made from, or what follows from a difference.

mod mismatch;
mod sharing;
mod sink;

use std::num::NonZeroUsize;
use std::ops::AddAssign;

use indicatif::DecimalBytes;

use crate::error::Result;
use crate::evaluate::{self, Refused, Sources};
use crate::plan::{Action, NO_SOURCE, Output};
use crate::source::File;
use sink::Compare;

pub use mismatch::{Mismatch, Part};
pub(crate) use sharing::prove;

/// How to compare.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// Reads what extent maps show to be the same blocks, too.
    pub read_all: bool,
    /// Takes BF16 NaNs as the reference makes them, too, where the plan leaves them as they are.
    pub quiet_nans: bool,
    /// Gives cached pages of sources back as soon as they were read.
    pub forget: bool,
    /// How many threads read and compute; as many as there are processors by default.
    pub threads: Option<NonZeroUsize>,
}

/// What was compared. Zeros between tensors are not counted.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Bytes that are the same blocks as the source's, or holes in both.
    pub shared: u64,
    /// Bytes that were read in both and compared.
    pub compared: u64,
    /// Bytes that were computed again and compared.
    pub recomputed: u64,
    /// The first difference in each tensor, and in each stretch of what is none, in file order.
    pub mismatches: Vec<Mismatch>,
}

impl Comparison {
    /// How much was compared in which way, for people.
    pub fn in_words(&self) -> String {
        let kinds = [
            ("proven by sharing", self.shared),
            ("compared", self.compared),
            ("computed again", self.recomputed),
        ];
        let kinds = kinds.iter().filter(|(_, n)| *n > 0);
        let kinds: Vec<String> = kinds.map(|(what, n)| format!("{} {what}", DecimalBytes(*n))).collect();
        if kinds.is_empty() { "there were no bytes to compare".into() } else { kinds.join(", ") }
    }
}

/// Compares `files` with what `outputs`, in the same order, say that they hold, made of `sources`. Clones of
/// [no source](NO_SOURCE) are left out. Tells `begin` how many bytes have to be read of each side, and `progress` of those as
/// they are done.
///
/// # Errors
/// If something cannot be read, or [`Error::Interrupted`](crate::Error::Interrupted). A difference is none.
pub(crate) fn compare(
    outputs: &mut [Output],
    files: &[File],
    sources: &[File],
    how: How,
    begin: &mut dyn FnMut(u64),
    progress: &mut dyn FnMut(u64),
) -> Result<Comparison> {
    let mut done = Comparison::default();
    if !how.read_all {
        done.shared = sharing::prove(outputs, files, sources)?;
    }
    done.count(outputs);
    begin(unread(outputs));
    let sources = Sources::new(sources, how.forget);
    let sink = Compare::new(outputs, files, how.quiet_nans);
    evaluate::run(outputs, &sources, &Refused::all(outputs.len()), &sink, how.threads, progress)?;
    done.mismatches = sink.mismatches();
    Ok(done)
}

/// Bytes of `outputs` that are not proven.
fn unread(outputs: &[Output]) -> u64 {
    let steps = outputs.iter().flat_map(Output::counted);
    let open = steps.filter(|(step, _)| {
        !matches!(step.action, Action::Clone { file: NO_SOURCE, .. } | Action::Repeat(_))
    });
    open.map(|(step, times)| times * step.len).sum()
}

impl AddAssign for Comparison {
    fn add_assign(&mut self, other: Self) {
        self.shared += other.shared;
        self.compared += other.compared;
        self.recomputed += other.recomputed;
        self.mismatches.extend(other.mismatches);
    }
}

impl Comparison {
    /// Counts what is going to be read of `outputs`.
    fn count(&mut self, outputs: &[Output]) {
        for (step, times) in outputs.iter().flat_map(Output::counted) {
            match step.action {
                Action::Clone { file: NO_SOURCE, .. } | Action::Zero | Action::Repeat(_) => {}
                Action::Clone { .. } | Action::Copy { .. } | Action::Gather { quiet: false, .. } => {
                    self.compared += times * step.len;
                }
                Action::Gather { quiet: true, .. } | Action::Encode { .. } | Action::Bytes(_) => {
                    self.recomputed += times * step.len;
                }
            }
        }
    }

    /// The counts for machines; the keys are a promise.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "shared": self.shared, "compared": self.compared, "recomputed": self.recomputed,
        })
    }
}
