//! What ggraft asks of the operating system, behind one small safe interface.
//!
//! This crate knows files, offsets and blocks. It must not know tensors, GGUF or plans.

mod atomic;
mod clone;
mod extents;
mod fs;
mod io;
mod map;

pub mod interrupt;

pub use atomic::AtomicFile;
pub use clone::{CloneError, Refusal, can_clone, clone_range};
pub use extents::{ExtentUsage, shared_bytes};
pub use fs::FileSystem;
pub use io::{read_exact_at, write_all_at};
pub use map::map_prefix;
