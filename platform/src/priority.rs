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
