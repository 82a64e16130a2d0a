//! What `ggraft diff` found, for people and for machines.

use std::io::{self, Write};

use indicatif::DecimalBytes;
use serde_json::{Value as Json, json};

use super::sink::Pair;
use super::values::Distance;
use crate::ggml_types::TypeInfo;
use crate::gguf::{LAYOUT_KEYS, Value};
use crate::input::{counted, one_line};
use crate::inspect::{value_json, value_text};
use crate::plan::{Action, NO_SOURCE, Step, Stored};

/// What differs between two files.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    /// Keys with other values, or in one of the files only.
    pub keys: Vec<Key>,
    /// All tensors, in the order of the first file, then those that only the second has.
    pub tensors: Vec<Tensor>,
    /// Whether both have the same tensors in different orders.
    pub is_reordered: bool,
    /// Bytes of tensors that are the same blocks on the disk, or holes in both.
    pub shared: u64,
    /// Bytes of tensors that were read in both files.
    pub compared: u64,
}

/// A key whose value differs.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// What the first file has.
    pub a: Option<Value>,
    /// What the second file has.
    pub b: Option<Value>,
}

/// A tensor of either file.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// How the two compare.
    pub state: State,
    /// Its length in the first file that has it, in bytes.
    pub bytes: u64,
    /// Bytes that are the same blocks on the disk, or holes in both.
    pub shared: u64,
    distance: Distance,
    problem: Option<String>,
}

/// How a tensor compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    /// All of it is the same blocks.
    Shared,
    /// Every byte is equal.
    Equal,
    /// Some bytes are not.
    Differs,
    /// Type or shape is another.
    Incomparable,
    OnlyInA,
    OnlyInB,
}

impl Key {
    /// Whether it tells of layout only.
    pub fn is_layout(&self) -> bool {
        LAYOUT_KEYS.contains(&self.name.as_str())
    }
}

impl Tensor {
    /// Before its bytes are compared: all of them are taken to be shared.
    pub(super) fn new(a: Option<&Stored>, b: Option<&Stored>) -> Self {
        let (name, bytes) =
            a.or(b).map_or((String::new(), 0), |tensor| (tensor.info.name.clone(), tensor.info.bytes));
        let kind = |t: &Stored| {
            let name = TypeInfo::of(t.info.type_id)
                .map_or_else(|| format!("type {}", t.info.type_id), |k| k.name.into());
            format!("{name} {:?}", t.info.shape)
        };
        let (state, problem) = match (a, b) {
            (Some(a), Some(b)) if !super::same_layout(a, b) => {
                (State::Incomparable, Some(format!("{} and {}", kind(a), kind(b))))
            }
            (Some(_), Some(_)) => (State::Shared, None),
            (Some(_), None) => (State::OnlyInA, None),
            (None, _) => (State::OnlyInB, None),
        };
        let shared = if state == State::Shared { bytes } else { 0 };
        Self { name, state, bytes, shared, distance: Distance::default(), problem }
    }

    /// Some of its bytes are not equal.
    pub(super) fn differs(&mut self, distance: Distance) {
        (self.distance, self.state) = (distance, State::Differs);
    }

    /// The largest difference of two of its numbers; none if nothing differs, or its type's numbers do not stand alone.
    pub fn largest_difference(&self) -> Option<f64> {
        self.distance.largest
    }

    /// How many of its bytes differ.
    pub fn differing(&self) -> u64 {
        self.distance.bytes
    }

    fn to_json(&self) -> Json {
        let number = |x: f64| if x.is_finite() { json!(x) } else { json!(x.to_string()) };
        json!({
            "name": self.name, "state": self.state.id(), "bytes": self.bytes, "shared": self.shared,
            "differing": self.differing(), "first": self.distance.first,
            "largest_difference": self.distance.largest.map(number), "problem": self.problem,
        })
    }
}

impl State {
    /// A word for machines.
    pub fn id(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Equal => "equal",
            Self::Differs => "differs",
            Self::Incomparable => "incomparable",
            Self::OnlyInA => "only-in-a",
            Self::OnlyInB => "only-in-b",
        }
    }

    fn is_same(self) -> bool {
        matches!(self, Self::Shared | Self::Equal)
    }
}

impl Difference {
    /// Whether both are the same model: keys about layout and the order of tensors do not count.
    pub fn is_equal(&self) -> bool {
        self.differences() == 0
    }

    /// Counts what `steps` of the file that `pair` is in have left to be read of it.
    pub(super) fn count(&mut self, pair: &Pair, steps: &[Step]) {
        let (start, end) = (pair.at, pair.at + pair.len);
        let first = steps.partition_point(|step| step.start + step.len <= start);
        let own = steps[first..].iter().take_while(|step| step.start < end);
        let unproven = own.filter(|step| !matches!(step.action, Action::Clone { file: NO_SOURCE, .. }));
        let within = |step: &Step| (step.start + step.len).min(end) - step.start.max(start);
        let compared: u64 = unproven.map(within).sum();
        let tensor = &mut self.tensors[pair.tensor];
        tensor.shared = pair.len - compared;
        tensor.state = if compared > 0 { State::Equal } else { State::Shared };
        self.compared += compared;
        self.shared += tensor.shared;
    }

    pub(super) fn has_same_tensors(&self) -> bool {
        !self.tensors.iter().any(|tensor| matches!(tensor.state, State::OnlyInA | State::OnlyInB))
    }

    /// How many differences there are, layout aside.
    pub fn differences(&self) -> usize {
        let keys = self.keys.iter().filter(|key| !key.is_layout()).count();
        keys + self.tensors.iter().filter(|tensor| !tensor.state.is_same()).count()
    }

    /// For people: what differs, and a summary.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for key in &self.keys {
            let name = one_line(&key.name);
            let layout = if key.is_layout() { " (layout)" } else { "" };
            for (sign, value) in [('-', &key.a), ('+', &key.b)] {
                if let Some((kind, text)) = value.as_ref().map(value_text) {
                    writeln!(out, "{sign} {name} = {kind} {text}{layout}")?;
                }
            }
        }
        for tensor in self.tensors.iter().filter(|tensor| !tensor.state.is_same()) {
            let name = one_line(&tensor.name);
            match (tensor.state, &tensor.problem) {
                (State::OnlyInA, _) => writeln!(out, "- tensor {name}")?,
                (State::OnlyInB, _) => writeln!(out, "+ tensor {name}")?,
                (_, Some(problem)) => writeln!(out, "! tensor {name}: {problem}")?,
                _ => {
                    let (differing, all) = (tensor.differing(), tensor.bytes);
                    write!(out, "! tensor {name}: {differing} of {all} bytes differ")?;
                    match tensor.largest_difference() {
                        Some(largest) => writeln!(out, ", by at most {largest:e}")?,
                        None => writeln!(out)?,
                    }
                }
            }
        }
        if self.is_reordered {
            writeln!(out, "tensors are in another order")?;
        }
        let count = |state: State| self.tensors.iter().filter(|tensor| tensor.state == state).count();
        let (shared, equal, all) = (count(State::Shared), count(State::Equal), self.tensors.len());
        writeln!(
            out,
            "{}: {shared} in the same blocks, {equal} equal, {} different; {} shared, {} compared",
            counted(all, "tensor"),
            all - shared - equal,
            DecimalBytes(self.shared),
            DecimalBytes(self.compared)
        )
    }

    /// For machines; the keys are a promise.
    pub fn to_json(&self) -> Json {
        let value = |value: &Option<Value>| {
            value.as_ref().map(|value| json!({"type": value.type_name(), "value": value_json(value)}))
        };
        let key = |key: &Key| json!({"key": key.name, "layout": key.is_layout(), "a": value(&key.a), "b": value(&key.b)});
        json!({
            "equal": self.is_equal(),
            "keys": self.keys.iter().map(key).collect::<Vec<_>>(),
            "tensors": self.tensors.iter().map(Tensor::to_json).collect::<Vec<_>>(),
            "reordered": self.is_reordered,
            "bytes": {"shared": self.shared, "compared": self.compared},
        })
    }
}
