//! Converts Hugging Face checkpoints to GGUF without copying the bytes that do not change.
//!
//! Stages, each one plain data type away from the next: [`checkpoint`] (what is where), [`arch`]
//! (what the GGUF must contain), `plan` (which byte of which file goes where), `evaluate` (what the
//! bytes are), `write` (into files, cloned where possible). `docs/architecture.md` draws the picture.

#![deny(unsafe_code)]

pub mod advice;
pub mod align;
pub mod arch;
pub mod batch;
pub mod checkpoint;
pub mod cli;
pub mod compare;
pub mod config;
pub mod conversion;
pub mod describe;
pub mod dtype;
pub mod error;
pub mod evaluate;
pub mod explain;
mod ggml_types;
pub mod gguf;
mod hex;
mod input;
pub mod inspect;
pub mod json;
pub mod kernels;
pub mod metadata;
pub mod mount;
pub mod plan;
pub mod source;
mod table;
pub mod tensor;
pub mod verify;
pub mod vocab;
pub mod write;

pub use error::{Error, Result};
