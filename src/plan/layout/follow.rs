//! The search for models of any size: follow tensors that lead from phase to phase, bridge gaps with
//! shims, then try where another choice on the way would have led.
//!
//! Phases are counted in *slots* here: multiples of the greatest common divisor of everything that occurs.

use std::collections::BTreeMap;

use super::map::{Kind, Map, gcd};
use super::{Item, Path};

/// How many sorts of items to choose from at a time. There are rarely more than a few.
const SORTS: usize = 512;

/// How often to start over from the best path with something else changed.
const KICKS: usize = 64;

/// How much searching may be done, counted in looks at items or phases. The first path is free.
#[derive(Debug)]
pub struct Effort(pub u64);

impl Default for Effort {
    /// A fraction of a second.
    fn default() -> Self {
        Self(12_000_000)
    }
}

impl Effort {
    fn spend(&mut self, looks: usize) {
        self.0 = self.0.saturating_sub(looks as u64);
    }
}

/// The path that shares most of those that half of `effort` suffices to look at: there may be more
/// files to come.
pub fn follow(items: &[Item], block: u64, effort: &mut Effort) -> Option<Path> {
    let map = Map::new(items, block);
    let mut work = Effort(effort.0 / 2);
    let granted = work.0;
    let mut trails: Vec<Trail> = Vec::new();
    let mut most = 0;
    for &start in &map.by_gain {
        for rule in [Rule::InOrder, Rule::Richest] {
            // A trail that reaches the bound cannot be beaten from the same start.
            if map.bound(start) > most && (trails.is_empty() || work.0 > granted / 2) {
                let trail = map.walk(start, &[], rule, &mut work);
                most = most.max(trail.gain);
                trails.push(trail);
            }
        }
    }
    trails.sort_by_key(|t| std::cmp::Reverse(t.gain));
    let mut trails = trails.into_iter();
    let mut best = trails.next()?;
    map.improve(&mut best, &mut work);
    for mut trail in trails {
        if map.bound(trail.start) > best.gain && work.0 > 0 {
            map.improve(&mut trail, &mut work);
            if trail.gain > best.gain {
                best = trail;
            }
        }
    }
    map.kick(&mut best, &mut work);
    effort.spend((granted - work.0) as usize);
    Some(Path { start: best.start as u64 * map.unit, order: best.order, gain: best.gain })
}

/// How to choose between tensors that lead to different phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The first one in order that leads to where anything can be gained.
    InOrder,
    /// The one that leads to where most can be gained, even if that takes a tensor off its place.
    Richest,
}

/// A path in slots.
#[derive(Clone, Debug)]
struct Trail {
    start: usize,
    order: Vec<usize>,
    gain: u64,
}

/// What changes while a trail grows.
struct State {
    slot: usize,
    trail: Trail,
    placed: Vec<bool>,
    gains: Vec<u64>,
    /// How many are left, by group.
    left: Vec<usize>,
    /// How far lists have been used up: by group, by slot, by kind (shims and wanting).
    group_at: Vec<usize>,
    staying_at: Vec<usize>,
    shims_at: Vec<usize>,
    wanting_at: Vec<usize>,
    neutral_at: usize,
    /// The kinds that have shims left, and those that have wanting items left.
    shims: Vec<usize>,
    wanting: Vec<usize>,
    /// Effort that must be left for searching on.
    floor: u64,
    /// For [`Map::bridge`]: when a slot was reached last, and from where by which kind.
    reached: Vec<(usize, usize, usize)>,
    round: usize,
}

/// The first item of `list` from `*at` on that is not placed.
fn first_left(list: &[usize], at: &mut usize, placed: &[bool]) -> Option<usize> {
    while list.get(*at).is_some_and(|i| placed[*i]) {
        *at += 1;
    }
    list.get(*at).copied()
}

impl Map<'_> {
    /// Places `forced`, then follows tensors as long as they lead anywhere and bridges gaps.
    fn walk(&self, start: usize, forced: &[usize], rule: Rule, work: &mut Effort) -> Trail {
        work.spend(self.items.len() + self.slots);
        let mut state = State {
            slot: start,
            trail: Trail { start, order: Vec::new(), gain: 0 },
            placed: vec![false; self.items.len()],
            gains: self.gains.clone(),
            left: self.groups.iter().map(|g| g.items.len()).collect(),
            group_at: vec![0; self.groups.len()],
            staying_at: vec![0; self.slots],
            shims_at: vec![0; self.kinds.len()],
            wanting_at: vec![0; self.kinds.len()],
            neutral_at: 0,
            shims: (0..self.kinds.len()).filter(|k| !self.kinds[*k].shims.is_empty()).collect(),
            wanting: (0..self.kinds.len()).filter(|k| !self.kinds[*k].wanting.is_empty()).collect(),
            floor: work.0 - work.0 / 8,
            reached: vec![(0, 0, 0); self.slots],
            round: 0,
        };
        forced.iter().for_each(|i| self.place(*i, &mut state));
        let mut useful = forced.len();
        loop {
            let steps = match self.next(&mut state, rule, work) {
                Some(i) => vec![i],
                None => self.bridge(&mut state, rule, work),
            };
            if steps.is_empty() {
                break;
            }
            let before = state.trail.gain;
            steps.into_iter().for_each(|i| self.place(i, &mut state));
            if state.trail.gain > before {
                useful = state.trail.order.len();
            }
        }
        state.trail.order.truncate(useful);
        state.trail
    }

    fn place(&self, i: usize, state: &mut State) {
        let item = &self.items[i];
        state.placed[i] = true;
        state.trail.order.push(i);
        if let Some(want) = item.want {
            let wanted = (want.phase / self.unit) as usize;
            state.gains[wanted] -= want.gain;
            if wanted == state.slot {
                state.trail.gain += want.gain;
            }
            if let Some(left) = state.left.get_mut(self.group_of[i]) {
                *left -= 1;
            }
        }
        state.slot = (state.slot + (item.advance / self.unit) as usize) % self.slots;
    }

    /// An item that gains at this slot. Those that stay come first, and among them, in order, those
    /// that can go anywhere.
    fn next(&self, state: &mut State, rule: Rule, work: &mut Effort) -> Option<usize> {
        let State { placed, staying_at, neutral_at, slot, .. } = state;
        match first_left(&self.staying[*slot], &mut staying_at[*slot], placed) {
            Some(stays) => {
                let neutral = first_left(&self.neutral, neutral_at, placed);
                Some(neutral.map_or(stays, |n| n.min(stays)))
            }
            None => self.leave(state, rule, work),
        }
    }

    /// Of the items that gain here and lead away, the one to place first.
    fn leave(&self, state: &mut State, rule: Rule, work: &mut Effort) -> Option<usize> {
        let range = self.leaving[state.slot].clone();
        work.spend(range.len());
        let mut best = None;
        for g in range.filter(|g| state.left[*g] > 0).take(4 * SORTS).collect::<Vec<_>>() {
            let group = &self.groups[g];
            let members = if rule == Rule::InOrder { &self.moving } else { &self.richest };
            let at = &mut state.group_at[g];
            let Some(i) = first_left(&members[group.items.clone()], at, &state.placed) else { continue };
            let ahead = state.gains[(state.slot + group.advance) % self.slots];
            let merit = match rule {
                Rule::InOrder => u64::from(ahead > 0),
                Rule::Richest => ahead + self.items[i].want.map_or(0, |w| w.gain),
            };
            let key = (merit, std::cmp::Reverse(i));
            if best.is_none_or(|(most, _)| key > most) {
                best = Some((key, i));
            }
        }
        best.map(|(_, i)| i)
    }

    /// The shims that lead, few at a time, to the slot with the most to gain per shim. A tensor that
    /// would gain less than it leads to is as good as a shim.
    fn bridge(&self, state: &mut State, rule: Rule, work: &mut Effort) -> Vec<usize> {
        let from = state.slot;
        let sacrifice = match rule {
            Rule::Richest => self.sacrifice(state, work),
            Rule::InOrder => None,
        };
        let mut best = sacrifice.map_or(0, |(net, _)| net);
        let mut target = None;
        let shims: Vec<(usize, usize)> = (state.at_hand(self, |kind| &kind.shims, true).into_iter())
            .map(|(k, _)| (k, self.kinds[k].shims.len() - state.shims_at[k]))
            .collect();
        // Breadth first: a slot is reached with as few shims as possible.
        state.round += 1;
        state.reached[from] = (state.round, from, 0);
        let (mut frontier, mut depth) = (vec![from], 1);
        while !frontier.is_empty() && self.most / depth > best && (depth == 1 || work.0 > state.floor) {
            let mut next = Vec::new();
            for at in frontier {
                // Each look counts the shims on the way.
                work.spend(shims.len() * depth as usize);
                for &(k, left) in &shims {
                    let to = (at + self.kinds[k].advance) % self.slots;
                    if state.reached[to].0 == state.round || state.used(from, at, k) >= left {
                        continue;
                    }
                    state.reached[to] = (state.round, at, k);
                    next.push(to);
                    if state.gains[to] / depth > best {
                        (best, target) = (state.gains[to] / depth, Some(to));
                    }
                }
            }
            (frontier, depth) = (next, depth + 1);
        }
        match target {
            Some(to) => self.shims_between(state, from, to),
            None => sacrifice.or_else(|| self.sacrifice(state, work)).map(|(_, i)| i).into_iter().collect(),
        }
    }

    /// The item that loses less by being placed here than can be gained where it leads to, and by how much.
    fn sacrifice(&self, state: &mut State, work: &mut Effort) -> Option<(u64, usize)> {
        let mut best: Option<(u64, usize)> = None;
        let at_hand = state.at_hand(self, |kind| &kind.wanting, false);
        work.spend(at_hand.len());
        for (k, i) in at_hand {
            let lost = self.items[i].want.map_or(0, |w| w.gain);
            let ahead = state.gains[(state.slot + self.kinds[k].advance) % self.slots];
            let net = ahead.saturating_sub(lost);
            if net > best.map_or(0, |(most, _)| most) {
                best = Some((net, i));
            }
        }
        best
    }

    /// The shims that [`Map::bridge`] found to lead from slot `from` to `to`.
    fn shims_between(&self, state: &State, from: usize, to: usize) -> Vec<usize> {
        let mut steps = Vec::new();
        let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
        let mut at = to;
        while at != from {
            let (_, before, k) = state.reached[at];
            let nth = taken.entry(k).or_default();
            let left = self.kinds[k].shims[state.shims_at[k]..].iter().filter(|i| !state.placed[**i]);
            steps.extend(left.copied().nth(*nth));
            *nth += 1;
            at = before;
        }
        steps
    }

    /// Tries other choices along `trail` and keeps what gains more, until none does.
    fn improve(&self, trail: &mut Trail, work: &mut Effort) {
        let sorts: Vec<&[usize]> = (self.groups.iter().map(|g| &self.richest[g.items.clone()]))
            .chain(self.kinds.iter().flat_map(|k| [k.shims.as_slice(), k.wanting.as_slice()]))
            .filter(|sort| !sort.is_empty())
            .collect();
        let mut position = self.positions(trail);
        let mut choices = sorts.len() * (trail.order.len() + 1);
        let (mut at, mut since) = (0, 0);
        while since < choices && work.0 > 0 && trail.gain < self.bound(trail.start) {
            // A step that meets every choice once, each far from the one before.
            let mut step = (choices * 5 / 8) | 1;
            while gcd(step as u64, choices as u64) != 1 {
                step += 2;
            }
            at = (at + step) % choices;
            since += 1;
            let cut = at / sorts.len();
            let other = sorts[at % sorts.len()].iter().copied().find(|i| position[*i] >= cut);
            let Some(other) = other.filter(|i| position[*i] != cut) else { continue };
            let forced: Vec<usize> = trail.order[..cut].iter().copied().chain([other]).collect();
            for rule in [Rule::InOrder, Rule::Richest] {
                let changed = self.walk(trail.start, &forced, rule, work);
                if changed.gain > trail.gain {
                    (*trail, since) = (changed, 0);
                    position = self.positions(trail);
                    choices = sorts.len() * (trail.order.len() + 1);
                    break;
                }
            }
        }
    }

    /// Starts over from `best`, cut short and led elsewhere, as long as that is worth the effort.
    fn kick(&self, best: &mut Trail, work: &mut Effort) {
        let movers: Vec<usize> =
            self.moving.iter().chain(self.kinds.iter().flat_map(|k| &k.shims)).copied().collect();
        // Any sequence will do that is the same every time.
        let mut state = 1u64;
        let mut below = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n.max(1)
        };
        for _ in 0..KICKS {
            if work.0 == 0 || movers.is_empty() || best.gain >= self.bound(best.start) {
                return;
            }
            let cut = below(best.order.len());
            let mut forced = best.order[..cut].to_vec();
            for _ in 0..2 {
                let other = movers[below(movers.len())];
                if !forced.contains(&other) {
                    forced.push(other);
                }
            }
            let mut trail = self.walk(best.start, &forced, Rule::Richest, work);
            self.improve(&mut trail, work);
            if trail.gain > best.gain {
                *best = trail;
            }
        }
    }

    /// Where on the trail each item is; beyond its end if it is not.
    fn positions(&self, trail: &Trail) -> Vec<usize> {
        let mut positions = vec![usize::MAX; self.items.len()];
        trail.order.iter().enumerate().for_each(|(n, i)| positions[*i] = n);
        positions
    }
}

impl State {
    /// Kinds that have items left in the `list` (of shims or of wanting items), each with the first of
    /// them: those that lead to the richest slots, and as many others as are worth a look.
    fn at_hand<'m>(
        &mut self,
        map: &'m Map,
        list: impl Fn(&'m Kind) -> &'m [usize],
        shims: bool,
    ) -> Vec<(usize, usize)> {
        let at = if shims { &mut self.shims_at } else { &mut self.wanting_at };
        let kinds = if shims { &mut self.shims } else { &mut self.wanting };
        let placed = &self.placed;
        let mut first = |k: usize| Some((k, first_left(list(&map.kinds[k]), &mut at[k], placed)?));
        let mut found: Vec<_> = kinds.iter().filter_map(|k| first(*k)).take(SORTS).collect();
        if found.len() == SORTS {
            found.extend(map.by_gain.iter().take(SORTS / 8).filter_map(|slot| {
                let advance = (slot + map.slots - self.slot) % map.slots;
                first(map.kinds.binary_search_by_key(&advance, |kind| kind.advance).ok()?)
            }));
        }
        // Forgetting kinds that are used up takes time as well.
        self.round += 1;
        if self.round.is_multiple_of(64) {
            kinds.retain(|k| at[*k] < list(&map.kinds[*k]).len());
        }
        found
    }

    /// How many shims of kind `k` lead from slot `from` to `at`.
    fn used(&self, from: usize, mut at: usize, k: usize) -> usize {
        let mut count = 0;
        while at != from {
            let (_, before, kind) = self.reached[at];
            count += usize::from(kind == k);
            at = before;
        }
        count
    }
}
