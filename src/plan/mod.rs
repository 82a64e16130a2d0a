//! Decides, before a byte is written, which byte of which file goes where.
//!
//! A [`Plan`] is plain data: it can be printed, serialized and [checked](Plan::check). Nothing here
//! opens a file; what the file system can do arrives as [`Sharing`], how an action is carried out
//! is `write`'s business.

mod check;
mod cover;
mod drafted;
mod files;
mod kind;
mod layout;
mod lower;
mod pattern;
mod reason;
mod regroup;
mod rewrite;
mod runs;
mod set;
mod share;
mod split;
mod steps;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use drafted::Outlook;
pub use kind::Kind;
pub(crate) use layout::gcd;
pub use pattern::{Pattern, Spot, Spots};
pub use reason::Reason;
pub use regroup::{Group, Regroup, Stored};
pub use rewrite::{Range, Rewrite};
pub use split::SplitRules;
pub use walk::{CodeOrder, Place, Run, Walk};

pub(crate) use split::groups;
pub(crate) use steps::of_tensor as steps_of;

use crate::checkpoint::Checkpoint;
use crate::dtype::GgmlType;
use crate::gguf::{self, DEFAULT_ALIGNMENT, KeyValues};
use crate::tensor::OutputTensor;

/// What to plan.
#[derive(Debug)]
pub struct Request<'a> {
    /// Where the source bytes lie.
    pub checkpoint: &'a Checkpoint,
    /// Where its tensors lie in their files, in bytes, if not where it says.
    pub offsets: Option<&'a [u64]>,
    /// Every key-value of the (first) output file, except those about splits and padding.
    pub metadata: &'a KeyValues,
    /// Tensors in the reference's order.
    pub tensors: &'a [OutputTensor],
    /// Output path; split files derive theirs from it.
    pub path: &'a Path,
    /// How many files, and what decides where one ends.
    pub layout: Layout,
    /// Alignment of the files that [`Layout::Split`] adds.
    pub alignment: Alignment,
    /// When to start another file, with [`Layout::Single`].
    pub splits: SplitRules,
    /// What can be shared.
    pub sharing: &'a Sharing,
    /// What tells the source files from others of the same names and shapes, such as sizes and times. Enters into the
    /// identifier of a split set, and into nothing else.
    pub stamp: &'a [u8],
}

/// How output files come about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// One file (or those that [`SplitRules`] ask for), arranged as well as possible.
    #[default]
    Single,
    /// As many files as sharing needs.
    Split,
}

/// What grid tensors lie on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alignment {
    /// 32 bytes, as every reader expects.
    #[default]
    Strict,
    /// 8 bytes, where safetensors data lies. llama.cpp loads such files only without memory-mapping.
    Relaxed,
}

/// What can be shared between the checkpoint and the destination.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// Unit in bytes that source offset, destination offset and length of a clone must be multiples of.
    pub block: u64,
    /// Shared runs shorter than this many bytes are copied instead, to bound fragmentation.
    pub min_extent: u64,
    /// For each file of the checkpoint: why its blocks cannot be shared, if they cannot.
    pub refusals: Vec<Option<String>>,
}

impl Sharing {
    /// Shared runs of 64 KiB and more beat copying by far; at 8 KiB it is a draw.
    pub const DEFAULT_MIN_EXTENT: u64 = 64 << 10;

    /// Nothing can be shared, for the same reason everywhere.
    pub fn none(checkpoint: &Checkpoint, why: impl Into<String>) -> Self {
        Self::refused(checkpoint.files.len(), why)
    }

    /// The same with this many source files.
    pub fn refused(files: usize, why: impl Into<String>) -> Self {
        let refusals = vec![Some(why.into()); files];
        Self { block: 4096, min_extent: Self::DEFAULT_MIN_EXTENT, refusals }
    }
}

/// Everything that will be written.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Source files that the actions refer to by index.
    pub sources: Vec<PathBuf>,
    /// Block size the plan was made for, in bytes.
    pub block: u64,
    /// Why (some) source files cannot be shared, if that is so.
    pub refusal: Option<String>,
    /// Output files, in split order.
    pub outputs: Vec<Output>,
}

/// One output file.
#[derive(Clone, Debug)]
pub struct Output {
    /// Final path.
    pub path: PathBuf,
    /// Length in bytes.
    pub len: u64,
    /// Where tensor data starts, in bytes; a multiple of the alignment.
    pub data_start: u64,
    /// What tensors are padded to, in bytes.
    pub alignment: u64,
    /// Tensors with their places, in file order.
    pub tensors: Vec<Placed>,
    /// What fills the file: sorted by `start`, without gaps or overlaps. [`Output::spots`] has what patterns stand for.
    pub steps: Vec<Step>,
    /// Index of the source file whose owner and permissions it takes over; if none, it gets those of any
    /// new file.
    pub like: Option<usize>,
}

/// A tensor's place in an output file.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Name as the header has it.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<u64>,
    /// Name of the type in the output's format.
    pub dtype: &'static str,
    /// First byte, from the start of the file.
    pub offset: u64,
    /// Length in bytes, without padding.
    pub len: u64,
}

/// One range of an output file and how it gets its bytes.
#[derive(Clone, Debug)]
pub struct Step {
    /// First byte, from the start of the file.
    pub start: u64,
    /// Length in bytes; never 0.
    pub len: u64,
    /// How to fill it.
    pub action: Action,
    /// For tensor bytes that are not cloned: why not.
    pub reason: Option<Reason>,
}

/// The source of a clone that is there already, or of which nothing is known: it is not read.
pub(crate) const NO_SOURCE: usize = usize::MAX;

/// How a range of an output file gets its bytes.
#[derive(Clone, Debug)]
pub enum Action {
    /// Share whole blocks of source `file` from byte `offset` on.
    Clone {
        /// Index into [`Plan::sources`].
        file: usize,
        /// First byte in the source, a multiple of the block size.
        offset: u64,
    },
    /// Bytes of source `file` from byte `offset` on, as they are.
    Copy {
        /// Index into [`Plan::sources`].
        file: usize,
        /// First byte in the source.
        offset: u64,
    },
    /// Elements as they are, in the order of `walk`, from its element `first` on.
    Gather {
        /// What to read.
        walk: Arc<Walk>,
        /// First element of the walk that belongs to this step.
        first: u64,
        /// Whether BF16 NaNs are made quiet, as the reference does it when it copies. The elements may lie in one run then.
        quiet: bool,
    },
    /// Elements of `walk`, from `first` on, converted to `to`.
    Encode {
        /// What to read.
        walk: Arc<Walk>,
        /// First element of the walk that belongs to this step.
        first: u64,
        /// Target type.
        to: GgmlType,
    },
    /// Bytes known now: headers and generated tensors.
    Bytes(Arc<Vec<u8>>),
    /// Zeros: padding between tensors.
    Zero,
    /// Clones, copies and elements gathered that repeat.
    Repeat(Arc<Pattern>),
}

impl Step {
    /// First byte after the range.
    pub fn end(&self) -> u64 {
        self.start + self.len
    }
}

impl Plan {
    /// Bytes of all outputs together.
    pub fn bytes(&self) -> u64 {
        self.outputs.iter().map(|o| o.len).sum()
    }

    /// Bytes that are shared, and in how many extents.
    pub fn shared(&self) -> (u64, u64) {
        Outlook::of(&self.outputs).shared
    }

    /// A single file that holds nothing but metadata, without the padding that tensor data needs.
    pub fn metadata_only(path: &Path, metadata: &KeyValues) -> Self {
        let header = gguf::encode(metadata, &[], DEFAULT_ALIGNMENT);
        let len = header.len() as u64;
        let steps = vec![Step { start: 0, len, action: Action::Bytes(header.into()), reason: None }];
        let output = Output {
            path: path.to_owned(),
            len,
            data_start: len,
            alignment: DEFAULT_ALIGNMENT,
            tensors: Vec::new(),
            steps,
            like: None,
        };
        Self { sources: Vec::new(), block: 4096, refusal: None, outputs: vec![output] }
    }
}
