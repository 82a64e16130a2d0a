//! What ggraft asks of the operating system, behind one small safe interface.
//!
//! This crate knows files, offsets and blocks. It must not know tensors, GGUF or plans.

mod map;

pub use map::map_prefix;
