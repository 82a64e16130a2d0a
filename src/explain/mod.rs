//! `ggraft plan`: what a conversion would do with every byte, as tables, as JSON, and as a page to look at.
//!
//! Nothing here decides anything; it shows a [`Plan`] that is finished.

mod html;
mod json;
mod text;
mod tiles;

use crate::advice::Advice;
use crate::checkpoint::Checkpoint;
use crate::describe::Note;
use crate::plan::{Kind, Output, Plan, Reason, Step};
use crate::write::Report;

/// A plan with everything there is to say about it.
#[derive(Debug)]
pub struct Explanation<'a> {
    checkpoint: &'a Checkpoint,
    plan: &'a Plan,
    report: Report,
    advice: Advice,
    notes: &'a [Note],
    /// How many columns there are to show tables on; none for a file.
    columns: Option<usize>,
}

impl<'a> Explanation<'a> {
    /// Explains `plan`, which was made from `checkpoint` without what `notes` say.
    pub fn new(checkpoint: &'a Checkpoint, plan: &'a Plan, advice: Advice, notes: &'a [Note]) -> Self {
        Self { checkpoint, plan, report: Report::of(plan), advice, notes, columns: None }
    }

    /// The same for a terminal of so many columns: tables are wrapped.
    pub fn on(self, columns: Option<usize>) -> Self {
        Self { columns, ..self }
    }
}

/// The tensors of `output` that each step has bytes of, as a range of indices, next to the step. Empty for
/// headers and padding.
fn steps_with_tensors(output: &Output) -> impl Iterator<Item = (&Step, std::ops::Range<usize>)> {
    let end = |i: usize| output.tensors.get(i).map_or(u64::MAX, |t| t.offset + t.len);
    let mut first = 0;
    output.steps.iter().map(move |step| {
        while end(first) <= step.start {
            first += 1;
        }
        let mut last = first;
        while output.tensors.get(last).is_some_and(|t| t.offset < step.end()) {
            last += 1;
        }
        (step, first..last)
    })
}

/// What happens to the bytes of one tensor.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    /// Bytes by [`Kind`].
    bytes: [u64; Kind::ALL.len()],
    /// Why the longest range that is not shared is not, and its length in bytes.
    reason: Option<(Reason, u64)>,
    /// Where the first byte comes from: source file and offset.
    source: Option<(usize, u64)>,
}

/// The fate of every tensor of `output`, in its order.
fn fates(output: &Output) -> Vec<Fate> {
    let mut fates = vec![Fate::default(); output.tensors.len()];
    for (step, tensors) in steps_with_tensors(output) {
        for i in tensors {
            let (tensor, fate) = (&output.tensors[i], &mut fates[i]);
            let start = step.start.max(tensor.offset);
            if start == tensor.offset {
                fate.source = step.source().map(|(file, at)| (file, at + (start - step.start)));
            }
            // Patterns are within one tensor, and so are all places of their steps.
            for (step, times) in step.counted() {
                let start = step.start.max(tensor.offset);
                let len = step.end().min(tensor.offset + tensor.len).saturating_sub(start);
                if let Some(kind) = step.kind() {
                    fate.bytes[kind as usize] += times * len;
                }
                if let Some(reason) = step.reason
                    && fate.reason.is_none_or(|(_, longest)| len > longest)
                {
                    fate.reason = Some((reason, len));
                }
            }
        }
    }
    fates
}

/// `part` of `whole` in percent, with as many digits as it takes to tell small parts from nothing.
fn percent(part: u64, whole: u64) -> String {
    let percent = 100.0 * part as f64 / whole.max(1) as f64;
    match percent {
        _ if part == 0 => "0 %".into(),
        _ if part == whole => "100 %".into(),
        p if p < 0.01 => "<0.01 %".into(),
        p if p > 99.99 => ">99.99 %".into(),
        p if !(1.0..=99.0).contains(&p) => format!("{p:.2} %"),
        p => format!("{p:.1} %"),
    }
}

#[cfg(test)]
mod tests;
