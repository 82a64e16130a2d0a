//! Trying again: sooner at first, then later, as the hub wishes, and not for ever.

use std::io;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ggraft_platform::interrupt;

use super::client::{Client, Failure, Refusal, origin_path};
use crate::error::{Error, Result};

/// How often in a row it may fail.
const MOST: u32 = 9;

/// How often, if nobody ever answered: the address is wrong, or there is no network.
const MOST_AT_FIRST: u32 = 4;

/// The first wait; each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The longest wait by our own choice.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The longest wait that the hub may ask for.
const LONGEST_WISH: Duration = Duration::from_secs(600);

/// How often to look for signals while waiting.
const TICK: Duration = Duration::from_millis(50);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Retries(u32);

/// What is left of a failure when trying again is no use.
#[derive(Debug)]
pub enum Reason {
    /// The hub's word.
    Refused(Refusal),
    /// As it is.
    Error(Error),
}

impl From<Error> for Reason {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Retries {
    /// It worked, at least in part.
    pub fn succeeded(&mut self) {
        self.0 = 0;
    }

    /// Waits until it may be tried again to get something from the hub of `client`.
    ///
    /// # Errors
    /// If that is no use.
    pub fn wait(&mut self, client: &Client, failure: Failure) -> Result<(), Reason> {
        let (what, wish) = match failure {
            Failure::Passing(what, wish) => (what, wish),
            Failure::Refused(refusal) => return Err(Reason::Refused(refusal)),
            Failure::Final(error) => return Err(Reason::Error(error)),
        };
        self.0 += 1;
        let most = if client.has_answered() { MOST } else { MOST_AT_FIRST };
        if self.0 >= most {
            let source = io::Error::other(format!("{what}; tried {} times", self.0));
            return Err(Reason::Error(Error::io(
                "cannot read from",
                origin_path(&client.settings.endpoint),
                source,
            )));
        }
        let own = (FIRST_WAIT * (1 << (self.0 - 1))).min(LONGEST_WAIT);
        // So that those who failed together do not come back together.
        let own = own / 2 + own.mul_f64(f64::from(jitter()) / 2000.0);
        let wait = wish.map_or(own, |wish| wish.min(LONGEST_WISH).max(own));
        tracing::debug!("{what}; trying again in {:.1} s", wait.as_secs_f64());
        sleep(wait).map_err(Reason::Error)
    }
}

/// A number below 1000 that others do not have.
fn jitter() -> u32 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.subsec_micros() % 1000)
}

/// Sleeps, unless a signal comes.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn sleep(wait: Duration) -> Result<()> {
    let end = Instant::now() + wait;
    loop {
        if interrupt::interrupted() {
            return Err(Error::Interrupted);
        }
        let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
            return Ok(());
        };
        thread::sleep(left.min(TICK));
    }
}
