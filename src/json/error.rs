//! Why a file could not be read as JSON.

use std::fmt;

/// Why a text could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// Not JSON (Python's `JSONDecodeError`), with the reason.
    Syntax(String),
    /// JSON, but beyond what Python or this program can hold, with the reason.
    Limit(String),
    /// JSON, but not what belongs there.
    Unexpected(String),
}

impl JsonError {
    /// The same about a part of the document.
    #[must_use]
    pub fn within(self, part: impl fmt::Display) -> Self {
        match self {
            Self::Unexpected(problem) => Self::Unexpected(format!("{part}: {problem}")),
            other => other,
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Syntax(problem) | Self::Limit(problem) | Self::Unexpected(problem)) = self;
        f.write_str(problem)
    }
}

impl std::error::Error for JsonError {}
