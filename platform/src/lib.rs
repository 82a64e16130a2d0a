//! What ggraft asks of the operating system, behind one small safe interface.
//!
//! This crate knows files, offsets and blocks. It must not know tensors, GGUF or plans.

mod atomic;
mod boot;
#[cfg(all(target_os = "linux", not(feature = "portable")))]
mod cgroup;
mod child;
mod clone;
mod daemon;
mod extents;
mod fs;
mod identity;
mod io;
mod limits;
mod lock;
mod memory;
mod mount;
mod patience;
mod priority;
#[cfg_attr(all(target_os = "linux", not(feature = "portable")), path = "linux.rs")]
#[cfg_attr(not(all(target_os = "linux", not(feature = "portable"))), path = "portable.rs")]
mod sys;

pub mod interrupt;

pub use atomic::{
    AtomicFile, Flushed, Links, PublishError, Published, output_target, parent, remove_leftovers, resemble,
    sync_directory,
};
pub use boot::boot_id;
pub use child::{Usage, die_with_parent, forward, wait_with_usage};
pub use clone::{CloneError, Refusal, can_clone, can_clone_within, clone_range};
pub use daemon::{inherited, leave_terminal};
pub use extents::{Extent, ExtentUsage, extents_at, for_each_extent, shared_bytes};
pub use fs::{FileSystem, leads_nowhere, look};
pub use identity::{Identity, set_modified};
pub use io::{
    advise_sequential, append_exact_at, copy_in_kernel, drop_cache, next_data, preallocate, read_exact_at,
    start_writeback, write_all_at,
};
pub use limits::{open_file_limit, report_file_size_limit};
pub use lock::{Lock, LockError};
pub use memory::{advise_huge_pages, available_memory, give_back_large_buffers};
pub use mount::{is_root, owner, set_read_ahead, unmount};
pub use patience::Patience;
pub use priority::{IoPriority, set_io_priority, set_nice};
