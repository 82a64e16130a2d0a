//! Waiting for data that were written a moment ago: until they are committed, ZFS cannot share their blocks.

use std::thread::sleep;
use std::time::Duration;

use crate::{CloneError, Refusal, interrupt};

/// ZFS commits what was written every 5 seconds unless told otherwise.
const ENOUGH: Duration = Duration::from_secs(6);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long clones may still wait, all of them together. Once that is used up, each is tried once.
#[derive(Debug)]
pub struct Patience {
    left: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { left: ENOUGH }
    }
}

impl Patience {
    /// Tries a clone, and again as long as the source's data are not committed, there is patience left, and nobody
    /// has asked the process to stop.
    ///
    /// # Errors
    /// That of the last attempt.
    pub fn retry(&mut self, mut attempt: impl FnMut() -> Result<(), CloneError>) -> Result<(), CloneError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let result = attempt();
            let uncommitted = matches!(result, Err(CloneError::CopyInstead(Refusal::Uncommitted)));
            if !uncommitted || self.left.is_zero() || interrupt::interrupted() {
                return result;
            }
            pause = pause.min(self.left);
            sleep(pause);
            self.left -= pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn uncommitted() -> Result<(), CloneError> {
        Err(CloneError::CopyInstead(Refusal::Uncommitted))
    }

    #[test]
    fn a_clone_waits_until_the_data_are_committed() {
        let mut answers = [uncommitted(), uncommitted(), Ok(())].into_iter();
        let mut patience = Patience::default();
        patience.retry(|| answers.next().unwrap()).unwrap();
        assert_eq!(patience.left, ENOUGH - FIRST_PAUSE * 3, "10 ms, then 20");
    }

    #[test]
    fn all_clones_together_wait_no_longer_than_one() {
        let (start, short) = (Instant::now(), Duration::from_millis(50));
        let mut patience = Patience { left: short };
        let mut attempts = 0;
        for _ in 0..1000 {
            let result = patience.retry(|| {
                attempts += 1;
                uncommitted()
            });
            assert!(matches!(result, Err(CloneError::CopyInstead(Refusal::Uncommitted))));
        }
        // 10 + 20 + 20 ms, and each clone once more.
        assert_eq!(attempts, 1003);
        assert!(start.elapsed() >= short && patience.left.is_zero());
    }

    #[test]
    fn nothing_else_is_tried_again() {
        for refusal in [Refusal::CrossDevice, Refusal::Unexplained, Refusal::Busy] {
            let mut attempts = 0;
            let result = Patience::default().retry(|| {
                attempts += 1;
                Err(CloneError::CopyInstead(refusal.clone()))
            });
            assert!(result.is_err() && attempts == 1);
        }
    }
}
