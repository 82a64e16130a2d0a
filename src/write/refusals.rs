//! Clones that a file system refuses when they are made, though it had agreed to share.

use std::collections::{BTreeMap, BTreeSet};

use crate::evaluate::Refused;
use crate::plan::{Output, Spot};

/// What was refused.
#[derive(Debug, Default)]
pub struct Refusals {
    /// The clones, which became copies.
    pub clones: Refused,
    /// The same by what the file system said.
    pub reasons: BTreeMap<String, Refusal>,
}

/// What was refused for one reason.
#[derive(Debug, Default)]
pub struct Refusal {
    /// In bytes.
    pub bytes: u64,
    /// The tensors concerned, by output and index.
    pub tensors: BTreeSet<(usize, usize)>,
}

impl Refusals {
    /// Adds the clone at `spot`, by index and contents of its output and its number among the clones there.
    pub fn add(&mut self, (index, output): (usize, &Output), number: u64, spot: Spot, reason: &str) {
        self.clones.add(index, number);
        if !self.reasons.contains_key(reason) {
            self.reasons.insert(reason.to_owned(), Refusal::default());
        }
        let Some(refusal) = self.reasons.get_mut(reason) else { return };
        refusal.bytes += spot.step.len;
        // One clone can be of several tensors, and a tensor of several clones.
        let first = output.tensors.partition_point(|t| t.offset + t.len <= spot.start());
        let end = output.tensors.partition_point(|t| t.offset < spot.end());
        refusal.tensors.extend((first..end).map(|tensor| (index, tensor)));
    }
}
