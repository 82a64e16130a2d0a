//! A place where a file does not hold what it should.

use std::fmt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::hex::hex;
use crate::input::quoted;

/// What a byte of a file belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The tensor of this name.
    Tensor(String),
    /// What is between and behind tensors.
    Padding,
    /// What is before the tensors, or all of a file without any.
    Header,
}

/// The first bytes that differ in a part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The file.
    pub file: PathBuf,
    /// The part.
    pub part: Part,
    /// Where, in bytes from the start of the file.
    pub offset: u64,
    /// Where, in bytes from the start of the part.
    pub within: u64,
    /// What should be there.
    pub expected: Vec<u8>,
    /// What is.
    pub found: Vec<u8>,
}

impl Mismatch {
    /// The tensor, if it is in one.
    pub fn tensor(&self) -> Option<&str> {
        match &self.part {
            Part::Tensor(name) => Some(name),
            Part::Padding | Part::Header => None,
        }
    }

    /// It for machines; the keys are a promise.
    pub fn to_json(&self) -> Value {
        let kind = match self.part {
            Part::Tensor(_) => "bytes",
            Part::Padding => "padding",
            Part::Header => "header",
        };
        json!({
            "kind": kind, "file": self.file.to_string_lossy(), "tensor": self.tensor(),
            "offset": self.offset, "offset_in_tensor": self.within,
            "expected": hex(&self.expected), "found": hex(&self.found),
        })
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, offset, within, file, .. } = self;
        let (expected, found) = (hex(&self.expected), hex(&self.found));
        match part {
            Part::Tensor(name) => write!(f, "tensor {}, byte {within}", quoted(name))?,
            Part::Padding => write!(f, "padding, byte {within}")?,
            Part::Header => write!(f, "header, byte {within}")?,
        }
        write!(f, " (byte {offset} of {}): expected {expected}, found {found}", file.display())
    }
}
