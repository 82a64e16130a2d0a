//! Ranges of an output file to draw: its steps, or, where there are too many to tell apart on any
//! screen, neighbours taken together.

use crate::plan::{Kind, Output, Plan, Step};

/// Most ranges drawn for all files together: more than a screen has pixels, few enough for a small page.
const MOST: usize = 40_000;

/// A range to draw.
#[derive(Clone, Copy, Debug)]
pub enum Tile<'a> {
    /// One step as it is, and what happens to it.
    One(&'a Step, Kind),
    /// Several steps, taken together.
    Many {
        /// How many.
        steps: u64,
        /// Their bytes by [`Kind`].
        bytes: [u64; Kind::ALL.len()],
        /// The first of them.
        first: &'a Step,
    },
}

/// The tiles of every output.
pub fn tiles(plan: &Plan) -> Vec<Vec<Tile<'_>>> {
    let mut coarseness = 0u64;
    loop {
        let tiles: Vec<Vec<Tile>> = plan.outputs.iter().map(|o| merge(o, coarseness)).collect();
        // A range as long as the longest file holds all of it, so this ends.
        let least = plan.outputs.len();
        if tiles.iter().map(Vec::len).sum::<usize>() <= MOST.max(least) || coarseness == u64::MAX {
            return tiles;
        }
        coarseness = coarseness.saturating_mul(2).max(4096);
    }
}

/// Joins neighbours shorter than `coarseness` bytes until together they are as long.
fn merge(output: &Output, coarseness: u64) -> Vec<Tile<'_>> {
    let mut tiles = Vec::new();
    let mut open: Option<Tile> = None;
    let mut length = 0;
    for step in &output.steps {
        if step.len >= coarseness {
            tiles.extend(open.take());
            tiles.push(Tile::of(step));
            continue;
        }
        length = if open.is_some() { length + step.len } else { step.len };
        open = Some(match open.take() {
            None => Tile::of(step),
            Some(tile) => tile.and(step),
        });
        if length >= coarseness {
            tiles.extend(open.take());
        }
    }
    tiles.extend(open);
    tiles
}

impl<'a> Tile<'a> {
    fn of(step: &'a Step) -> Self {
        match step.kind() {
            Some(kind) => Self::One(step, kind),
            None => Self::Many { steps: places(step), bytes: step.bytes_by_kind(), first: step },
        }
    }

    fn and(self, step: &'a Step) -> Self {
        let (steps, mut bytes, first) = match self {
            Self::One(one, _) => (1, one.bytes_by_kind(), one),
            Self::Many { steps, bytes, first } => (steps, bytes, first),
        };
        bytes.iter_mut().zip(step.bytes_by_kind()).for_each(|(sum, more)| *sum += more);
        Self::Many { steps: steps + places(step), bytes, first }
    }
}

/// At how many places the steps of `step` are.
fn places(step: &Step) -> u64 {
    step.counted().map(|(_, times)| times).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Action, Pattern};

    fn output(lens: &[u64]) -> Output {
        let mut start = 0;
        let steps = lens.iter().map(|&len| {
            start += len;
            Step { start: start - len, len, action: Action::Zero, reason: None }
        });
        let steps: Vec<Step> = steps.collect();
        Output {
            path: "".into(),
            len: start,
            data_start: 0,
            alignment: 32,
            tensors: vec![],
            steps,
            like: None,
        }
    }

    fn lens(tiles: &[Tile]) -> Vec<u64> {
        let len = |tile: &Tile| match tile {
            Tile::One(step, _) => step.len,
            Tile::Many { bytes, .. } => bytes.iter().sum(),
        };
        tiles.iter().map(len).collect()
    }

    #[test]
    fn short_neighbours_are_taken_together() {
        assert_eq!(lens(&merge(&output(&[1, 2, 3, 20, 4, 9, 1, 30]), 10)), [6, 20, 13, 1, 30]);
        assert_eq!(lens(&merge(&output(&[1, 2, 3]), 0)), [1, 2, 3]);
        assert_eq!(lens(&merge(&output(&[4, 4, 4, 4, 4, 4]), 12)), [12, 12]);
    }

    /// A pattern of one copy and one hole, five times over, is ten steps.
    #[test]
    fn steps_that_repeat_count_as_often() {
        let step = |start, len, action| Step { start, len, action, reason: None };
        let inner = vec![step(7, 2, Action::Copy { file: 0, offset: 0 }), step(9, 1, Action::Zero)];
        let pattern = Pattern { count: 5, stride: 3, source_stride: 2, steps: inner };
        let mut file = output(&[7]);
        file.steps.push(step(7, 15, Action::Repeat(pattern.into())));
        let alone = merge(&file, 0);
        assert!(matches!(alone[1], Tile::Many { steps: 10, .. }), "{alone:?}");
        let together = merge(&file, 16);
        assert!(matches!(together[..], [Tile::Many { steps: 11, .. }]), "{together:?}");
        assert_eq!(lens(&together), [22]);
    }

    #[test]
    fn there_are_never_too_many() {
        let file = output(&vec![5000; MOST]);
        let plan = Plan { sources: vec![], block: 4096, refusal: None, outputs: vec![file.clone(), file] };
        let tiles = tiles(&plan);
        let count: usize = tiles.iter().map(Vec::len).sum();
        assert!(count <= MOST && count > MOST / 4, "{count}");
        assert!(tiles.iter().all(|t| lens(t).iter().sum::<u64>() == 5000 * MOST as u64));
    }
}
