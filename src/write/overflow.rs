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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Placed;

    /// An output of tensors of these names that begin at these bytes.
    fn output(tensors: &[(&str, u64)]) -> Output {
        let placed = |(name, offset): &(&str, u64)| Placed {
            name: (*name).to_owned(),
            shape: vec![1],
            dtype: "F16",
            offset: *offset,
            len: 10,
        };
        Output {
            path: "".into(),
            len: 1000,
            data_start: 100,
            alignment: 1,
            tensors: tensors.iter().map(placed).collect(),
            steps: Vec::new(),
            like: None,
        }
    }

    #[test]
    fn counts_are_added_up_tensor_by_tensor_in_file_order() {
        let outputs = [output(&[("a", 100), ("b", 110), ("c", 120)]), output(&[("d", 100)])];
        let overflows = Overflows::default();
        for (output, start, count) in
            [(1, 105, 6), (0, 129, 5), (0, 110, 1), (0, 115, 2), (0, 115, 2), (0, 100, 0), (0, 120, 4)]
        {
            overflows.add(output, start, count);
        }
        let expected = [("b", 5), ("c", 9), ("d", 6)].map(|(name, count)| (name.to_owned(), count));
        assert_eq!(overflows.by_tensor(&outputs), expected);
        assert!(Overflows::default().by_tensor(&outputs).is_empty());
    }
}
