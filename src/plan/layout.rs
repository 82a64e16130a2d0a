//! Chooses the order of tensors in a file and the phase its data starts at, so that as many bytes as
//! possible land where their blocks can be shared.
//!
//! The *phase* of an offset is the offset modulo the block size. A run can be shared only if its
//! source and destination phases are equal, and every tensor moves the phase of the next one on by
//! its own (padded) size. Free to choose are the phase the data section starts at and the order.
//! So a tensor that can be shared is an edge from the phase it wants to the one it leads to, a file
//! is a path, and tensors that are converted anyway serve as shims between edges that do not meet.

mod follow;
mod map;

pub use follow::Effort;
pub use map::gcd;

use std::collections::BTreeSet;

/// Up to this many tensors every order is considered (by dynamic programming over subsets).
const EXACT: usize = 12;

/// A tensor as the layout sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item {
    /// Padded size modulo the block size: how far it moves the phase.
    pub advance: u64,
    /// The phase it wants to start at, if any of it can be shared.
    pub want: Option<Want>,
}

/// Where a tensor can be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Phase its first byte must have, in bytes.
    pub phase: u64,
    /// Bytes shared if it has.
    pub gain: u64,
}

/// A path through phases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path {
    /// Phase of the first byte.
    pub start: u64,
    /// Items in order; what is left out comes after them.
    pub order: Vec<usize>,
    /// Bytes shared.
    pub gain: u64,
}

impl Path {
    /// All of `count` items: those of the path, then the others in their own order.
    pub fn complete(mut self, count: usize) -> Self {
        let placed: BTreeSet<usize> = self.order.iter().copied().collect();
        self.order.extend((0..count).filter(|i| !placed.contains(i)));
        self
    }

    /// The items up to the last one that is shared, without those that are not and change no phase either: they can be shared
    /// elsewhere.
    pub fn shared_prefix(&self, items: &[Item], block: u64) -> Vec<usize> {
        let (mut phase, mut len, mut kept) = (self.start, 0, Vec::with_capacity(self.order.len()));
        for &i in &self.order {
            let is_shared = items[i].want.is_some_and(|w| w.phase == phase);
            if is_shared || items[i].advance != 0 {
                kept.push(i);
            }
            if is_shared {
                len = kept.len();
            }
            phase = (phase + items[i].advance) % block;
        }
        kept.truncate(len);
        kept
    }
}

/// The path that shares most, as far as can be told; among equals the one that keeps items in order.
/// None if nothing can be shared.
pub fn best_path(items: &[Item], block: u64, effort: &mut Effort) -> Option<Path> {
    if items.len() > EXACT {
        return follow::follow(items, block, effort);
    }
    // A path may as well begin with an item that is shared: whatever came before can go to the end.
    let starts: BTreeSet<u64> = items.iter().filter_map(|i| i.want).map(|w| w.phase).collect();
    let paths = starts.into_iter().map(|start| exact(items, start, block));
    paths.reduce(|best, path| if path.gain > best.gain { path } else { best })
}

/// Considers every order. `best[set]` is the most that can be shared by placing exactly `set` first.
fn exact(items: &[Item], start: u64, block: u64) -> Path {
    let n = items.len();
    let mut best = vec![(0u64, usize::MAX); 1 << n];
    let mut phase = vec![start; 1 << n];
    for set in 1usize..1 << n {
        let first = set.trailing_zeros() as usize;
        phase[set] = (phase[set & (set - 1)] + items[first].advance) % block;
        best[set] = (0..n)
            .filter(|i| set >> i & 1 == 1)
            .map(|last| {
                let before = set & !(1 << last);
                let gain = items[last].want.filter(|w| w.phase == phase[before]).map_or(0, |w| w.gain);
                (best[before].0 + gain, last)
            })
            .max()
            .unwrap_or_default();
    }
    let (mut set, mut order) = ((1 << n) - 1, Vec::with_capacity(n));
    while set != 0 {
        order.push(best[set].1);
        set &= !(1 << best[set].1);
    }
    order.reverse();
    Path { start, order, gain: best[(1 << n) - 1].0 }
}

#[cfg(test)]
mod tests;
