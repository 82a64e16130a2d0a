//! What a process needs to go on working when whoever started it has gone.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{FromRawFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

/// The open file that whoever started this process left it under number `fd`, to be taken once. Children do not get it.
///
/// # Errors
/// If there is none, or it is one of the standard streams.
pub fn inherited(fd: RawFd) -> io::Result<File> {
    if fd <= 2 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "0, 1 and 2 are the standard streams"));
    }
    // SAFETY: the number is only asked about; if it is not open, the call fails.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open, and whoever calls this says that nobody else in this process has it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Leaves the terminal: its signals go elsewhere, and the standard streams nowhere. Standard error stays if it is a regular
/// file, such as a log.
///
/// # Errors
/// What the operating system says.
pub fn leave_terminal() -> io::Result<()> {
    // It fails for the leader of a group, who has no terminal's signals to fear from others.
    _ = setsid();
    let nowhere = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&nowhere)?;
    dup2_stdout(&nowhere)?;
    let kind = fstat(io::stderr()).map_or(SFlag::empty(), |found| SFlag::from_bits_truncate(found.st_mode));
    if kind & SFlag::S_IFMT != SFlag::S_IFREG {
        dup2_stderr(&nowhere)?;
    }
    Ok(())
}
