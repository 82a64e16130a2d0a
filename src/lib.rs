//! Converts Hugging Face checkpoints to GGUF without copying the bytes that do not change.
//!
//! A directory becomes a GGUF file in two steps: [`Conversion::prepare`](conversion::Conversion::prepare) reads headers,
//! configuration and tokenizer and plans every byte; [`run`](conversion::Conversion::run) carries the plan out.
//!
//! ```
//! use ggraft::conversion::{Conversion, Options};
//!
//! let dir = tempfile::tempdir().unwrap();
//! let options = Options::new("tests/models/tiny-llama", dir.path().join("tiny.gguf"));
//! let conversion = Conversion::prepare(&options)?;
//! let report = conversion.run(&mut |_bytes_done| {})?;
//! assert_eq!(report.outputs[0].bytes, dir.path().join("tiny.gguf").metadata().unwrap().len());
//! println!("{} of {} bytes shared", report.bytes.cloned, report.bytes.total);
//! # Ok::<(), ggraft::Error>(())
//! ```
//!
//! Stages, each one plain data type away from the next: [`source`] (a model's files), [`checkpoint`] (what is where),
//! [`describe`] (what the GGUF must contain), [`plan`] (which byte of which file goes where), [`evaluate`] (what the bytes
//! are), [`mod@write`] (into files, cloned where possible). `docs/architecture.md` draws the picture.

#![deny(unsafe_code)]

mod advice;
pub mod align;
pub mod arch;
mod batch;
pub mod checkpoint;
#[doc(hidden)]
pub mod cli;
mod compare;
pub mod config;
pub mod conversion;
pub mod describe;
pub mod dtype;
pub mod error;
pub mod evaluate;
mod explain;
mod ggml_types;
pub mod gguf;
mod hex;
mod input;
pub mod inspect;
pub mod json;
pub mod kernels;
pub mod metadata;
mod mount;
pub mod plan;
pub mod pull;
pub mod shape;
pub mod source;
mod stage;
pub mod surgery;
mod table;
pub mod tensor;
pub mod verify;
pub mod vocab;
pub mod write;

pub use error::{Error, Result};
