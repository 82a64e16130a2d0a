//! What of a tensor can be shared, and at which phase.

use std::collections::BTreeMap;

use super::layout::{Item, Want};
use super::lower::{Lowered, Origin};
use super::{Sharing, Walk};

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

impl Sharing {
    /// Whether files of the plan can share blocks with source `file`.
    pub fn allows(&self, file: usize) -> bool {
        self.refusals.get(file).is_some_and(Option::is_none)
    }

    /// Whether it is worth asking for each run of `walk` if it can be shared. A contiguous one may be
    /// short and still be part of a longer one together with its neighbours.
    pub fn considers(&self, walk: &Walk) -> bool {
        self.allows(walk.file)
            && (walk.is_contiguous() || walk.run_bytes() >= self.min_extent.max(self.block))
    }
}

/// Every run of `tensor` that might be shared if the tensor starts at `start` of the output.
pub fn extents<'a>(
    tensor: &'a Lowered,
    start: u64,
    sharing: &'a Sharing,
) -> impl Iterator<Item = Extent> + 'a {
    let mut at = start;
    tensor.parts.iter().flat_map(move |part| {
        let dst = at;
        at += part.bytes;
        let walk = match &part.origin {
            Origin::Move(walk) if sharing.considers(walk) => Some(walk),
            _ => None,
        };
        let runs =
            walk.into_iter().flat_map(|walk| walk.runs(0, walk.elements()).map(move |run| (walk, run)));
        runs.scan(dst, |dst, (walk, run)| {
            let size = walk.dtype.size();
            let (start, len) = (*dst, run.len * size);
            *dst += len;
            Some(Extent { dst: start, file: walk.file, src: walk.offset + run.at * size, len })
        })
    })
}

/// The tensor as the layout sees it in a file with this alignment, and the source file that most of
/// what can be shared comes from.
pub fn item(tensor: &Lowered, sharing: &Sharing, alignment: u64) -> (Item, Option<usize>) {
    let block = sharing.block;
    let mut gains: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
    for extent in extents(tensor, 0, sharing) {
        let phase = (extent.src % block + block - extent.dst % block) % block;
        let placed = Extent { dst: extent.dst + phase, ..extent };
        if phase.is_multiple_of(alignment)
            && let Some(interior) = placed.interior(block).filter(|i| i.len >= sharing.min_extent)
        {
            let entry = gains.entry(phase).or_insert((0, extent.file));
            entry.0 += interior.len;
        }
    }
    // Of several phases (stacked experts from differently aligned places) the best one counts.
    let best = gains.into_iter().max_by_key(|(phase, (gain, _))| (*gain, std::cmp::Reverse(*phase)));
    let want = best.map(|(phase, (gain, _))| Want { phase, gain });
    let item = Item { advance: tensor.bytes.next_multiple_of(alignment) % block, want };
    (item, best.map(|(_, (_, file))| file))
}
