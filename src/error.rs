//! The library's error: one kind per way a conversion can fail, each with its exit code, its place and its hints.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use ggraft_platform::PublishError;

use crate::input::quoted;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done: a kind, where, and in words. The words name the file, what was expected and what
/// was found; what to do about it is in [`Error::hints`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused. `action` reads like "cannot read".
    #[error("{action} {}: {source}", path.display())]
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
    Usage(Box<Problem>),
    /// The model is well-formed, but nothing here can convert it (yet).
    #[error("{0}")]
    Unsupported(Box<Problem>),
    /// The checkpoint contradicts itself, its format, or common sense.
    #[error("{0}")]
    Invalid(Box<Problem>),
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
    CannotShare(Box<Problem>),
    /// A file does not hold what it should, according to what it was made of.
    #[error("{0}")]
    Differs(Box<Problem>),
    /// Another process is at work where only one may be.
    #[error("{}: {holder} is aligning this model in place", path.display())]
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
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Self {
        Self::io(error.action, error.path, error.source)
    }
}

/// What an [`Error`] says, and where what it says holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// The file (or directory) at fault.
    pub file: Option<PathBuf>,
    /// The tensor at fault, as the file calls it; where only an output has it, as the output does.
    pub tensor: Option<String>,
    /// What was expected and what was found, with file and tensor: one line that can stand alone.
    pub message: String,
    /// What to do about it, each a line.
    pub hints: Vec<String>,
}

impl Problem {
    fn new(message: impl Into<String>) -> Box<Self> {
        Box::new(Self { message: message.into(), ..Self::default() })
    }
}

impl Error {
    /// An [`Error::Io`] for `path`; `action` reads like "cannot read".
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), source }
    }

    /// An [`Error::Invalid`] for `path`.
    pub fn invalid(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::Invalid(Problem::new(message)).at(path)
    }

    /// An [`Error::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::Unsupported(Problem::new(message))
    }

    /// An [`Error::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(Problem::new(message))
    }

    /// An [`Error::CannotShare`].
    pub fn cannot_share(message: impl Into<String>) -> Self {
        Self::CannotShare(Problem::new(message))
    }

    /// Shapes do not go together: an [`Error::Invalid`] that lacks the place, which [`Error::of_source`] and
    /// [`Error::of_output`] add where it is known.
    pub(crate) fn shape(message: impl fmt::Display) -> Self {
        Self::Invalid(Problem::new(format!("unexpected shape: {message}")))
    }

    /// An [`Error::Differs`] for `path`.
    pub fn differs(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::Differs(Problem::new(message)).at(path)
    }

    fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Usage(problem)
            | Self::Unsupported(problem)
            | Self::Invalid(problem)
            | Self::CannotShare(problem)
            | Self::Differs(problem) => Some(problem),
            _ => None,
        }
    }

    fn change(mut self, change: impl FnOnce(&mut Problem)) -> Self {
        match &mut self {
            Self::Usage(problem)
            | Self::Unsupported(problem)
            | Self::Invalid(problem)
            | Self::CannotShare(problem)
            | Self::Differs(problem) => change(problem),
            _ => {}
        }
        self
    }

    /// This error, found in the file `path`, which its message begins with.
    #[must_use]
    pub fn at(self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        self.change(|problem| {
            problem.message = format!("{}: {}", path.display(), problem.message);
            problem.file = Some(path.to_owned());
        })
    }

    /// This error, which is about the file `path`, unless it is known to be about another one. The message stays.
    #[must_use]
    pub fn about(self, path: impl AsRef<Path>) -> Self {
        self.change(|problem| _ = problem.file.get_or_insert_with(|| path.as_ref().to_owned()))
    }

    /// This error, which is about the tensor `name`. The message stays.
    #[must_use]
    pub fn tensor(self, name: impl Into<String>) -> Self {
        self.change(|problem| problem.tensor = Some(name.into()))
    }

    /// This error, and what to do about it: a line that begins with a small letter and ends without a full stop.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.change(|problem| problem.hints.push(hint.into()))
    }

    /// This error, found while the output tensor `name` was put together.
    pub(crate) fn of_output(self, name: &str) -> Self {
        match self {
            Self::Invalid(problem) if problem.file.is_none() => {
                Self::Invalid(problem).change(|p| p.message = format!("{name}: {}", p.message))
            }
            other => other,
        }
    }

    /// This error, found in the tensor `name` of the checkpoint's file `path`, unless it knows its place.
    pub(crate) fn of_source(self, path: &Path, name: &str) -> Self {
        match self {
            Self::Invalid(problem) if problem.file.is_none() => Self::Invalid(problem)
                .change(|p| p.message = format!("tensor {}: {}", quoted(name), p.message))
                .tensor(name)
                .at(path),
            other => other,
        }
    }

    /// This error, found in the model in `dir`, unless it knows better.
    pub(crate) fn of_model(self, dir: &Path) -> Self {
        match self {
            Self::Invalid(problem) if problem.file.is_none() => Self::Invalid(problem).at(dir),
            other => other.about(dir),
        }
    }

    /// A word for what went wrong, for programs: they are listed in docs/reference/json.md.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Usage(_) => "usage",
            Self::Unsupported(_) => "unsupported",
            Self::Invalid(_) => "invalid",
            Self::NoWeights { .. } => "no-weights",
            Self::CannotShare(_) => "cannot-share",
            Self::Differs(_) => "differs",
            Self::Locked { .. } => "locked",
            Self::Jobs { .. } => "jobs",
            Self::Interrupted => "interrupted",
            Self::Internal(_) => "internal",
        }
    }

    /// The file or directory it is about, if it is about one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. } | Self::Locked { path, .. } => Some(path),
            Self::NoWeights { dir } => Some(dir),
            other => other.problem()?.file.as_deref(),
        }
    }

    /// The tensor it is about, if it is about one.
    pub fn tensor_name(&self) -> Option<&str> {
        self.problem()?.tensor.as_deref()
    }

    /// What to do about it, each a line.
    pub fn hints(&self) -> Vec<&str> {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::FileTooLarge => {
                vec!["the limit is this process's (`ulimit -f`) or the file system's"]
            }
            Self::Locked { .. } => vec!["wait until it is done"],
            Self::Internal(_) => vec!["this is a bug in ggraft; please report it"],
            other => other.problem().into_iter().flat_map(|p| &p.hints).map(String::as_str).collect(),
        }
    }

    /// It as an object for programs, as docs/reference/json.md describes it.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "kind": self.kind(),
            "file": self.file().map(Path::to_string_lossy),
            "tensor": self.tensor_name(),
            "message": self.to_string(),
            "hints": self.hints(),
            "exit_code": self.exit_code(),
        })
    }

    /// The process's exit code for this error; documented in `ggraft --help`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Io { .. } | Self::Locked { .. } | Self::Internal(_) => 1,
            Self::Usage(_) => 2,
            Self::Unsupported(_) => 3,
            Self::Invalid(_) | Self::NoWeights { .. } => 4,
            Self::CannotShare(_) => 5,
            Self::Differs(_) => 6,
            Self::Jobs { .. } => 7,
            // What shells make of a SIGINT. The command itself dies of the signal, so that they see one.
            Self::Interrupted => 130,
        }
    }
}
