//! Which part of a list is run: all of it, one entry, or one worker's share.

/// Which entries of a list to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    #[default]
    All,
    /// Those whose place is `index` modulo `of`.
    Every {
        /// From 0.
        index: usize,
        /// At least 1.
        of: usize,
    },
    /// One, from 0.
    One(usize),
}

impl Selection {
    /// Whether it takes this entry.
    pub(super) fn has(self, entry: usize) -> bool {
        match self {
            Self::All => true,
            Self::Every { index, of } => entry % of == index,
            Self::One(one) => entry == one,
        }
    }

    /// Whether no entry from `entry` on is wanted.
    pub(super) fn is_past(self, entry: usize) -> bool {
        matches!(self, Self::One(one) if entry > one)
    }
}
