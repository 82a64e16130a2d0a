//! Limits of this process.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lets this process open as many files at once as the administrator allows; by default it is fewer.
pub fn raise_open_file_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // If it stays as it is, the first file too many is reported.
        _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
