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

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    /// Data of 1 MiB, a hole of 2, half a MiB of data, a hole of as much, 1 MiB of data, and a hole of 3.
    fn sparse() -> fs::File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8 * MIB).unwrap();
        for (start, end) in [(0, MIB), (3 * MIB, 3 * MIB + 512 * KIB), (4 * MIB, 5 * MIB)] {
            file.write_all_at(&vec![1; (end - start) as usize], start).unwrap();
        }
        file
    }

    /// Start, length and, if it is copied, offset in the source of what becomes of `len` bytes from `offset` on that go to
    /// byte 1000 of an output.
    fn cut(offset: u64, len: u64) -> Vec<(u64, u64, Option<u64>)> {
        let action = Action::Copy { file: 5, offset };
        let step = Step { start: 1000, len, action, reason: Some(crate::plan::Reason::Edge) };
        let steps = without_holes(&step, &sparse()).into_iter();
        let place = |step: Step| match step.action {
            Action::Copy { file: 5, offset } => {
                assert_eq!(step.reason, Some(crate::plan::Reason::Edge));
                (step.start, step.len, Some(offset))
            }
            Action::Zero if step.reason.is_none() => (step.start, step.len, None),
            _ => panic!("{step:?}"),
        };
        steps.map(place).collect()
    }

    #[test]
    fn long_holes_are_not_copied() {
        let expected = [
            (1000, 512 * KIB, Some(512 * KIB)),
            (1000 + 512 * KIB, 2 * MIB, None),
            (1000 + 2 * MIB + 512 * KIB, 512 * KIB, Some(3 * MIB)),
            (1000 + 3 * MIB, MIB + 512 * KIB, Some(3 * MIB + 512 * KIB)),
            (1000 + 4 * MIB + 512 * KIB, 3 * MIB, None),
        ];
        assert_eq!(
            cut(512 * KIB, 7 * MIB + 512 * KIB),
            expected,
            "a short hole is read as the zeros that it is"
        );
        assert_eq!(cut(4 * MIB, MIB), [(1000, MIB, Some(4 * MIB))], "all of it is data");
        assert_eq!(cut(6 * MIB, MIB), [(1000, MIB, None)], "all of it is a hole");
        let ends = [(1000, MIB, Some(4 * MIB)), (1000 + MIB, 64 * KIB, None)];
        assert_eq!(cut(4 * MIB, MIB + 64 * KIB), ends, "what is left at the end");
        let just = [(1000, MIB, None), (1000 + MIB, 64 * KIB, Some(3 * MIB))];
        assert_eq!(cut(2 * MIB, MIB + 64 * KIB), just, "a hole that is just long enough");
        let begins = [(1000, MIB - 1 + 64 * KIB, Some(2 * MIB + 1))];
        assert_eq!(cut(2 * MIB + 1, MIB - 1 + 64 * KIB), begins, "one that is a byte too short");
    }
}
