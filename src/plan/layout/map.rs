//! What the search knows of the items before it starts: which want which phase, and which lead from one to another.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use super::Item;

/// Items that want the same phase and move it on by the same distance.
pub struct Group {
    pub advance: usize,
    /// Into [`Map::moving`], in order.
    pub items: Range<usize>,
}

/// Items that move the phase by the same distance, wherever they are put.
pub struct Kind {
    pub advance: usize,
    /// Those that want nothing, in order.
    pub shims: Vec<usize>,
    /// Those that would lose their gain, smallest first.
    pub wanting: Vec<usize>,
}

/// What does not change during a search.
#[derive(Default)]
pub struct Map<'a> {
    pub items: &'a [Item],
    /// Bytes per slot.
    pub unit: u64,
    pub slots: usize,
    /// Bytes to be gained, by slot, and the most of them.
    pub gains: Vec<u64>,
    pub most: u64,
    /// Slots where anything can be gained, the richest first.
    pub by_gain: Vec<usize>,
    /// Items that want a slot and stay there.
    pub staying: Vec<Vec<usize>>,
    /// Into `groups`, by slot.
    pub leaving: Vec<Range<usize>>,
    pub groups: Vec<Group>,
    /// The group of an item that has one.
    pub group_of: Vec<usize>,
    pub moving: Vec<usize>,
    /// The same, largest gain first within each group.
    pub richest: Vec<usize>,
    /// Items that want nothing and move nothing: they can go anywhere.
    pub neutral: Vec<usize>,
    pub kinds: Vec<Kind>,
    /// Greatest common divisor of all advances: slots that differ by anything else never meet.
    pub stride: usize,
    /// Bytes to be gained, by slot modulo `stride`.
    pub bounds: Vec<u64>,
}

/// An item that leaves the slot it wants: that slot, how far it moves on, and which item it is.
type Leaving = (usize, usize, usize);

/// The greatest common divisor.
pub fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl<'a> Map<'a> {
    pub fn new(items: &'a [Item], block: u64) -> Self {
        let unit = items
            .iter()
            .fold(block, |unit, item| gcd(gcd(unit, item.advance), item.want.map_or(0, |w| w.phase)));
        let slots = (block / unit) as usize;
        let mut map = Self {
            items,
            unit,
            slots,
            gains: vec![0; slots],
            staying: vec![Vec::new(); slots],
            group_of: vec![usize::MAX; items.len()],
            ..Self::default()
        };
        let mut leaving = map.sort();
        map.by_gain = (0..slots).filter(|s| map.gains[*s] > 0).collect();
        map.by_gain.sort_by_key(|s| Reverse(map.gains[*s]));
        map.most = map.gains.iter().copied().max().unwrap_or(0);
        leaving.sort_unstable();
        map.group(&leaving);
        map.stride = map.kinds.iter().fold(slots, |s, kind| gcd(s as u64, kind.advance as u64) as usize);
        map.bounds = vec![0; map.stride];
        for (slot, gain) in map.gains.iter().enumerate() {
            map.bounds[slot % map.stride] += gain;
        }
        map
    }

    /// Puts every item where it belongs, but for those that leave the slot they want: these are returned.
    fn sort(&mut self) -> Vec<Leaving> {
        let slot = |phase: u64| (phase / self.unit) as usize;
        let mut kinds: BTreeMap<usize, Kind> = BTreeMap::new();
        let mut leaving = Vec::new();
        for (i, item) in self.items.iter().enumerate() {
            let advance = slot(item.advance);
            if advance != 0 {
                let new = || Kind { advance, shims: Vec::new(), wanting: Vec::new() };
                let kind = kinds.entry(advance).or_insert_with(new);
                if item.want.is_some() { &mut kind.wanting } else { &mut kind.shims }.push(i);
            }
            match item.want {
                Some(want) => {
                    self.gains[slot(want.phase)] += want.gain;
                    match advance {
                        0 => self.staying[slot(want.phase)].push(i),
                        _ => leaving.push((slot(want.phase), advance, i)),
                    }
                }
                None if advance == 0 => self.neutral.push(i),
                None => {}
            }
        }
        self.kinds = kinds.into_values().collect();
        for kind in &mut self.kinds {
            kind.wanting.sort_by_key(|i| self.items[*i].want.map(|w| w.gain));
        }
        leaving
    }

    /// Makes groups of `leaving`, which is in order.
    fn group(&mut self, leaving: &[Leaving]) {
        self.moving = leaving.iter().map(|(_, _, i)| *i).collect();
        self.richest = self.moving.clone();
        self.leaving.reserve(self.slots);
        let mut at = 0;
        for slot in 0..self.slots {
            let first = self.groups.len();
            while let Some(&(_, advance, _)) = leaving.get(at).filter(|l| l.0 == slot) {
                let count = leaving[at..].iter().take_while(|l| l.0 == slot && l.1 == advance).count();
                leaving[at..at + count].iter().for_each(|l| self.group_of[l.2] = self.groups.len());
                self.richest[at..at + count].sort_by_key(|i| Reverse(self.items[*i].want.map(|w| w.gain)));
                self.groups.push(Group { advance, items: at..at + count });
                at += count;
            }
            self.leaving.push(first..self.groups.len());
        }
    }

    /// No path from slot `start` shares more.
    pub fn bound(&self, start: usize) -> u64 {
        self.bounds[start % self.stride]
    }
}
