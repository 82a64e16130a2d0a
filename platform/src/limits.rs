//! Limits of this process.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lets this process open as many files at once as the administrator allows; by default it is fewer. Gives how many
/// that are; none if nobody knows.
pub fn raise_open_file_limit() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let raised = soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    Some(if raised { hard } else { soft })
}
