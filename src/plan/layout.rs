//! Chooses the order of tensors in a file and the phase its data starts at, so that as many bytes as
//! possible land where their blocks can be shared.
//!
//! The *phase* of an offset is the offset modulo the block size. A run can be shared only if its
//! source and destination phases are equal, and a tensor's place fixes the phase of the next one.
//! Free to choose are the phase the data section starts at (in steps of the alignment) and the
//! order of tensors.

use std::collections::{BTreeMap, BTreeSet};

use super::lower::{Lowered, Origin};
use super::{Sharing, padded};
use crate::gguf::DEFAULT_ALIGNMENT;

/// Order and start of a file's tensor data.
#[derive(Debug)]
pub struct Layout {
    /// Indices of tensors in file order.
    pub order: Vec<usize>,
    /// Phase the data section should start at, in bytes; none where nothing would be gained, so
    /// that the file is laid out as the reference does it.
    pub start_phase: Option<u64>,
}

/// A tensor as the layout sees it.
struct Item {
    /// Bytes modulo the block size that it moves its successor by.
    advance: u64,
    /// The phase it wants to start at, and the bytes that can be shared if it does.
    want: Option<(u64, u64)>,
}

/// The best order found. Among equals the reference's order is kept.
pub fn choose(tensors: &[Lowered], sharing: &Sharing) -> Layout {
    let items: Vec<Item> = tensors
        .iter()
        .map(|t| Item { advance: padded(t.bytes) % sharing.block, want: want(t, sharing) })
        .collect();
    let starts: BTreeSet<u64> = items.iter().filter_map(|i| i.want).map(|(phase, _)| phase).collect();
    let mut best: Option<(u64, u64, Vec<usize>)> = None;
    for start in starts {
        let (order, gain) = follow(&items, start, sharing.block);
        if best.as_ref().is_none_or(|(most, ..)| gain > *most) {
            best = Some((gain, start, order));
        }
    }
    match best {
        Some((_, start, order)) => Layout { order, start_phase: Some(start) },
        None => Layout { order: (0..tensors.len()).collect(), start_phase: None },
    }
}

/// The start phase under which most bytes of `tensor` can be shared.
fn want(tensor: &Lowered, sharing: &Sharing) -> Option<(u64, u64)> {
    let mut gains: BTreeMap<u64, u64> = BTreeMap::new();
    let mut at = 0;
    for part in &tensor.parts {
        if let Origin::Move(walk) = &part.origin
            && walk.is_contiguous()
            && sharing.refusals.get(walk.file).is_some_and(Option::is_none)
        {
            let block = sharing.block;
            let phase = (walk.offset % block + block - at % block) % block;
            let first = walk.offset.next_multiple_of(block);
            let interior = ((walk.offset + part.bytes) / block * block).saturating_sub(first);
            if phase.is_multiple_of(DEFAULT_ALIGNMENT) && interior >= sharing.min_extent {
                *gains.entry(phase).or_default() += interior;
            }
        }
        at += part.bytes;
    }
    gains.into_iter().max_by_key(|&(phase, gain)| (gain, std::cmp::Reverse(phase)))
}

/// Places tensors from phase `start` on: always the first one in the reference's order that either
/// wants the phase reached or leaves it unchanged; when there is none, one that leads to a phase
/// that is wanted. Gives the order and the bytes shared.
fn follow(items: &[Item], start: u64, block: u64) -> (Vec<usize>, u64) {
    let mut wanting: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    let mut neutral = BTreeSet::new();
    let mut shims: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    for (i, item) in items.iter().enumerate() {
        match item.want {
            Some((phase, _)) => _ = wanting.entry(phase).or_default().insert(i),
            None if item.advance == 0 => _ = neutral.insert(i),
            None => _ = shims.entry(item.advance).or_default().insert(i),
        }
    }
    let (mut order, mut gain, mut phase) = (Vec::with_capacity(items.len()), 0, start);
    loop {
        let here = wanting.get(&phase).and_then(|set| set.first()).copied();
        let next = match (here, neutral.first().copied()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let next = next.or_else(|| {
            let leads =
                |advance: &u64| wanting.get(&((phase + advance) % block)).is_some_and(|set| !set.is_empty());
            shims
                .iter()
                .filter(|(advance, set)| !set.is_empty() && leads(advance))
                .find_map(|(_, set)| set.first().copied())
        });
        let Some(i) = next else { break };
        let item = &items[i];
        match item.want {
            Some((wanted, bytes)) => {
                gain += bytes;
                wanting.entry(wanted).or_default().remove(&i);
            }
            None if item.advance == 0 => _ = neutral.remove(&i),
            None => _ = shims.entry(item.advance).or_default().remove(&i),
        }
        order.push(i);
        phase = (phase + item.advance) % block;
    }
    let mut rest: Vec<usize> = wanting.into_values().chain(shims.into_values()).flatten().collect();
    rest.sort_unstable();
    order.extend(rest);
    (order, gain)
}
