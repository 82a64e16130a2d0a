//! What a conversion did, in bytes, and why what was not shared was not.

use std::collections::{BTreeMap, HashSet};
use std::ops::AddAssign;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::refusals::Refusals;
use crate::compare::Comparison;
use crate::plan::{Kind, Output, Plan, Reason};

/// The outcome of a conversion. What was planned, except `measured`, which is the extent map's word.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The files, in split order.
    pub outputs: Vec<Written>,
    /// Bytes by origin.
    pub bytes: Bytes,
    /// What the extent maps of all outputs say; none if a file system has none.
    pub measured: Option<Measured>,
    /// Bytes of tensors that were not shared, by reason, largest first.
    pub reasons: Vec<Shortfall>,
    /// How the files were compared with what they were made of, if they were.
    pub verified: Option<Comparison>,
    /// Tensors with finite numbers beyond those of F16, which became infinite, and how many.
    pub overflows: Vec<(String, u64)>,
}

/// A finished file.
#[derive(Clone, Debug)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
}

/// Bytes of all outputs by what happened to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// All of them.
    pub total: u64,
    /// Shared with the checkpoint.
    pub cloned: u64,
    /// Written with unchanged values.
    pub copied: u64,
    /// Written in another type, or generated.
    pub converted: u64,
    /// Headers: key-values (tokenizer included) and tensor infos.
    pub header: u64,
    /// Zeros between tensors.
    pub padding: u64,
}

/// Bytes on disk according to the extent map.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// In extents that other files refer to as well.
    pub shared: u64,
    /// In extents of the output alone.
    pub unique: u64,
}

/// Tensor bytes that were not shared for one reason.
#[derive(Clone, Debug)]
pub struct Shortfall {
    /// Stable identifier, see [`Reason::id`].
    pub reason: &'static str,
    /// The reason in words.
    pub explanation: String,
    /// How many bytes of the outputs.
    pub bytes: u64,
    /// How many tensors they belong to.
    pub tensors: u64,
}

impl Report {
    /// What `plan` will do.
    pub fn of(plan: &Plan) -> Self {
        let mut report = Self::default();
        let mut reasons: BTreeMap<Reason, (u64, u64)> = BTreeMap::new();
        for output in &plan.outputs {
            report.outputs.push(Written { path: output.path.clone(), bytes: output.len });
            report.bytes.add(output);
            let mut seen = HashSet::new();
            for (step, times) in output.counted() {
                let Some(reason) = step.reason else { continue };
                let tensor = output.tensors.partition_point(|t| t.offset <= step.start);
                let entry = reasons.entry(reason).or_default();
                entry.0 += times * step.len;
                entry.1 += u64::from(seen.insert((reason, tensor)));
            }
        }
        report.measured = Some(Measured::default());
        report.reasons = reasons
            .into_iter()
            .map(|(reason, (bytes, tensors))| Shortfall {
                reason: reason.id(),
                explanation: plan
                    .refusal
                    .clone()
                    .filter(|_| reason == Reason::CannotShare)
                    .unwrap_or_else(|| reason.explain().into()),
                bytes,
                tensors,
            })
            .collect();
        report.sort();
        report
    }

    /// Adds what the extent map of one finished output says: bytes shared and not; none if there is no map.
    pub(super) fn measure(&mut self, usage: Option<(u64, u64)>) {
        self.measured = self.measured.zip(usage).map(|(sum, (shared, unique))| Measured {
            shared: sum.shared + shared,
            unique: sum.unique + unique,
        });
    }

    /// Clones were refused after all, and became copies.
    pub(super) fn refused(&mut self, refusals: &Refusals) {
        for (why, refusal) in &refusals.reasons {
            let (bytes, tensors) = (refusal.bytes, refusal.tensors.len() as u64);
            self.bytes.cloned -= bytes;
            self.bytes.copied += bytes;
            self.reasons.push(Shortfall { reason: "refused", explanation: why.clone(), bytes, tensors });
        }
        self.sort();
    }

    fn sort(&mut self) {
        self.reasons.sort_by_key(|s| std::cmp::Reverse(s.bytes));
    }

    /// The report for machines; its keys are a promise.
    pub fn to_json(&self) -> Value {
        json!({
            "outputs": self.outputs.iter()
                .map(|o| json!({"path": o.path.to_string_lossy(), "bytes": o.bytes})).collect::<Vec<_>>(),
            "bytes": self.bytes.to_json(),
            "measured": {
                "shared": self.measured.map(|m| m.shared), "unique": self.measured.map(|m| m.unique),
            },
            "reasons": self.reasons.iter().map(Shortfall::to_json).collect::<Vec<_>>(),
            "verified": self.verified.as_ref().map(Comparison::to_json),
        })
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.cloned += other.cloned;
        self.copied += other.copied;
        self.converted += other.converted;
        self.header += other.header;
        self.padding += other.padding;
    }
}

impl Bytes {
    /// What happens to the bytes of one output.
    pub fn of(output: &Output) -> Self {
        let mut bytes = Self::default();
        bytes.add(output);
        bytes
    }

    fn add(&mut self, output: &Output) {
        self.total += output.len;
        for step in &output.steps {
            for (kind, bytes) in Kind::ALL.into_iter().zip(step.bytes_by_kind()) {
                *match kind {
                    Kind::Shared => &mut self.cloned,
                    Kind::Copied => &mut self.copied,
                    Kind::Converted | Kind::Generated => &mut self.converted,
                    Kind::Header => &mut self.header,
                    Kind::Padding => &mut self.padding,
                } += bytes;
            }
        }
    }

    /// The counts for machines; the keys are a promise.
    pub fn to_json(&self) -> Value {
        json!({
            "total": self.total, "cloned": self.cloned, "copied": self.copied,
            "converted": self.converted, "header": self.header, "padding": self.padding,
        })
    }
}

impl Shortfall {
    /// The shortfall for machines; its keys are a promise.
    pub fn to_json(&self) -> Value {
        json!({
            "reason": self.reason, "explanation": self.explanation,
            "bytes": self.bytes, "tensors": self.tensors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_add_kind_by_kind() {
        let mut sum = Bytes { total: 210, cloned: 100, copied: 50, converted: 30, header: 20, padding: 10 };
        sum += Bytes { total: 21, cloned: 6, copied: 5, converted: 4, header: 3, padding: 3 };
        let expected = Bytes { total: 231, cloned: 106, copied: 55, converted: 34, header: 23, padding: 13 };
        assert_eq!(sum, expected);
    }
}
