//! Limits of this process and this machine.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::sys;

/// Bytes of memory that are free or can be freed without harm, the page cache among them; none if nobody knows.
pub fn available_memory() -> Option<u64> {
    sys::available_memory()
}

/// Lets this process open as many files at once as the administrator allows; by default it is fewer.
pub fn raise_open_file_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // If it stays as it is, the first file too many is reported.
        _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
