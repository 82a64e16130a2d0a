//! What of a tensor can be shared, and at which phase.

use std::collections::BTreeMap;

use super::cover::Chain;
use super::layout::{Item, Want};
use super::lower::{Lowered, Origin, Tensors};
use super::runs::{Extent, Runs};
use super::{Sharing, Walk};
use crate::error::Result;

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

/// Every part of `tensor` that might be shared, if the tensor starts at `start` of the output.
fn parts<'a>(tensor: &'a Lowered, start: u64, sharing: &'a Sharing) -> impl Iterator<Item = Runs> + 'a {
    let mut at = start;
    tensor.parts.iter().filter_map(move |part| {
        let dst = at;
        at += part.bytes;
        match &part.origin {
            Origin::Move(walk) if sharing.considers(walk) => Some(Runs::new(walk, dst)),
            _ => None,
        }
    })
}

/// The runs of `tensor` that might be shared if it starts at `start` of the output, part by part.
pub fn chains<'a>(tensor: &'a Lowered, start: u64, sharing: &'a Sharing) -> impl Iterator<Item = Chain> + 'a {
    parts(tensor, start, sharing).map(|runs| Chain::of_runs(&runs, sharing))
}

/// What decides where a tensor goes.
#[derive(Clone, Copy, Debug)]
pub struct Outline {
    /// Its length in bytes, without padding.
    pub bytes: u64,
    /// Of how many parts it is.
    pub parts: usize,
    /// The tensor as the layout sees it in a file with a certain alignment.
    pub item: Item,
    /// The source file that most of what can be shared comes from.
    pub home: Option<usize>,
}

/// Those of `tensors` in a file with this alignment.
///
/// # Errors
/// If a tensor of which something might be shared cannot be lowered.
pub fn outlines(tensors: &dyn Tensors, sharing: &Sharing, alignment: u64) -> Result<Vec<Outline>> {
    let one = |i| match tensors.parts_written(i) {
        Some(parts) => Ok(Outline::new(tensors.info(i).bytes, parts, sharing, alignment)),
        None => Ok(outline(&tensors.lowered(i)?, sharing, alignment)),
    };
    (0..tensors.count()).map(one).collect()
}

impl Outline {
    /// That of a tensor of which nothing can be shared.
    fn new(bytes: u64, parts: usize, sharing: &Sharing, alignment: u64) -> Self {
        let item = Item { advance: bytes.next_multiple_of(alignment) % sharing.block, want: None };
        Self { bytes, parts, item, home: None }
    }
}

/// That of `tensor` in a file with this alignment.
pub fn outline(tensor: &Lowered, sharing: &Sharing, alignment: u64) -> Outline {
    let block = sharing.block;
    let mut gains: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
    let mut add = |extent: Extent, times: u64| {
        let phase = (extent.src % block + block - extent.dst % block) % block;
        let placed = extent.moved(phase, 0);
        if phase.is_multiple_of(alignment)
            && let Some(interior) = placed.interior(block).filter(|i| i.len >= sharing.min_extent)
        {
            let entry = gains.entry(phase).or_insert((0, extent.file));
            entry.0 += times * interior.len;
        }
    };
    parts(tensor, 0, sharing).for_each(|runs| runs.each_phase(block, 1, &mut add));
    // Of several phases (stacked experts from differently aligned places) the best one counts.
    let best = gains.into_iter().max_by_key(|(phase, (gain, _))| (*gain, std::cmp::Reverse(*phase)));
    let mut outline = Outline::new(tensor.bytes, tensor.parts.len(), sharing, alignment);
    outline.item.want = best.map(|(phase, (gain, _))| Want { phase, gain });
    outline.home = best.map(|(_, (_, file))| file);
    outline
}
