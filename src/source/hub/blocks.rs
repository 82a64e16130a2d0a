//! Parts of large files that several threads read: each is fetched once, by whoever needs it first, while others wait.
//!
//! Neighbouring reads share a request that way, and as many parts are on their way at once as there are readers. The
//! parts used last are kept, no more of them than fit.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::Result;

/// Bytes of a part.
pub const BLOCK: u64 = 2 << 20;

/// Parts that are kept.
const MOST: usize = 24;

/// A part: which file, and which of its blocks.
pub type Key = (usize, u64);

/// What was or is being fetched.
#[derive(Debug, Default)]
pub struct Blocks {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    parts: HashMap<Key, Part>,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
enum Part {
    Coming,
    Here { bytes: Arc<Vec<u8>>, used: u64 },
}

impl Blocks {
    /// The bytes of `key`, which `fetch` gets if nobody has.
    ///
    /// # Errors
    /// Those of `fetch`.
    pub fn get(&self, key: Key, fetch: impl FnOnce() -> Result<Vec<u8>>) -> Result<Arc<Vec<u8>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            state.clock += 1;
            let now = state.clock;
            match state.parts.get_mut(&key) {
                Some(Part::Here { bytes, used }) => {
                    *used = now;
                    return Ok(bytes.clone());
                }
                Some(Part::Coming) => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                None => break,
            }
        }
        state.parts.insert(key, Part::Coming);
        drop(state);
        let fetched = fetch().map(Arc::new);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &fetched {
            Ok(bytes) => {
                let used = state.clock;
                state.parts.insert(key, Part::Here { bytes: bytes.clone(), used });
                state.shrink();
            }
            // Who waits for it tries for himself.
            Err(_) => drop(state.parts.remove(&key)),
        }
        drop(state);
        self.changed.notify_all();
        fetched
    }
}

impl State {
    /// Forgets what was not used for the longest time.
    fn shrink(&mut self) {
        while self.parts.len() > MOST {
            let here = self.parts.iter().filter_map(|(key, part)| match part {
                Part::Here { used, .. } => Some((*used, *key)),
                Part::Coming => None,
            });
            let Some((_, oldest)) = here.min() else { return };
            self.parts.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::error::Error;

    #[test]
    fn each_part_is_fetched_once_and_the_oldest_goes() {
        let (blocks, fetched) = (Blocks::default(), AtomicUsize::new(0));
        let get = |block: u64| {
            let bytes = blocks.get((0, block), || {
                fetched.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
                Ok(vec![block as u8; 4])
            });
            assert_eq!(*bytes.unwrap(), [block as u8; 4]);
        };
        thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| get(1)))));
        assert_eq!(fetched.load(Ordering::Relaxed), 1);
        (2..=MOST as u64).for_each(get);
        get(1);
        assert_eq!(fetched.load(Ordering::Relaxed), MOST);
        get(MOST as u64 + 1);
        get(1);
        get(2);
        assert_eq!(fetched.load(Ordering::Relaxed), MOST + 2, "2 was the one not used for the longest time");
    }

    #[test]
    fn a_failure_is_told_and_not_kept() {
        let blocks = Blocks::default();
        assert!(blocks.get((0, 0), || Err(Error::Interrupted)).is_err());
        assert_eq!(*blocks.get((0, 0), || Ok(vec![7])).unwrap(), [7]);
    }
}
