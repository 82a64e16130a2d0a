//! Runs of bytes that keep their value: from where in a source to where in an output.

use super::Walk;
use super::layout::gcd;
use super::walk::split_dims;

/// A run of bytes that keep their value: `len` bytes from `src` of source `file`, at `dst` of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub dst: u64,
    pub file: usize,
    pub src: u64,
    pub len: u64,
}

impl Extent {
    /// First byte after it in the output.
    pub fn end(&self) -> u64 {
        self.dst + self.len
    }

    /// The same, so many bytes of output and source further on.
    pub fn moved(&self, shift: u64, source_shift: u64) -> Self {
        Self { dst: self.dst + shift, src: self.src + source_shift, ..*self }
    }

    /// Whether `next` begins where it ends, in source and output.
    pub fn is_continued_by(&self, next: &Self) -> bool {
        self.file == next.file && self.end() == next.dst && self.src + self.len == next.src
    }

    /// Whether both ends have the same phase, so that whole blocks of it can be shared.
    pub fn is_congruent(&self, block: u64) -> bool {
        self.dst % block == self.src % block
    }

    /// The whole blocks within, assuming congruence; none if there are none.
    pub fn interior(&self, block: u64) -> Option<Self> {
        let skip = self.dst.next_multiple_of(block) - self.dst;
        let end = self.end() / block * block;
        let len = end.checked_sub(self.dst + skip).filter(|len| *len > 0)?;
        Some(Self { dst: self.dst + skip, src: self.src + skip, len, ..*self })
    }
}

/// The runs of a walk in an output: loops around the first of them.
#[derive(Clone, Debug)]
pub struct Runs {
    /// The first run.
    pub first: Extent,
    /// Outermost first.
    loops: Vec<Loop>,
}

/// One loop of [`Runs`], in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Loop {
    /// How many times it goes round.
    pub len: u64,
    /// How far it gets in the output each time.
    pub stride: u64,
    /// And in the source.
    pub source_stride: u64,
}

impl Loop {
    /// After how many rounds source and output have the phases that they began with.
    pub fn period(&self, block: u64) -> u64 {
        let [a, b] = [self.stride, self.source_stride].map(|stride| block / gcd(block, stride));
        a / gcd(a, b) * b
    }
}

impl Runs {
    /// Those of `walk` from byte `start` of an output on.
    pub fn new(walk: &Walk, start: u64) -> Self {
        let (outer, run) = split_dims(&walk.dims);
        let size = walk.dtype.size();
        let mut loops = Vec::with_capacity(outer.len());
        let mut stride = run * size;
        for dim in outer.iter().rev() {
            loops.push(Loop { len: dim.len, stride, source_stride: dim.stride * size });
            stride *= dim.len;
        }
        loops.reverse();
        Self { first: Extent { dst: start, file: walk.file, src: walk.offset, len: run * size }, loops }
    }

    /// The outermost loop, and what is in it; none if there is one run.
    pub fn outermost(&self) -> Option<(Loop, Self)> {
        let (outer, inner) = self.loops.split_first()?;
        Some((*outer, Self { first: self.first, loops: inner.to_vec() }))
    }

    /// The same in round `i` of the loop around it.
    pub fn moved(&self, i: u64, around: &Loop) -> Self {
        let first = self.first.moved(i * around.stride, i * around.source_stride);
        Self { first, loops: self.loops.clone() }
    }

    /// Calls `f` with a run of each phase, and how many of that phase there are, as far as loops tell.
    pub fn each_phase(&self, block: u64, times: u64, f: &mut impl FnMut(Extent, u64)) {
        let Some((outer, inner)) = self.outermost() else { return f(self.first, times) };
        let period = outer.period(block);
        for i in 0..period.min(outer.len) {
            let alike = outer.len / period + u64::from(i < outer.len % period);
            inner.moved(i, &outer).each_phase(block, times * alike, f);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Dtype;
    use crate::tensor::Dim;

    #[test]
    fn only_whole_blocks_are_inside() {
        let extent = |dst, len| Extent { dst, file: 2, src: dst + 8192, len };
        let interior =
            |dst, len| extent(dst, len).interior(4096).map(|inner| (inner.dst, inner.src, inner.len));
        assert_eq!(interior(4096, 8192), Some((4096, 12288, 8192)));
        assert_eq!(interior(4000, 8288), Some((4096, 12288, 8192)));
        assert_eq!(interior(1, 8191), Some((4096, 12288, 4096)));
        assert_eq!(interior(1, 8190), None);
        assert_eq!(interior(0, 4095), None);
        assert_eq!(interior(4096, 0), None);
    }

    /// How often each phase comes, by following every run.
    fn phases(runs: &Runs, block: u64) -> Vec<(u64, u64)> {
        let mut all = vec![runs.clone()];
        while let Some((around, inner)) = all[0].outermost() {
            all = (0..around.len)
                .flat_map(|i| {
                    let moved = |outer: &Runs| outer.outermost().unwrap().1.moved(i, &around);
                    all.iter().map(moved).collect::<Vec<_>>()
                })
                .collect();
            assert!(inner.loops.len() < runs.loops.len());
        }
        tally(all.iter().map(|runs| (runs.first, 1)), block)
    }

    fn tally(extents: impl Iterator<Item = (Extent, u64)>, block: u64) -> Vec<(u64, u64)> {
        let mut found = std::collections::BTreeMap::new();
        for (extent, times) in extents {
            *found.entry((extent.src + block - extent.dst % block) % block).or_insert(0) += times;
        }
        found.into_iter().collect()
    }

    #[test]
    fn every_phase_is_counted_as_often_as_it_comes() {
        let block = 64;
        for dims in [
            &[(7, 48), (16, 1)][..],
            &[(5, 200), (9, 40), (8, 1)],
            &[(3, 32), (10, 96), (32, 1)],
            &[(13, 64), (64, 1)],
            &[(100, 1)],
        ] {
            let loops = dims.iter().map(|&(len, stride)| Dim { len, stride }).collect();
            let walk = Walk {
                file: 0,
                offset: 24,
                dtype: Dtype::U8,
                dims: loops,
                first: 0,
                arithmetic: Vec::new(),
                codes: None,
            };
            let runs = Runs::new(&walk, 16);
            let mut found = Vec::new();
            runs.each_phase(block, 1, &mut |extent, times| found.push((extent, times)));
            let expected = phases(&runs, block);
            assert_eq!(tally(found.into_iter(), block), expected, "{dims:?}");
            let outer = dims[..dims.len() - 1].iter().map(|(len, _)| len).product::<u64>();
            assert_eq!(expected.iter().map(|(_, times)| times).sum::<u64>(), outer, "{dims:?}");
        }
    }
}
