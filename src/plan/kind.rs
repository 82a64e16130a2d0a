//! What a step amounts to, for reports: shared, copied, converted.

use super::{Action, Step};

/// What happens to a range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Shared with the checkpoint.
    Shared,
    /// Written with unchanged values.
    Copied,
    /// Written in another type.
    Converted,
    /// Computed, not in the checkpoint.
    Generated,
    /// Key-values and tensor infos.
    Header,
    /// Zeros between tensors.
    Padding,
}

impl Kind {
    /// All of them; an entry's index is its value as a number.
    pub const ALL: [Self; 6] =
        [Self::Shared, Self::Copied, Self::Converted, Self::Generated, Self::Header, Self::Padding];

    /// Stable identifier for machines.
    pub fn id(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Copied => "copied",
            Self::Converted => "converted",
            Self::Generated => "generated",
            Self::Header => "header",
            Self::Padding => "padding",
        }
    }
}

impl Step {
    /// What happens to the range; none if that is several things, in turn.
    pub fn kind(&self) -> Option<Kind> {
        Some(match &self.action {
            Action::Clone { .. } => Kind::Shared,
            Action::Copy { .. } | Action::Gather { .. } => Kind::Copied,
            Action::Encode { .. } => Kind::Converted,
            // What is generated instead of being shared has a reason for that.
            Action::Bytes(_) | Action::Zero if self.reason.is_some() => Kind::Generated,
            Action::Bytes(_) => Kind::Header,
            Action::Zero => Kind::Padding,
            Action::Repeat(_) => return None,
        })
    }

    /// How many bytes of each kind it is.
    pub fn bytes_by_kind(&self) -> [u64; Kind::ALL.len()] {
        let mut bytes = [0; Kind::ALL.len()];
        for (step, times) in self.counted() {
            if let Some(kind) = step.kind() {
                bytes[kind as usize] += times * step.len;
            }
        }
        bytes
    }

    /// The source file, by index, and the offset of the first byte that is read from it.
    pub fn source(&self) -> Option<(usize, u64)> {
        match &self.action {
            Action::Clone { file, offset } | Action::Copy { file, offset } => Some((*file, *offset)),
            Action::Gather { walk, first, .. } | Action::Encode { walk, first, .. } => {
                let at = walk.runs(*first, 1).next().map_or(0, |run| run.at);
                Some((walk.file, walk.offset + at * walk.dtype.size()))
            }
            Action::Repeat(pattern) => pattern.steps.first()?.source(),
            Action::Bytes(_) | Action::Zero => None,
        }
    }
}
