//! Which clones of a plan are none after all.

use std::collections::BTreeMap;
use std::iter;
use std::ops::Range;

/// Clones whose bytes have to be computed, by output and number among all clones of that output, in order. What is refused
/// is mostly refused all along, so that few ranges say it of millions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused(BTreeMap<usize, Vec<Range<u64>>>);

impl Refused {
    /// All clones of so many outputs.
    pub fn all(outputs: usize) -> Self {
        Self((0..outputs).map(|output| (output, iter::once(0..u64::MAX).collect())).collect())
    }

    /// Adds clone `number` of an output; those before it have been added before.
    pub fn add(&mut self, output: usize, number: u64) {
        let ranges = self.0.entry(output).or_default();
        match ranges.last_mut().filter(|last| last.end == number) {
            Some(last) => last.end += 1,
            None => ranges.push(number..number + 1),
        }
    }

    /// Whether clone `number` of an output is among them.
    pub fn contains(&self, output: usize, number: u64) -> bool {
        let Some(ranges) = self.0.get(&output) else { return false };
        let next = ranges.partition_point(|range| range.end <= number);
        ranges.get(next).is_some_and(|range| range.contains(&number))
    }
}
