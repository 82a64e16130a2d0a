//! Code of the tokenizers crate, run on strangers' files: should it panic, that is the file's fault.
//!
//! The crate trusts its input. A template that names a token it does not describe, or a pattern that
//! needs too many steps, ends in a panic.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use crate::error::{Error, Result};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What [`refuse`] throws: the part of the tokenizer that grew.
struct Grown(&'static str);

/// Ends the [`guarded`] code this is called in: a part of the tokenizer makes a text far longer than it was.
pub fn refuse(part: &'static str) -> ! {
    panic::panic_any(Grown(part))
}

/// Runs `run`, which works on the file `path`. Panics of this thread become an error, without a message
/// of their own on standard error.
///
/// # Errors
/// If it panics.
pub fn guarded<T>(path: &Path, run: impl FnOnce() -> T) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    QUIET.set(false);
    result.map_err(|thrown| match thrown.downcast_ref() {
        Some(Grown(part)) => {
            Error::invalid(path, format!("{part}: makes texts many times as long as they are"))
        }
        None => Error::invalid(path, "the tokenizer library cannot handle this tokenizer"),
    })
}
