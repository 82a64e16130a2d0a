//! Why bytes of a tensor were not shared.

/// Why a range of tensor bytes is written instead of shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The output stores another type than the checkpoint.
    Converted,
    /// Rows change their order in runs too short to share.
    Rearranged,
    /// The source does not start on the 32-byte grid that GGUF data lies on.
    OffGrid,
    /// The source's offset within a block differs from the destination's.
    OffPhase,
    /// Ends of a shared run that do not fill a block.
    Edge,
    /// The run would be shorter than the smallest extent worth sharing.
    TooShort,
    /// The values are computed, not stored in the checkpoint.
    Generated,
    /// The file system refused, or sharing was not asked for.
    CannotShare,
}

impl Reason {
    /// Stable identifier for machines.
    pub fn id(self) -> &'static str {
        match self {
            Self::Converted => "converted",
            Self::Rearranged => "rearranged",
            Self::OffGrid => "off-grid",
            Self::OffPhase => "off-phase",
            Self::Edge => "edge",
            Self::TooShort => "too-short",
            Self::Generated => "generated",
            Self::CannotShare => "cannot-share",
        }
    }

    /// The reason in words.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Converted => "stored in another type than in the checkpoint",
            Self::Rearranged => "rows are reordered (llama.cpp's rotary layout)",
            Self::OffGrid => "starts off the 32-byte grid that GGUF tensors lie on",
            Self::OffPhase => "its offset within a block differs between source and output",
            Self::Edge => "ends of shared ranges that do not fill a whole block",
            Self::TooShort => "runs too short to be worth an extent of their own",
            Self::Generated => "computed, not in the checkpoint",
            Self::CannotShare => "blocks cannot be shared here",
        }
    }
}
