//! Ctrl-C and termination signals, as a flag that long work looks at between steps.
//!
//! Whoever waits for a process wants to know that a signal ended it: a shell leaves its loop only then, and a
//! service manager takes an exit code for a failure. So the command cleans up and dies of the signal after all.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, raise, signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Number of the last signal; 0 before the first.
static RECEIVED: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// From now on SIGINT, SIGTERM and SIGHUP set the flag; a second one ends the process at once. A signal
/// that is ignored stays so: `nohup`, and shells for background jobs, arrange that for a reason.
/// Calling this again does nothing.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn install() -> io::Result<()> {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if INSTALLED.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if is_ignored(signal)? {
            continue;
        }
        // Registered first, so that it sees the flag as it was before this signal.
        flag::register_conditional_default(signal, INTERRUPTED.clone())?;
        flag::register_usize(signal, RECEIVED.clone(), signal as usize)?;
        flag::register(signal, INTERRUPTED.clone())?;
    }
    Ok(())
}

/// Asks this process to stop, as SIGTERM does, unless it was asked already: a second signal would not let it clean up.
pub fn stop() {
    if !interrupted() {
        // What cannot be signalled has ended.
        _ = raise(Signal::SIGTERM);
    }
}

/// Whether the process was asked to stop.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// The signal it was asked to stop with.
pub fn received() -> Option<Signal> {
    Signal::try_from(RECEIVED.load(Ordering::Relaxed) as libc::c_int).ok()
}

/// Ends the process by the signal that it was asked to stop with, without running anything that is left to run.
/// Returns if there was none.
///
/// A process that no signal can end (the first one of a container) exits with 128 and the signal's number instead.
pub fn die_if_interrupted() {
    let Some(received) = received() else { return };
    // SAFETY: the default action runs no code of this process.
    if unsafe { signal(received, SigHandler::SigDfl) }.is_ok() {
        // If it fails, or does nothing, the exit code has to tell.
        _ = raise(received);
    }
    std::process::exit(128 + received as libc::c_int);
}

fn is_ignored(signal: libc::c_int) -> io::Result<bool> {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call only writes the present one to `now`.
    Errno::result(unsafe { libc::sigaction(signal, ptr::null(), now.as_mut_ptr()) })?;
    // SAFETY: written by the call, and zeros are a valid value before it.
    Ok(unsafe { now.assume_init() }.sa_sigaction == libc::SIG_IGN)
}
