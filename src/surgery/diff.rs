//! `ggraft diff`: what two GGUF files have in common, key by key and tensor by tensor.
//!
//! The second is planned to be the first: every tensor of the first is a range of the second. What extent maps show to be the same
//! blocks is not read. Knows files and bytes; of numbers only how far apart two are.

mod report;
mod sink;
mod values;

use std::collections::HashMap;
use std::path::Path;

use super::input::{Input, without_ones};
use crate::compare;
use crate::error::Result;
use crate::evaluate::{self, Refused, Sources};
use crate::gguf::Value;
use crate::plan::{Action, NO_SOURCE, Output, Step, Stored};
use sink::{Distances, Pair};

pub use report::{Difference, Key, State, Tensor};

/// Compares the files (or sets) at `a` and `b`. Tells `begin` how many bytes have to be read of each, which are all with `read_all`,
/// and `progress` of those as they are done.
///
/// # Errors
/// If something cannot be read, or [`Error::Interrupted`](crate::Error::Interrupted). A difference is none.
pub fn diff(
    a: &Path,
    b: &Path,
    read_all: bool,
    begin: &mut dyn FnMut(u64),
    progress: &mut dyn FnMut(u64),
) -> Result<Difference> {
    let (a, b) = (Input::set(a)?, Input::set(b)?);
    let (mut found, pairs) = pair(&a, &b);
    let files = a.sources.iter().zip(&pairs);
    let mut outputs: Vec<Output> =
        files.map(|(file, pairs)| output(file.path(), file.len(), pairs)).collect();
    if !read_all {
        compare::prove(&mut outputs, &a.sources, &b.sources)?;
    }
    for (output, pairs) in outputs.iter().zip(&pairs) {
        pairs.iter().for_each(|pair| found.count(pair, &output.steps));
    }
    begin(found.compared);
    let sink = Distances::new(&a.sources, &pairs);
    let sources = Sources::new(&b.sources, false);
    evaluate::run(&outputs, &sources, &Refused::all(outputs.len()), &sink, None, progress)?;
    for (tensor, distance) in sink.found() {
        found.tensors[tensor].differs(distance);
    }
    a.model.check_unchanged()?;
    b.model.check_unchanged()?;
    Ok(found)
}

/// What headers tell, and by file of `a`, in order, the tensors whose bytes can be held against each other.
fn pair(a: &Input, b: &Input) -> (Difference, Vec<Vec<Pair>>) {
    let mut found = Difference { keys: keys(a, b), ..Difference::default() };
    let mut theirs: HashMap<&str, &Stored> =
        b.tensors.iter().map(|tensor| (tensor.info.name.as_str(), tensor)).collect();
    let mut pairs: Vec<Vec<Pair>> = a.sources.iter().map(|_| Vec::new()).collect();
    for tensor in &a.tensors {
        let other = theirs.remove(tensor.info.name.as_str());
        if let Some(other) = other.filter(|other| same_layout(tensor, other)) {
            pairs[tensor.file].push(Pair {
                tensor: found.tensors.len(),
                at: tensor.offset,
                len: tensor.info.bytes,
                type_id: tensor.info.type_id,
                other: (other.file, other.offset),
            });
        }
        found.tensors.push(Tensor::new(Some(tensor), other));
    }
    let only_b = b.tensors.iter().filter(|tensor| theirs.contains_key(tensor.info.name.as_str()));
    found.tensors.extend(only_b.map(|tensor| Tensor::new(None, Some(tensor))));
    let has_same_order = a.tensors.iter().map(|t| &t.info.name).eq(b.tensors.iter().map(|t| &t.info.name));
    found.is_reordered = found.has_same_tensors() && !has_same_order;
    (found, pairs)
}

/// Whether bytes can be held against each other. Outermost dimensions of one element say nothing.
fn same_layout(a: &Stored, b: &Stored) -> bool {
    let (a, b) = (&a.info, &b.info);
    without_ones(&a.shape) == without_ones(&b.shape) && a.type_id == b.type_id && a.bytes == b.bytes
}

/// The file at `path` as it would be if `pairs` were equal; of what is between them nothing is said.
fn output(path: &Path, len: u64, pairs: &[Pair]) -> Output {
    let mut steps = Vec::with_capacity(2 * pairs.len());
    let mut at = 0;
    let mut clone = |start: u64, len: u64, file: usize, offset: u64| {
        let action = Action::Clone { file, offset };
        if len > 0 {
            steps.push(Step { start, len, action, reason: None });
        }
    };
    for pair in pairs {
        clone(at, pair.at - at, NO_SOURCE, 0);
        clone(pair.at, pair.len, pair.other.0, pair.other.1);
        at = pair.at + pair.len;
    }
    Output { path: path.to_owned(), len, data_start: 0, alignment: 1, tensors: Vec::new(), steps, like: None }
}

/// Key-values that differ, in the order of the first file, then of the second.
fn keys(a: &Input, b: &Input) -> Vec<Key> {
    let key = |name: &str, a: Option<&Value>, b: Option<&Value>| Key {
        name: name.to_owned(),
        a: a.cloned(),
        b: b.cloned(),
    };
    let differs = a
        .metadata
        .iter()
        .filter(|(name, value)| !b.metadata.get(name).is_some_and(|other| value.has_bits_of(other)));
    let mut keys: Vec<Key> =
        differs.map(|(name, value)| key(name, Some(value), b.metadata.get(name))).collect();
    let only_b = b.metadata.iter().filter(|(name, _)| a.metadata.get(name).is_none());
    keys.extend(only_b.map(|(name, value)| key(name, None, Some(value))));
    keys
}
