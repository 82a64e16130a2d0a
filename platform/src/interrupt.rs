//! Ctrl-C and termination signals, as a flag that long work looks at between steps.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on SIGINT, SIGTERM and SIGHUP set the flag; a second one ends the process at once.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn install() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Registered first, so that it sees the flag as it was before this signal.
        flag::register_conditional_default(signal, INTERRUPTED.clone())?;
        flag::register(signal, INTERRUPTED.clone())?;
    }
    Ok(())
}

/// Whether the process was asked to stop.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
