//! What was verified, for people and for machines.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::compare::{Comparison, Mismatch};
use crate::gguf::Gguf;
use crate::input::{counted, quoted};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Difference {
    /// A key-value.
    Key { key: String, expected: String, found: String },
    /// A tensor that cannot be compared.
    Tensor { name: String, problem: String },
    /// The first bytes that differ in a tensor, or in the padding behind one.
    Bytes(Mismatch),
}

/// What was verified.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Files of the set.
    pub files: usize,
    /// Tensors in all of them.
    pub tensors: usize,
    /// Whether there was a model to compare with.
    pub has_model: bool,
    /// Whether the tensors' bytes were left alone, because the model is on a hub.
    pub headers_only: bool,
    /// Bytes by how they were compared. Its mismatches are among the differences.
    pub bytes: Comparison,
    /// What differs.
    pub differences: Vec<Difference>,
    /// What is not as it should be, though llama.cpp does not mind.
    pub notes: Vec<String>,
}

impl Report {
    /// Of files that nothing is known of but their headers.
    pub(super) fn new(files: &[(PathBuf, Gguf)]) -> Self {
        let tensors = files.iter().map(|(_, gguf)| gguf.tensors.len()).sum();
        Self { files: files.len(), tensors, ..Self::default() }
    }

    /// Whether the files are what they should be.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }

    /// For people.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for difference in &self.differences {
            writeln!(out, "{difference}")?;
        }
        for note in &self.notes {
            writeln!(out, "{note}")?;
        }
        let (tensors, files) = (counted(self.tensors, "tensor"), counted(self.files, "file"));
        if !self.has_model {
            return writeln!(out, "{tensors} in {files}: the structure is sound");
        }
        if self.headers_only && self.is_equal() {
            return writeln!(
                out,
                "{tensors} in {files}: key-values, names, shapes and types are what becomes of the model; \
                 bytes were not compared (--read-all downloads them)"
            );
        }
        writeln!(out, "{tensors} in {files}: {}", self.bytes.in_words())?;
        match self.differences.len() {
            0 => writeln!(out, "equal: this is what becomes of the model"),
            n => writeln!(out, "{}", counted(n, "difference")),
        }
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        json!({
            "equal": self.is_equal(), "files": self.files, "tensors": self.tensors,
            "compared_with_model": self.has_model, "headers_only": self.headers_only,
            "bytes": self.bytes.to_json(),
            "differences": self.differences.iter().map(Difference::to_json).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

impl Difference {
    fn to_json(&self) -> Value {
        match self {
            Self::Key { key, expected, found } => {
                json!({ "kind": "key", "key": key, "expected": expected, "found": found })
            }
            Self::Tensor { name, problem } => json!({ "kind": "tensor", "tensor": name, "problem": problem }),
            Self::Bytes(mismatch) => mismatch.to_json(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { key, expected, found } => {
                write!(f, "key {}: expected {expected}, found {found}", quoted(key))
            }
            Self::Tensor { name, problem } => write!(f, "tensor {}: {problem}", quoted(name)),
            Self::Bytes(mismatch) => mismatch.fmt(f),
        }
    }
}
