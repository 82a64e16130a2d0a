//! Ctrl-C and termination signals, as a flag that long work looks at between steps.
//!
//! Whoever waits for a process wants to know that a signal ended it: a shell leaves its loop only then, and a
//! service manager takes an exit code for a failure. So the command cleans up and dies of the signal after all.
//!
//! A process that stands for another one, which it runs, passes signals on instead ([`relay`]).

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, raise, signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::flag;
use signal_hook_registry::register_sigaction;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether the next signal ends the process at once.
static AT_ONCE: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Whether it never does.
static NEVER_AT_ONCE: AtomicBool = AtomicBool::new(false);

/// Number of the last signal; 0 before the first.
static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// Whether signals are for a child.
static RELAYING: AtomicBool = AtomicBool::new(false);

/// A bit for each signal that is still to be passed on.
static PENDING: AtomicU64 = AtomicU64::new(0);

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
        flag::register_conditional_default(signal, AT_ONCE.clone())?;
        let at_once = AT_ONCE.clone();
        // SAFETY: it only sets atomics.
        unsafe {
            register_sigaction(signal, move |info| {
                RECEIVED.store(signal, Ordering::Relaxed);
                if RELAYING.load(Ordering::Relaxed) {
                    pend(signal, info);
                } else {
                    INTERRUPTED.store(true, Ordering::Relaxed);
                    at_once.store(!NEVER_AT_ONCE.load(Ordering::Relaxed), Ordering::Relaxed);
                }
            })?;
        }
    }
    Ok(())
}

/// From now on a second signal does not end the process at once: there is something to take away that would stay, which
/// takes no time. Some send a signal twice, as `timeout` does, to a process and to its group.
pub fn never_at_once() {
    NEVER_AT_ONCE.store(true, Ordering::Relaxed);
    AT_ONCE.store(false, Ordering::Relaxed);
}

/// From now on signals are for a child ([`pass_on`]), and do not set the flag. To be called after [`install`].
///
/// # Errors
/// If the handlers cannot be installed.
pub fn relay() -> io::Result<()> {
    RELAYING.store(true, Ordering::Relaxed);
    for signal in [SIGQUIT, SIGUSR1, SIGUSR2] {
        if !is_ignored(signal)? {
            // SAFETY: it only sets atomics.
            unsafe { register_sigaction(signal, move |info| pend(signal, info))? };
        }
    }
    Ok(())
}

/// Remembers that `signal` is to be passed on, unless the terminal sent it: then it went to the child as well.
fn pend(signal: libc::c_int, info: &libc::siginfo_t) {
    if info.si_code != SI_KERNEL {
        PENDING.fetch_or(1 << signal, Ordering::Relaxed);
    }
}

#[cfg(target_os = "linux")]
use libc::SI_KERNEL;

/// Elsewhere nothing tells whom a signal went to.
#[cfg(not(target_os = "linux"))]
const SI_KERNEL: libc::c_int = libc::c_int::MIN;

/// Passes on the signals that came since the last call.
pub fn pass_on(mut to: impl FnMut(Signal)) {
    let pending = PENDING.swap(0, Ordering::Relaxed);
    (1..64).filter(|n| pending >> n & 1 == 1).filter_map(|n| Signal::try_from(n).ok()).for_each(&mut to);
}

/// Tells that `number` ended the child: the process was asked to stop with it if it came here, too.
pub fn child_died_of(number: i32) {
    if RECEIVED.load(Ordering::Relaxed) != number {
        RECEIVED.store(0, Ordering::Relaxed);
    }
}

/// Tells that the child has ended without being killed: what it was told, it has dealt with.
pub fn child_exited() {
    RECEIVED.store(0, Ordering::Relaxed);
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
    Signal::try_from(RECEIVED.load(Ordering::Relaxed)).ok()
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
