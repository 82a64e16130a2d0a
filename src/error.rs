//! The library's error: one kind per way a conversion can fail, each with its exit code.

use std::io;
use std::path::{Path, PathBuf};

use crate::input::quoted;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done. The message names the file, what was expected,
/// what was found and, where there is one, the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused. `action` reads like "cannot read".
    #[error("{action} {}: {source}{}", path.display(), way_out(source))]
    Io {
        /// What was tried, as the start of a sentence: "cannot read".
        action: &'static str,
        /// The file it was tried on.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The command was given arguments it cannot act on.
    #[error("{0}")]
    Usage(String),
    /// The model is well-formed, but nothing here can convert it (yet).
    #[error("{0}")]
    Unsupported(String),
    /// The checkpoint contradicts itself, its format, or common sense.
    #[error("{}: {problem}", path.display())]
    Invalid {
        /// The file (or directory) at fault.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// Shapes do not go together. Whoever knows which tensors they are of makes it an [`Error::Invalid`].
    #[error("unexpected tensor shape: {0}")]
    Shape(String),
    /// A model directory without any file that holds tensors.
    #[error(
        "{}: no weights here: expected model.safetensors, model-00001-of-0000N.safetensors or an index of them",
        dir.display()
    )]
    NoWeights {
        /// The model directory.
        dir: PathBuf,
    },
    /// `--reflink always` was asked for where blocks cannot be shared.
    #[error("{0}")]
    CannotShare(String),
    /// A file is not what becomes of the model it should be made of.
    #[error("{}: differs from the model in {count} place(s)", path.display())]
    Differs {
        /// The file.
        path: PathBuf,
        /// How many tensors, keys and stretches of padding differ.
        count: usize,
    },
    /// Another process is at work where only one may be.
    #[error("{}: {holder} is aligning this model in place; wait until it is done", path.display())]
    Locked {
        /// What only one process may change.
        path: PathBuf,
        /// Who does.
        holder: String,
    },
    /// Some jobs of a batch failed; each was reported when it did.
    #[error("{failed} of {jobs} jobs failed")]
    Jobs {
        /// How many failed.
        failed: usize,
        /// How many there are.
        jobs: usize,
    },
    /// Ctrl-C or a termination signal.
    #[error("interrupted")]
    Interrupted,
    /// A promise this program makes to itself was broken.
    #[error("internal error: {0} (this is a bug in ggraft)")]
    Internal(String),
}

impl Error {
    /// An [`Error::Io`] for `path`; `action` reads like "cannot read".
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), source }
    }

    /// An [`Error::Invalid`] for `path`.
    pub fn invalid(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Invalid { path: path.as_ref().to_owned(), problem: problem.into() }
    }

    /// This error, found while the tensor `name` was put together.
    pub(crate) fn of_output(self, name: &str) -> Self {
        match self {
            Self::Shape(problem) => Self::Shape(format!("{name}: {problem}")),
            other => other,
        }
    }

    /// This error, found in the tensor `name` of the checkpoint's file `path`.
    pub(crate) fn of_source(self, path: &Path, name: &str) -> Self {
        match self {
            Self::Shape(problem) => {
                Self::invalid(path, format!("tensor {}: unexpected shape: {problem}", quoted(name)))
            }
            other => other,
        }
    }

    /// The process's exit code for this error; documented in `ggraft --help`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Io { .. } | Self::Locked { .. } | Self::Internal(_) => 1,
            Self::Usage(_) => 2,
            Self::Unsupported(_) => 3,
            Self::Invalid { .. } | Self::Shape(_) | Self::NoWeights { .. } => 4,
            Self::CannotShare(_) => 5,
            Self::Differs { .. } => 6,
            Self::Jobs { .. } => 7,
            // What shells make of a SIGINT. The command itself dies of the signal, so that they see one.
            Self::Interrupted => 130,
        }
    }
}

/// What the operating system's words do not tell of what to do.
fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::FileTooLarge => "; the limit is this process's (`ulimit -f`) or the file system's",
        _ => "",
    }
}
