//! A plan for machines. Its keys are a promise.

use std::borrow::Cow;
use std::io::{self, Write};
use std::ops::Range;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Explanation, steps_with_tensors};
use crate::checkpoint::SourceFile;
use crate::describe::Note;
use crate::plan::{self, Action, Kind, Output, Placed};
use crate::write::{Bytes, Shortfall};

#[derive(Serialize)]
struct Document<'a, S: Serialize, O: Serialize> {
    model: Cow<'a, str>,
    /// What source and destination offsets must agree modulo, in bytes.
    block: u64,
    sources: S,
    outputs: O,
    bytes: Value,
    reasons: Vec<Value>,
    advice: Vec<Value>,
    min_extents: Vec<Value>,
    /// What of the checkpoint is in no output.
    left_out: Vec<Value>,
}

#[derive(Serialize)]
struct Source<'a> {
    path: Cow<'a, str>,
    bytes: u64,
    data_start: u64,
}

#[derive(Serialize)]
struct File<'a, T: Serialize, S: Serialize> {
    path: Cow<'a, str>,
    bytes: u64,
    data_start: u64,
    alignment: u64,
    /// As `bytes` of the document.
    totals: Value,
    tensors: T,
    steps: S,
}

/// A list that is made while it is written: there may be a million steps.
struct Lazy<F>(F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for Lazy<F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq((self.0)())
    }
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    r#type: &'static str,
    /// Outermost dimension first.
    shape: &'a [u64],
    offset: u64,
    bytes: u64,
}

impl<'a> Source<'a> {
    fn of(file: &'a SourceFile) -> Self {
        Self { path: file.path.to_string_lossy(), bytes: file.len, data_start: file.data_start }
    }
}

impl<'a> Tensor<'a> {
    fn of(placed: &'a Placed) -> Self {
        let Placed { name, shape, dtype, offset, len } = placed;
        Self { name, r#type: dtype, shape, offset: *offset, bytes: *len }
    }
}

/// One range of an output. Where `file` is null nothing is read.
#[derive(Serialize)]
struct Step {
    start: u64,
    len: u64,
    action: &'static str,
    /// Index into `sources`.
    file: Option<usize>,
    /// The first byte that is read; if rows are rearranged, the others are not behind it.
    source_offset: Option<u64>,
    reason: Option<&'static str>,
    /// Index into the output's `tensors` of the first that has bytes in the range.
    tensor: Option<usize>,
    /// And of the last: one range may share several tensors.
    last_tensor: Option<usize>,
    /// For a pattern, what repeats.
    pattern: Option<Repeated>,
}

/// Steps that follow each other `count` times, each time `stride` bytes further on in the output.
#[derive(Serialize)]
struct Repeated {
    count: u64,
    stride: u64,
    /// How much further on each time what is shared is in its source, in bytes.
    source_stride: u64,
    /// The first time.
    steps: Vec<Step>,
}

impl Explanation<'_> {
    /// Writes the document, on one line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let document = Document {
            model: self.checkpoint.dir.path().to_string_lossy(),
            block: self.plan.block,
            sources: Lazy(|| self.checkpoint.files.iter().map(Source::of)),
            outputs: Lazy(|| self.plan.outputs.iter().map(file)),
            bytes: self.report.bytes.to_json(),
            reasons: self.report.reasons.iter().map(Shortfall::to_json).collect(),
            advice: self.advice.to_json(),
            min_extents: self.advice.extents_to_json(),
            left_out: self.notes.iter().map(Note::to_json).collect(),
        };
        serde_json::to_writer(&mut *out, &document)?;
        writeln!(out)
    }
}

fn file(output: &Output) -> impl Serialize {
    File {
        path: output.path.to_string_lossy(),
        bytes: output.len,
        data_start: output.data_start,
        alignment: output.alignment,
        totals: Bytes::of(output).to_json(),
        tensors: Lazy(move || output.tensors.iter().map(Tensor::of)),
        steps: Lazy(|| steps_with_tensors(output).map(|(part, tensors)| step(part, &tensors))),
    }
}

/// A step with bytes of `tensors`.
fn step(step: &plan::Step, tensors: &Range<usize>) -> Step {
    let source = step.source();
    let pattern = match &step.action {
        Action::Repeat(pattern) => Some(Repeated {
            count: pattern.count,
            stride: pattern.stride,
            source_stride: pattern.source_stride,
            steps: pattern.steps.iter().map(|inner| self::step(inner, tensors)).collect(),
        }),
        _ => None,
    };
    Step {
        start: step.start,
        len: step.len,
        action: step.kind().map_or("pattern", Kind::id),
        file: source.map(|(file, _)| file),
        source_offset: source.map(|(_, offset)| offset),
        reason: step.reason.map(|r| r.id()),
        tensor: tensors.clone().next(),
        last_tensor: tensors.clone().last(),
        pattern,
    }
}
