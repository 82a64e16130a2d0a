//! Child processes: what they took, for tests and benchmarks of what this program promises; and that they hear of signals.

use std::io;
use std::mem::MaybeUninit;
#[cfg(target_os = "linux")]
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use crate::interrupt;

/// Has the kernel end `command`'s process (SIGTERM) when the thread that starts it ends.
#[cfg(target_os = "linux")]
pub fn die_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    // SAFETY: between fork and exec the closure makes two system calls, and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)?;
            // It may have ended before that.
            if nix::unistd::getppid() == parent { Ok(()) } else { Err(nix::errno::Errno::ESRCH.into()) }
        });
    }
}

/// Other kernels do not know this.
#[cfg(not(target_os = "linux"))]
pub fn die_with_parent(_: &mut Command) {}

/// Passes on to `child` the signals that came since the last call, after [`interrupt::relay`].
pub fn forward(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // What cannot be signalled has ended.
        interrupt::pass_on(|signal| _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal));
    }
}

/// How a process ended, and what it took until then.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Its exit code, or the signal that killed it.
    pub status: ExitStatus,
    /// The most memory it had at once, in bytes. A process starts with that of the one that started it.
    pub peak: u64,
    /// The time that processors spent on it.
    pub cpu: Duration,
}

/// Waits for `child` to end.
///
/// # Errors
/// What the operating system says.
pub fn wait_with_usage(child: Child) -> io::Result<Usage> {
    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::zeroed());
    loop {
        // SAFETY: both pointers are to memory of the right type that lives until the call returns.
        let waited = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
        if waited == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: it consists of numbers, which were zero and which the kernel has set.
    let usage = unsafe { usage.assume_init() };
    let time = |t: libc::timeval| {
        let (seconds, micros) = (u64::try_from(t.tv_sec).unwrap_or(0), u64::try_from(t.tv_usec).unwrap_or(0));
        Duration::from_secs(seconds) + Duration::from_micros(micros)
    };
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Ok(Usage {
        status: ExitStatus::from_raw(status),
        peak: u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit,
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn tells_the_exit_code_and_some_memory() {
        let child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let usage = wait_with_usage(child).unwrap();
        assert_eq!(usage.status.code(), Some(7));
        assert!(usage.peak > 1 << 16 && usage.cpu < Duration::from_secs(60), "{usage:?}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_child_ends_with_the_thread_that_started_it() {
        let start = || {
            let mut command = Command::new("sleep");
            command.arg("60");
            die_with_parent(&mut command);
            command.spawn().unwrap()
        };
        let child = std::thread::spawn(start).join().unwrap();
        let usage = wait_with_usage(child).unwrap();
        assert_eq!(usage.status.signal(), Some(libc::SIGTERM), "and does not sleep for a minute");
    }
}
