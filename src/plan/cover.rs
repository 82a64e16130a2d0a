//! Which whole blocks of an output are worth cloning. Runs that continue each other in source and output are joined
//! first, so that a block on the border of two tensors can be shared, too; runs at regular distances are kept as one.

use super::Sharing;
use super::runs::{Extent, Runs};

/// A stretch of an output of which whole blocks are cloned.
#[derive(Clone, Debug)]
pub enum Cover {
    /// All of it.
    Clone(Extent),
    /// Some of it, again and again.
    Repeat(Box<Repeat>),
}

/// Covers at regular distances.
#[derive(Clone, Debug)]
pub struct Repeat {
    /// First byte in the output.
    pub start: u64,
    /// How often.
    pub count: u64,
    /// Bytes of the output from one repetition to the next.
    pub stride: u64,
    /// Bytes of the source from one repetition to the next.
    pub source_stride: u64,
    /// The first repetition, within `stride` bytes of the output from `start` on.
    pub covers: Vec<Cover>,
}

impl Cover {
    /// First byte in the output.
    pub fn start(&self) -> u64 {
        match self {
            Self::Clone(extent) => extent.dst,
            Self::Repeat(repeat) => repeat.start,
        }
    }

    /// First byte after it in the output.
    pub fn end(&self) -> u64 {
        match self {
            Self::Clone(extent) => extent.end(),
            Self::Repeat(repeat) => repeat.start + repeat.count * repeat.stride,
        }
    }

    /// How many bytes of it are shared, and in how many extents.
    pub fn shared(&self) -> (u64, u64) {
        match self {
            Self::Clone(extent) => (extent.len, 1),
            Self::Repeat(repeat) => {
                let (bytes, extents) = total(&repeat.covers);
                (repeat.count * bytes, repeat.count * extents)
            }
        }
    }

    fn moved(&self, shift: u64, source_shift: u64) -> Self {
        match self {
            Self::Clone(extent) => Self::Clone(extent.moved(shift, source_shift)),
            Self::Repeat(repeat) => Self::Repeat(Box::new(Repeat {
                start: repeat.start + shift,
                covers: repeat.covers.iter().map(|cover| cover.moved(shift, source_shift)).collect(),
                ..**repeat
            })),
        }
    }
}

/// How many bytes of all of `covers` are shared, and in how many extents.
pub fn total(covers: &[Cover]) -> (u64, u64) {
    covers.iter().map(Cover::shared).fold((0, 0), |(bytes, extents), (b, e)| (bytes + b, extents + e))
}

/// The clones worth making of an output, from stretches in their order.
#[derive(Debug, Default)]
pub struct Covers(Chain);

impl Covers {
    /// With room for those of so many stretches.
    pub fn for_parts(count: usize) -> Self {
        Self(Chain { between: Vec::with_capacity(count), ..Chain::default() })
    }

    /// Adds the next stretch.
    pub fn add(&mut self, stretch: Chain, sharing: &Sharing) {
        self.0.append(stretch, sharing);
    }

    /// Takes those out that nothing can change any more, and tells what they share.
    pub fn counted(&mut self) -> (u64, u64) {
        total(&std::mem::take(&mut self.0.between))
    }

    /// All of them.
    pub fn finish(self, sharing: &Sharing) -> Vec<Cover> {
        let Chain { first, between: mut covers, last } = self.0;
        if let Some(first) = first.and_then(|extent| cut(extent, sharing)) {
            covers.insert(0, first);
        }
        covers.extend(last.and_then(|extent| cut(extent, sharing)));
        covers
    }
}

/// The whole blocks of an extent that are worth cloning.
fn cut(extent: Extent, sharing: &Sharing) -> Option<Cover> {
    let interior = Some(extent).filter(|e| e.is_congruent(sharing.block))?.interior(sharing.block)?;
    (interior.len >= sharing.min_extent).then_some(Cover::Clone(interior))
}

/// Runs in the order of the output. Of the first and the last it is not known yet whether they go on beyond.
#[derive(Debug, Default)]
pub struct Chain {
    first: Option<Extent>,
    between: Vec<Cover>,
    /// None if it is the first as well.
    last: Option<Extent>,
}

impl Chain {
    /// Of one run.
    pub fn of(extent: Extent) -> Self {
        Self { first: Some(extent), ..Self::default() }
    }

    /// All of `runs`.
    pub fn of_runs(runs: &Runs, sharing: &Sharing) -> Self {
        let Some((outer, inner)) = runs.outermost() else { return Self::of(runs.first) };
        let period = outer.period(sharing.block);
        let iterations = |range: std::ops::Range<u64>| {
            let mut chain = Self::default();
            range.for_each(|i| chain.append(Self::of_runs(&inner.moved(i, &outer), sharing), sharing));
            chain
        };
        let times = outer.len / period;
        if times < 2 {
            return iterations(0..outer.len);
        }
        let (stride, source_stride) = (period * outer.stride, period * outer.source_stride);
        let mut chain = iterations(0..period).times(times, stride, source_stride, sharing);
        chain.append(iterations(period * times..outer.len), sharing);
        chain
    }

    fn append(&mut self, next: Self, sharing: &Sharing) {
        let Some(first) = next.first else { return };
        match self.last.as_mut().or(self.first.as_mut()) {
            None => {
                (self.first, self.last) = (next.first, next.last);
                return self.between.extend(next.between);
            }
            Some(open) if open.is_continued_by(&first) => open.len += first.len,
            Some(_) => {
                self.between.extend(self.last.and_then(|extent| cut(extent, sharing)));
                self.last = Some(first);
            }
        }
        if next.last.is_some() {
            self.between.extend(self.last.and_then(|extent| cut(extent, sharing)));
            self.between.extend(next.between);
            self.last = next.last;
        }
    }

    /// It `count` times, each time so many bytes of output and source further on, which are whole blocks.
    fn times(mut self, count: u64, stride: u64, source_stride: u64, sharing: &Sharing) -> Self {
        let Some(first) = self.first else { return self };
        let again = first.moved(stride, source_stride);
        let moved = |extent: Extent, n: u64| extent.moved(n * stride, n * source_stride);
        let repeat = |start, count, covers| Repeat { start, count, stride, source_stride, covers };
        match self.last {
            None if first.is_continued_by(&again) => {
                self.first = Some(Extent { len: first.len * count, ..first });
            }
            None => {
                let covers = cut(again, sharing).into_iter().collect();
                self.between = repeat(again.dst, count - 2, covers).simplest();
                self.last = Some(moved(first, count - 1));
            }
            Some(last) => {
                let mut covers = Vec::with_capacity(self.between.len() + 2);
                if last.is_continued_by(&again) {
                    covers.extend(cut(Extent { len: last.len + again.len, ..last }, sharing));
                } else {
                    covers.extend(cut(last, sharing));
                    covers.extend(cut(again, sharing));
                }
                covers.extend(self.between.iter().map(|cover| cover.moved(stride, source_stride)));
                self.between.extend(repeat(last.dst, count - 1, covers).simplest());
                self.last = Some(moved(last, count - 1));
            }
        }
        self
    }
}

impl Repeat {
    /// It without saying that it repeats, if it does not.
    fn simplest(self) -> Vec<Cover> {
        match (self.count, self.covers.is_empty()) {
            (0, _) | (_, true) => Vec::new(),
            (1, _) => self.covers,
            _ => vec![Cover::Repeat(self.into())],
        }
    }
}
