//! A cache of computed pieces of outputs.
//!
//! What is computed once is handed to all who ask for it, also while it is being computed. A tile of which every byte was
//! handed out goes at once: whoever got it has it, the kernel in its own cache. So somebody who reads in order goes through the
//! same few buffers, and the cache is there for those who jump.
//!
//! Knows nothing of what the bytes are.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of a tile; the last one of an output is shorter.
pub const TILE: u64 = 1 << 20;

/// Buffers that are kept to be used again.
const SPARE: usize = 8;

/// Which tile of which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Index of the output.
    pub output: usize,
    /// Index of the tile in it.
    pub tile: u64,
}

/// The cache.
#[derive(Debug)]
pub struct Tiles {
    /// Tiles that it may hold.
    most: usize,
    state: Mutex<State>,
    /// Told whenever a tile is computed, or will not be.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<Key, Slot>,
    /// Computed tiles, those first that were not used for the longest time.
    order: BTreeMap<u64, Key>,
    clock: u64,
    spare: Vec<Arc<Vec<u8>>>,
}

#[derive(Debug)]
enum Slot {
    Computing,
    Ready {
        bytes: Arc<Vec<u8>>,
        /// Bytes that nobody has asked for yet.
        left: usize,
        /// Its place in the order.
        used: u64,
    },
}

/// The promise to compute a tile. Dropped, it lets others try.
#[derive(Debug)]
pub struct Claim<'a> {
    tiles: &'a Tiles,
    key: Key,
    /// Memory for it.
    pub bytes: Vec<u8>,
}

impl Tiles {
    /// Holds at most `bytes` bytes.
    pub fn new(bytes: u64) -> Self {
        let most = usize::try_from(bytes / TILE).unwrap_or(usize::MAX);
        Self { most, state: Mutex::default(), done: Condvar::new() }
    }

    /// The tile `key`, of which `len` bytes are wanted. Waits if somebody is computing it; none if nobody is.
    pub fn get(&self, key: Key, len: usize) -> Option<Arc<Vec<u8>>> {
        let mut state = self.state();
        while let Some(Slot::Computing) = state.slots.get(&key) {
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.hand_out(key, len)
    }

    /// The right to compute the tile `key`; none if somebody does or did, or there is no room.
    pub fn claim(&self, key: Key) -> Option<Claim<'_>> {
        let mut state = self.state();
        if state.slots.contains_key(&key) {
            return None;
        }
        while state.slots.len() >= self.most {
            let (_, oldest) = state.order.pop_first()?;
            state.remove(oldest);
        }
        state.slots.insert(key, Slot::Computing);
        // Those that somebody is still reading are of no use.
        let spare = (0..state.spare.len()).find(|i| Arc::strong_count(&state.spare[*i]) == 1);
        let bytes = spare.and_then(|i| Arc::into_inner(state.spare.swap_remove(i))).unwrap_or_default();
        Some(Claim { tiles: self, key, bytes })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hand_out(&mut self, key: Key, len: usize) -> Option<Arc<Vec<u8>>> {
        self.clock += 1;
        let Slot::Ready { bytes, left, used } = self.slots.get_mut(&key)? else { return None };
        *left = left.saturating_sub(len);
        self.order.remove(used);
        if *left == 0 {
            let bytes = bytes.clone();
            self.remove(key);
            return Some(bytes);
        }
        *used = self.clock;
        self.order.insert(self.clock, key);
        Some(bytes.clone())
    }

    fn remove(&mut self, key: Key) {
        if let Some(Slot::Ready { bytes, .. }) = self.slots.remove(&key)
            && self.spare.len() < SPARE
        {
            self.spare.push(bytes);
        }
    }
}

impl Claim<'_> {
    /// The tile is computed.
    pub fn fulfil(mut self) {
        let bytes = Arc::new(std::mem::take(&mut self.bytes));
        let mut state = self.tiles.state();
        state.clock += 1;
        let (left, used) = (bytes.len(), state.clock);
        state.slots.insert(self.key, Slot::Ready { bytes, left, used });
        state.order.insert(used, self.key);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.tiles.state();
        if let Some(Slot::Computing) = state.slots.get(&self.key) {
            state.slots.remove(&self.key);
        }
        drop(state);
        self.tiles.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn key(tile: u64) -> Key {
        Key { output: 0, tile }
    }

    fn put(tiles: &Tiles, tile: u64, len: usize) {
        let mut claim = tiles.claim(key(tile)).unwrap();
        claim.bytes = vec![tile as u8; len];
        claim.fulfil();
    }

    #[test]
    fn what_was_handed_out_whole_goes() {
        let tiles = Tiles::new(4 * TILE);
        put(&tiles, 1, 100);
        assert_eq!(tiles.get(key(1), 60).unwrap()[0], 1);
        assert!(tiles.get(key(1), 40).is_some());
        assert!(tiles.get(key(1), 1).is_none());
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_makes_room() {
        let tiles = Tiles::new(2 * TILE);
        put(&tiles, 1, 100);
        put(&tiles, 2, 100);
        assert!(tiles.get(key(1), 1).is_some());
        put(&tiles, 3, 100);
        let there = [1, 2, 3].map(|tile| tiles.get(key(tile), 1).is_some());
        assert_eq!(there, [true, false, true]);
    }

    #[test]
    fn nothing_is_computed_without_room() {
        let tiles = Tiles::new(TILE);
        let claim = tiles.claim(key(1)).unwrap();
        assert!(tiles.claim(key(1)).is_none() && tiles.claim(key(2)).is_none());
        drop(claim);
        assert!(tiles.claim(key(2)).is_some());
        assert!(Tiles::new(0).claim(key(1)).is_none());
    }

    #[test]
    fn who_asks_meanwhile_waits() {
        let tiles = Tiles::new(4 * TILE);
        let mut claim = tiles.claim(key(1)).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| tiles.get(key(1), 1).map(|bytes| bytes.len()));
            claim.bytes = vec![0; 7];
            claim.fulfil();
            assert_eq!(waiting.join().unwrap(), Some(7));
        });
        let claim = tiles.claim(key(2)).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| tiles.get(key(2), 1));
            drop(claim);
            assert_eq!(waiting.join().unwrap(), None);
        });
    }
}
