//! Limits of this process.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};

/// Lets this process open as many files at once as the administrator allows; by default it is fewer.
pub fn raise_open_file_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // If it stays as it is, the first file too many is reported.
        _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// From now on writing beyond the limit of file sizes (`ulimit -f`) fails with [`io::ErrorKind::FileTooLarge`];
/// by default the system ends the process without a word. For the whole process, and those that it starts.
///
/// # Errors
/// What the operating system says.
pub fn report_file_size_limit() -> io::Result<()> {
    // SAFETY: ignoring a signal runs no code of this process.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }?;
    Ok(())
}
