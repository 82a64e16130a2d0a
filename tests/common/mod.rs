//! Model directories made from a description and a seed, shared by the integration tests.
//!
//! Knows nothing of GGUF, and uses nothing of the library: what it writes is the tests' input.

pub mod model_dir;
pub mod weights;
