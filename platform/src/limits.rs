//! How many files may be open.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};

/// More open files than anybody needs at once.
const PLENTY: u64 = 1 << 16;

/// Raises the limit on open files to what the system allows, and answers it: models come in many shards.
pub fn open_file_limit() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 256 };
    let wanted = hard.min(PLENTY.max(soft));
    // If it cannot be raised, what there is has to do.
    let limit = if setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() { wanted } else { soft };
    usize::try_from(limit).unwrap_or(usize::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_is_answered_holds() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let limit = open_file_limit() as u64;
        let (soft, now) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!((soft, now), (limit, hard), "only the soft one is raised");
        assert!(limit >= hard.min(PLENTY), "{limit} of {hard}");
    }
}
