//! Walks whose neighbours in the output lie far apart in the source (transposes) are cut into boxes that are
//! long enough along both: each is read in long runs, rearranged in memory, and written in long runs.

use crate::dtype::Dtype;
use crate::plan::{Walk, gcd};
use crate::tensor::{Dim, Dims};

/// A walk cut into boxes.
pub struct Tiling {
    /// Length of a box along each loop; the last one along a loop may be shorter.
    lens: Vec<u64>,
    /// How many boxes there are along each loop.
    counts: Vec<u64>,
}

/// One box: where it starts along each loop of the walk, and how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    start: Vec<u64>,
    lens: Vec<u64>,
}

impl Tiling {
    /// Cuts `walk` into boxes of about `budget` elements, whose runs in the output are a whole number of blocks
    /// of `block` elements. None if that is impossible; then the walk's last loop alone is no whole number
    /// of blocks.
    pub fn new(walk: &Walk, block: u64, budget: u64) -> Option<Self> {
        let dims = &walk.dims;
        // What a length along each loop must be a multiple of, unless it is all of it.
        let (mut granules, mut run) = (vec![1; dims.len()], 1u64);
        for (granule, dim) in granules.iter_mut().zip(dims).rev() {
            let needed = block / gcd(block, run);
            *granule = if dim.len.is_multiple_of(needed) { needed } else { dim.len };
            run = run.saturating_mul(dim.len);
        }
        let mut lens = granules.clone();
        let grow = |lens: &mut [u64], i: usize, wanted: u64| {
            lens[i] = wanted.next_multiple_of(granules[i]).min(dims[i].len).max(lens[i]);
        };

        let (along_output, along_source) = (budget.isqrt(), budget.isqrt());
        let mut run = 1u64;
        for i in (0..dims.len()).rev() {
            grow(&mut lens, i, along_output.div_ceil(run));
            run = run.saturating_mul(lens[i]);
            if lens[i] < dims[i].len {
                break;
            }
        }
        let mut run = 1u64;
        for i in by_stride(dims) {
            if dims[i].stride != run {
                break;
            }
            grow(&mut lens, i, along_source.div_ceil(run));
            run = run.saturating_mul(lens[i]);
        }
        // What is left is best spent on longer runs of the output.
        for i in (0..dims.len()).rev() {
            let elements = lens.iter().fold(1u64, |n, len| n.saturating_mul(*len));
            let wanted = lens[i].saturating_mul(budget / elements.max(1));
            grow(&mut lens, i, wanted / granules[i] * granules[i]);
            if lens[i] < dims[i].len {
                break;
            }
        }
        let elements = lens.iter().fold(1u64, |n, len| n.saturating_mul(*len));
        let counts = dims.iter().zip(&lens).map(|(dim, len)| dim.len.div_ceil(*len)).collect();
        (elements <= 4 * budget).then_some(Self { lens, counts })
    }

    /// Number of boxes.
    pub fn count(&self) -> u64 {
        self.counts.iter().product()
    }

    /// Box `index` of `walk`; their order is that of their first elements in the output.
    pub fn tile(&self, walk: &Walk, mut index: u64) -> Tile {
        let mut tile = Tile { start: vec![0; self.lens.len()], lens: self.lens.clone() };
        for (i, count) in self.counts.iter().enumerate().rev() {
            tile.start[i] = index % count * self.lens[i];
            tile.lens[i] = self.lens[i].min(walk.dims[i].len - tile.start[i]);
            index /= count;
        }
        tile
    }
}

impl Tile {
    /// The smallest box of whole inner loops around `count` elements of `walk` from `first` on, how many of its elements come before
    /// them, and how many there are for a step of its outermost loop. `count` is at least 1.
    pub fn around(walk: &Walk, first: u64, count: u64) -> (Self, u64, u64) {
        let n = walk.dims.len();
        let (mut start, mut lens) = (vec![0; n], vec![1; n]);
        let (mut from, mut to) = (first, first + count - 1);
        // Until nothing but the loops outside of the box is left, the same for both.
        let (mut inner, mut step) = (1, 1);
        for i in (0..n).rev() {
            let len = walk.dims[i].len;
            let (low, high) = (from % len, to % len);
            (from, to) = (from / len, to / len);
            if from == to {
                (start[i], lens[i], step) = (low, high - low + 1, inner);
                for j in (0..i).rev() {
                    start[j] = from % walk.dims[j].len;
                    from /= walk.dims[j].len;
                }
                break;
            }
            (lens[i], inner) = (len, inner * len);
        }
        (Self { start, lens }, first % step, step)
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.lens.iter().product()
    }

    /// Its elements in the order they have in the source.
    pub fn in_source_order(&self, walk: &Walk) -> Walk {
        let skipped: u64 = walk.dims.iter().zip(&self.start).map(|(dim, start)| dim.stride * start).sum();
        let mut dims = Dims::new();
        for i in by_stride(&walk.dims) {
            let (len, stride) = (self.lens[i], walk.dims[i].stride);
            match dims.last_mut() {
                _ if len == 1 => {}
                Some(inner) if inner.len * inner.stride == stride => inner.len *= len,
                _ => dims.push(Dim { len, stride }),
            }
        }
        dims.reverse();
        Walk {
            offset: walk.offset + if walk.codes.is_some() { 0 } else { skipped * walk.dtype.size() },
            first: walk.first + skipped,
            dims,
            ..walk.clone()
        }
    }

    /// Its elements along the output, outermost first: number of steps, and their distance among the
    /// elements in source order.
    pub fn steps(&self, walk: &Walk) -> Vec<(usize, usize)> {
        let mut steps = vec![(0, 0); self.lens.len()];
        let mut packed = 1;
        for i in by_stride(&walk.dims) {
            steps[i] = (self.lens[i] as usize, packed);
            packed *= self.lens[i] as usize;
        }
        steps.retain(|(len, _)| *len > 1);
        steps
    }

    /// Its runs in the output: their length, and the first element of each.
    pub fn runs(&self, walk: &Walk) -> (u64, Vec<u64>) {
        let (mut run, mut split) = (1, self.lens.len());
        while split > 0 && (split == self.lens.len() || self.lens[split] == walk.dims[split].len) {
            split -= 1;
            run *= self.lens[split];
        }
        let mut distance: u64 = walk.dims[split..].iter().map(|dim| dim.len).product();
        let mut at = self.start[split..]
            .iter()
            .zip(&walk.dims[split..])
            .fold(0, |at, (start, dim)| at * dim.len + start);
        let mut firsts = vec![0];
        for i in (0..split).rev() {
            at += self.start[i] * distance;
            firsts = (0..self.lens[i])
                .flat_map(|n| firsts.iter().map(move |f| (n, *f)))
                .map(|(n, f)| f + n * distance)
                .collect();
            distance *= walk.dims[i].len;
        }
        firsts.iter_mut().for_each(|first| *first += at);
        (run, firsts)
    }
}

/// Copies the elements of `from` to `to` in the order of nested loops with these lengths and steps.
pub fn rearrange<T: Copy>(from: &[T], to: &mut [T], steps: &[(usize, usize)]) {
    let Some((&(len, step), outer)) = steps.split_last() else {
        return to.copy_from_slice(from);
    };
    let mut counters = vec![0; outer.len()];
    let mut base = 0;
    for row in to.chunks_exact_mut(len) {
        if step == 1 {
            row.copy_from_slice(&from[base..base + len]);
        } else {
            for (to, from) in row.iter_mut().zip(from[base..].iter().step_by(step)) {
                *to = *from;
            }
        }
        for (counter, (len, step)) in counters.iter_mut().zip(outer).rev() {
            *counter += 1;
            base += step;
            if *counter < *len {
                break;
            }
            *counter = 0;
            base -= len * step;
        }
    }
}

/// [`rearrange`], several elements at a time where they stay together.
fn rearrange_bytes(from: &[u8], to: &mut [u8], steps: &[(usize, usize)]) {
    let together = |many: usize| {
        let (last, outer) = steps.split_last()?;
        let fits = *last == (many, 1) && outer.iter().all(|(_, step)| step.is_multiple_of(many));
        fits.then(|| outer.iter().map(|(len, step)| (*len, step / many)).collect::<Vec<_>>())
    };
    if let Some(steps) = together(8) {
        rearrange(from.as_chunks::<8>().0, to.as_chunks_mut::<8>().0, &steps);
    } else if let Some(steps) = together(4) {
        rearrange(from.as_chunks::<4>().0, to.as_chunks_mut::<4>().0, &steps);
    } else if let Some(steps) = together(16) {
        rearrange(from.as_chunks::<16>().0, to.as_chunks_mut::<16>().0, &steps);
    } else {
        rearrange(from, to, steps);
    }
}

/// [`rearrange`] for elements of `dtype`.
pub fn rearrange_elements(dtype: Dtype, from: &[u8], to: &mut [u8], steps: &[(usize, usize)]) {
    match dtype.size() {
        1 => rearrange_bytes(from, to, steps),
        2 => rearrange(from.as_chunks::<2>().0, to.as_chunks_mut::<2>().0, steps),
        4 => rearrange(from.as_chunks::<4>().0, to.as_chunks_mut::<4>().0, steps),
        _ => rearrange(from.as_chunks::<8>().0, to.as_chunks_mut::<8>().0, steps),
    }
}

/// Indices of loops by their steps in the source, shortest first.
fn by_stride(dims: &[Dim]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..dims.len()).collect();
    order.sort_by_key(|&i| dims[i].stride);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(dims: &[(u64, u64)]) -> Walk {
        let dims = dims.iter().map(|&(len, stride)| Dim { len, stride }).collect();
        Walk { file: 0, offset: 0, dtype: Dtype::U16, dims, first: 0, arithmetic: Vec::new(), codes: None }
    }

    /// Where the elements of a walk lie in the source, in its order.
    fn places(walk: &Walk) -> Vec<u64> {
        walk.runs(0, walk.elements()).flat_map(|run| run.at..run.at + run.len).collect()
    }

    const WALKS: [&[(u64, u64)]; 8] = [
        &[(60, 1), (96, 60)],
        &[(5, 192), (32, 6), (6, 1)],
        &[(4, 384), (12, 16), (2, 192), (16, 1)],
        &[(3, 64), (64, 1), (32, 192)],
        &[(64, 2)],
        &[(7, 1), (3, 7), (64, 21)],
        &[(2, 1000), (16, 1), (2, 16), (10, 32)],
        &[(3, 1), (8, 120), (4, 30), (10, 3)],
    ];

    #[test]
    fn boxes_put_together_are_the_walk() {
        for walk in WALKS.map(walk) {
            for (block, budget) in
                [(1, 1), (1, 50), (1, 700), (1, 1 << 20), (32, 64), (32, 400), (32, 1 << 20)]
            {
                let what = format!("{:?} in blocks of {block}, {budget} at a time", walk.dims);
                let Some(tiling) = Tiling::new(&walk, block, budget) else {
                    assert!(block > 1, "{what}");
                    continue;
                };
                let expected = places(&walk);
                let mut got = vec![None; expected.len()];
                for index in 0..tiling.count() {
                    let tile = tiling.tile(&walk, index);
                    assert!(tile.elements() <= 4 * budget, "{what}");
                    let source = tile.in_source_order(&walk);
                    let elements: Vec<u64> = places(&source).iter().map(|at| at + source.first).collect();
                    assert!(elements.is_sorted(), "{what}: not in the source's order");
                    let mut ordered = vec![0; elements.len()];
                    rearrange(&elements, &mut ordered, &tile.steps(&walk));
                    let (run, firsts) = tile.runs(&walk);
                    assert!(
                        run.is_multiple_of(block) && run * firsts.len() as u64 == tile.elements(),
                        "{what}"
                    );
                    for (first, values) in firsts.iter().zip(ordered.chunks(run as usize)) {
                        assert!(first.is_multiple_of(block), "{what}");
                        for (at, value) in (*first as usize..).zip(values) {
                            assert_eq!(got[at].replace(*value), None, "{what}: element {at} twice");
                        }
                    }
                }
                assert!(got.into_iter().eq(expected.into_iter().map(Some)), "{what}");
            }
        }
    }

    /// A transpose reads and writes runs of a few hundred elements, whichever side is the long one.
    #[test]
    fn both_sides_get_long_runs() {
        for (rows, columns) in [(100_000, 15_000), (15_000, 100_000), (1 << 20, 1500)] {
            let walk = walk(&[(columns, 1), (rows, columns)]);
            let tiling = Tiling::new(&walk, 1, 1 << 19).unwrap();
            let tile = tiling.tile(&walk, 0);
            let source = tile.in_source_order(&walk).dims;
            assert!(source.last().unwrap().len >= 700, "{source:?}");
            assert!(tile.runs(&walk).0 >= 700);
        }
    }

    #[test]
    fn elements_of_all_sizes_are_moved() {
        for (dtype, size) in [(Dtype::U8, 1), (Dtype::F16, 2), (Dtype::F32, 4), (Dtype::F64, 8)] {
            let from: Vec<u8> = (0..6 * size).collect();
            let mut to = vec![0; from.len()];
            rearrange_elements(dtype, &from, &mut to, &[(3, 1), (2, 3)]);
            let expected = [0, 3, 1, 4, 2, 5].iter().flat_map(|i| i * size..(i + 1) * size);
            assert!(to.into_iter().eq(expected), "{dtype:?}");
        }
    }
}
