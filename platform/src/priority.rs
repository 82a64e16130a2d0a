//! How urgently the kernel serves this process and those it starts.

use std::io;

use crate::sys;

/// Makes this process less urgent for processors: `nice` from 0 to 19.
///
/// # Errors
/// What the operating system says.
pub fn set_nice(nice: i32) -> io::Result<()> {
    // SAFETY: takes and returns numbers only.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How urgently disks serve a process (`ioprio_set(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoPriority {
    /// When nobody else wants them.
    Idle,
    /// As others; 0 is the most urgent level, 7 the least.
    BestEffort(u8),
}

/// Sets how urgently disks serve this process. Nothing happens where the kernel has no such thing.
///
/// # Errors
/// What the operating system says.
pub fn set_io_priority(priority: IoPriority) -> io::Result<()> {
    sys::set_io_priority(match priority {
        IoPriority::BestEffort(level) => (2, level.min(7)),
        IoPriority::Idle => (3, 7),
    })
}

#[cfg(test)]
#[cfg(all(target_os = "linux", not(feature = "portable")))]
mod tests {
    use super::*;

    /// Linux has both for each thread, and a thread of this process is not missed.
    #[test]
    fn what_is_set_is_what_the_kernel_has() {
        let set = || {
            set_nice(19).unwrap();
            // SAFETY: takes and returns numbers only.
            assert_eq!(unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }, 19);
            // Only root may be more urgent again.
            assert!(set_nice(-30).is_err() || nix::unistd::geteuid().is_root());
            for (priority, class, level) in [
                (IoPriority::BestEffort(3), 2, 3),
                (IoPriority::BestEffort(9), 2, 7),
                (IoPriority::Idle, 3, 7),
            ] {
                set_io_priority(priority).unwrap();
                // SAFETY: takes and returns numbers only: of this thread (1 is IOPRIO_WHO_PROCESS).
                let found = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, 0) };
                assert_eq!((found >> 13, found & 7), (class, level), "{priority:?}");
            }
        };
        std::thread::spawn(set).join().unwrap();
    }
}
