//! Chooses the order of tensors in a file and the phase its data starts at, so that as many bytes as
//! possible land where their blocks can be shared.
//!
//! The *phase* of an offset is the offset modulo the block size. A run can be shared only if its
//! source and destination phases are equal, and every tensor moves the phase of the next one on by
//! its own (padded) size. Free to choose are the phase the data section starts at and the order.
//! So a tensor that can be shared is an edge from the phase it wants to the one it leads to, a file
//! is a path, and tensors that are converted anyway serve as shims between edges that do not meet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Up to this many tensors every order is considered (by dynamic programming over subsets).
const EXACT: usize = 12;

/// How many (tensors × start phases) the heuristic may look at, to stay well under a second.
const EFFORT: usize = 4_000_000;

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

    /// The items up to the last one that is shared.
    pub fn shared_prefix(&self, items: &[Item], block: u64) -> &[usize] {
        let (mut phase, mut len) = (self.start, 0);
        for (n, &i) in self.order.iter().enumerate() {
            if items[i].want.is_some_and(|w| w.phase == phase) {
                len = n + 1;
            }
            phase = (phase + items[i].advance) % block;
        }
        &self.order[..len]
    }
}

/// The path that shares most, as far as can be told; among equals the one that keeps items in order.
/// None if nothing can be shared.
pub fn best_path(items: &[Item], block: u64) -> Option<Path> {
    // A path may as well begin with an item that is shared: whatever came before can go to the end.
    let mut gains: BTreeMap<u64, u64> = BTreeMap::new();
    for want in items.iter().filter_map(|i| i.want) {
        *gains.entry(want.phase).or_default() += want.gain;
    }
    let mut starts: Vec<u64> = gains.keys().copied().collect();
    starts.sort_by_key(|s| std::cmp::Reverse(gains[s]));
    let search = if items.len() <= EXACT { exact } else { follow };
    starts.truncate((EFFORT / items.len().max(1)).max(2));
    let mut best: Option<Path> = None;
    for start in starts {
        let path = search(items, start, block);
        if best.as_ref().is_none_or(|b| path.gain > b.gain) {
            best = Some(path);
        }
    }
    best
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

/// What the heuristic has not placed yet.
struct Rest<'a> {
    items: &'a [Item],
    block: u64,
    /// Items to be shared, by the phase they want and whether they move it on.
    loops: BTreeMap<u64, BTreeSet<usize>>,
    moves: BTreeMap<u64, BTreeSet<usize>>,
    /// Bytes still to be gained, by phase.
    gains: BTreeMap<u64, u64>,
    /// Items that want nothing and move nothing: they can go anywhere.
    neutral: BTreeSet<usize>,
    /// Items that want nothing, by how far they move the phase.
    shims: BTreeMap<u64, BTreeSet<usize>>,
}

/// Follows edges from phase `start` as long as there are any, in the items' own order where possible;
/// then bridges with shims to the phase that promises most per shim; until none can be reached.
fn follow(items: &[Item], start: u64, block: u64) -> Path {
    let mut rest = Rest::new(items, block);
    let mut path = Path { start, ..Path::default() };
    let mut phase = start;
    loop {
        let next = rest.next(phase).map(|i| vec![i]).or_else(|| rest.bridge(phase));
        let Some(steps) = next else { return path };
        for i in steps {
            path.gain += rest.place(i, phase);
            path.order.push(i);
            phase = (phase + items[i].advance) % block;
        }
    }
}

impl<'a> Rest<'a> {
    fn new(items: &'a [Item], block: u64) -> Self {
        let mut rest = Self {
            items,
            block,
            loops: BTreeMap::new(),
            moves: BTreeMap::new(),
            gains: BTreeMap::new(),
            neutral: BTreeSet::new(),
            shims: BTreeMap::new(),
        };
        for (i, item) in items.iter().enumerate() {
            match item.want {
                Some(want) => {
                    let edges = if item.advance == 0 { &mut rest.loops } else { &mut rest.moves };
                    edges.entry(want.phase).or_default().insert(i);
                    *rest.gains.entry(want.phase).or_default() += want.gain;
                }
                None if item.advance == 0 => _ = rest.neutral.insert(i),
                None => _ = rest.shims.entry(item.advance).or_default().insert(i),
            }
        }
        rest
    }

    /// An item to place at `phase` that either gains there or does no harm. Those that stay at the
    /// phase come first; of those that leave it, one that leads to where more can be gained.
    fn next(&self, phase: u64) -> Option<usize> {
        let here = self.loops.get(&phase).and_then(|set| set.first()).copied();
        if let Some(stays) = here {
            return Some(self.neutral.first().map_or(stays, |&n| n.min(stays)));
        }
        let moves = self.moves.get(&phase)?;
        let leads_on =
            |i: &&usize| self.gains.contains_key(&((phase + self.items[**i].advance) % self.block));
        moves.iter().find(leads_on).or(moves.first()).copied()
    }

    /// Takes `i` out of the rest; gives the bytes shared by placing it at `phase`.
    fn place(&mut self, i: usize, phase: u64) -> u64 {
        let item = self.items[i];
        let Some(want) = item.want else {
            if item.advance == 0 {
                self.neutral.remove(&i);
            } else {
                remove(&mut self.shims, item.advance, i);
            }
            return 0;
        };
        remove(if item.advance == 0 { &mut self.loops } else { &mut self.moves }, want.phase, i);
        if let Some(gain) = self.gains.get_mut(&want.phase) {
            *gain -= want.gain;
            if *gain == 0 {
                self.gains.remove(&want.phase);
            }
        }
        if want.phase == phase { want.gain } else { 0 }
    }

    /// The shims that lead from `phase` to the phase with the most to gain per shim (breadth first, so
    /// with as few as possible).
    fn bridge(&self, phase: u64) -> Option<Vec<usize>> {
        let mut reached: BTreeMap<u64, Vec<u64>> = BTreeMap::from([(phase, Vec::new())]);
        let mut queue = VecDeque::from([phase]);
        let mut best: Option<(u64, u64)> = None;
        while let Some(at) = queue.pop_front() {
            let used = reached[&at].clone();
            if let Some(gain) = self.gains.get(&at)
                && !used.is_empty()
                && best.is_none_or(|(most, _)| gain / used.len() as u64 > most)
            {
                best = Some((gain / used.len() as u64, at));
            }
            for (advance, shims) in &self.shims {
                let next = (at + advance) % self.block;
                if !reached.contains_key(&next) && used.iter().filter(|a| *a == advance).count() < shims.len()
                {
                    reached.insert(next, used.iter().copied().chain([*advance]).collect());
                    queue.push_back(next);
                }
            }
        }
        let (_, target) = best?;
        let mut taken: BTreeMap<u64, usize> = BTreeMap::new();
        let pick = |advance: &u64| {
            let nth = taken.entry(*advance).or_default();
            *nth += 1;
            self.shims[advance].iter().nth(*nth - 1).copied()
        };
        reached[&target].iter().map(pick).collect()
    }
}

fn remove(sets: &mut BTreeMap<u64, BTreeSet<usize>>, key: u64, i: usize) {
    if let Some(set) = sets.get_mut(&key) {
        set.remove(&i);
        if set.is_empty() {
            sets.remove(&key);
        }
    }
}
