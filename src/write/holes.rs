//! Holes of a checkpoint stay holes when it is rewritten, as `cp` keeps them: nothing is read or written for them.

use std::fs;

use ggraft_platform::next_data;

use crate::error::Result;
use crate::plan::{Action, Plan, Step};
use crate::source::File;

/// Shorter holes are copied as the zeros they read as.
const SMALLEST: u64 = 1 << 20;

/// Replaces copies of holes in `sources`, which are those of `plan`, by zeros, which a new file consists of.
///
/// # Errors
/// [`Error::Io`] if a source cannot be opened.
pub fn keep(plan: &mut Plan, sources: &[File]) -> Result<()> {
    for output in &mut plan.outputs {
        let mut kept = Vec::with_capacity(output.steps.len());
        for step in std::mem::take(&mut output.steps) {
            match &step.action {
                Action::Copy { file, .. } if step.len >= SMALLEST => {
                    kept.extend(without_holes(&step, &*sources[*file].handle()?));
                }
                _ => kept.push(step),
            }
        }
        output.steps = kept;
    }
    Ok(())
}

/// `step`, cut where its source has holes.
fn without_holes(step: &Step, file: &fs::File) -> Vec<Step> {
    let Action::Copy { file: index, offset: source } = step.action else { return vec![step.clone()] };
    let (mut steps, mut at) = (Vec::new(), 0);
    let mut push = |start: u64, end: u64, hole: bool| {
        if end > start {
            let copy = Action::Copy { file: index, offset: source + start };
            let (action, reason) = if hole { (Action::Zero, None) } else { (copy, step.reason) };
            steps.push(Step { start: step.start + start, len: end - start, action, reason });
        }
    };
    while at < step.len {
        // Where the file system does not know, all is data.
        let data = next_data(file, source + at).unwrap_or(Some(source + at..u64::MAX));
        let (from, to) = data.map_or((u64::MAX, u64::MAX), |data| (data.start, data.end));
        let from = from.saturating_sub(source).clamp(at, step.len);
        let from = if from - at < SMALLEST && from < step.len { at } else { from };
        let to = to.saturating_sub(source).clamp(from, step.len);
        push(at, from, true);
        push(from, to, false);
        at = to;
    }
    steps
}
