//! Ends the process when more memory is held at once than any file of a model may cause.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes.
const MOST: usize = 256 << 20;

static HELD: AtomicUsize = AtomicUsize::new(0);
static AT_START: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

/// What is held now does not count: libFuzzer's corpus, what was read once.
pub fn start() {
    AT_START.store(HELD.load(Ordering::Relaxed), Ordering::Relaxed);
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        if held.saturating_sub(AT_START.load(Ordering::Relaxed)) > MOST {
            eprintln!("more than {MOST} bytes of memory, with the last {}", layout.size());
            std::process::abort();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}
