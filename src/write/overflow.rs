//! How many numbers of each tensor became infinite.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::plan::Output;

/// How many numbers became infinite, by the output file and the first byte that was converted.
#[derive(Debug, Default)]
pub struct Overflows(Mutex<BTreeMap<(usize, u64), u64>>);

impl Overflows {
    /// Adds `count` to those of what is at byte `start` of an output.
    pub fn add(&self, output: usize, start: u64, count: u64) {
        if count > 0 {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry((output, start)).or_default() += count;
        }
    }

    /// The names of the tensors concerned and how many of their numbers are, in file order.
    pub fn by_tensor(&self, outputs: &[Output]) -> Vec<(String, u64)> {
        let mut tensors: Vec<(String, u64)> = Vec::new();
        for ((output, start), count) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let placed = &outputs[*output].tensors;
            let after = placed.partition_point(|tensor| tensor.offset <= *start);
            let Some(tensor) = after.checked_sub(1).and_then(|at| placed.get(at)) else { continue };
            match tensors.last_mut() {
                Some((name, sum)) if *name == tensor.name => *sum += count,
                _ => tensors.push((tensor.name.clone(), *count)),
            }
        }
        tensors
    }
}
