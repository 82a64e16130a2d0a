//! What would be shared if the same model were converted another way: with another layout, with
//! shorter extents, or from a checkpoint that has been aligned.
//!
//! Computed by planning each way for real, not by estimating. Nothing here reads or writes a file.

use serde_json::{Value, json};

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::plan::{Alignment, Kind, Layout, Plan, Reason, Request, Sharing, SplitRules};

/// Percent of the bytes that another way must share more before `convert` mentions it.
const WORTH_MENTIONING: u64 = 5;

/// The shortest extents to suggest, in bytes.
const SMALL_EXTENT: u64 = 4 << 10;

/// The command that aligns a checkpoint.
pub const ALIGN: &str = "ggraft align MODEL --in-place";

/// Another way to convert the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `--layout split`.
    Split,
    /// `--layout split --alignment relaxed`.
    Relaxed,
    /// `--min-extent 4K`.
    SmallExtents,
    /// Align the checkpoint first.
    Align,
    /// Align the checkpoint first, and `--min-extent 4K`.
    AlignSmallExtents,
}

impl Way {
    const ALL: [Self; 5] =
        [Self::Split, Self::Relaxed, Self::SmallExtents, Self::Align, Self::AlignSmallExtents];

    /// Stable identifier for machines.
    pub fn id(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Relaxed => "relaxed",
            Self::SmallExtents => "small-extents",
            Self::Align => "align",
            Self::AlignSmallExtents => "align-small-extents",
        }
    }

    /// Whether the checkpoint has to be aligned before.
    pub fn aligns(self) -> bool {
        matches!(self, Self::Align | Self::AlignSmallExtents)
    }

    /// Flags to add to `ggraft convert`.
    pub fn flags(self) -> &'static str {
        match self {
            Self::Split => "--layout split",
            Self::Relaxed => "--layout split --alignment relaxed",
            Self::SmallExtents | Self::AlignSmallExtents => "--min-extent 4K",
            Self::Align => "",
        }
    }

    /// What to do, with `MODEL` for the model directory.
    pub fn instruction(self) -> String {
        let (align, flags) = (format!("after `{ALIGN}`"), format!("with `{}`", self.flags()));
        match (self.aligns(), self.flags().is_empty()) {
            (true, true) => align,
            (true, false) => format!("{align}, {flags}"),
            (false, _) => flags,
        }
    }

    /// What one should know before choosing it.
    pub fn caveat(self) -> &'static str {
        match self {
            Self::Split => "several files; llama.cpp loads them by the name of the first",
            Self::Relaxed => {
                "only for llama-quantize and llama-gguf-split --merge, or llama.cpp with --load-mode none; \
                 memory-mapped on the CPU it aborts"
            }
            Self::SmallExtents => "more and shorter extents: the file is more fragmented",
            Self::Align => "rewrites the checkpoint once; every later conversion profits",
            Self::AlignSmallExtents => "rewrites the checkpoint once; short extents fragment the file",
        }
    }

    /// Whether it is something else than what `request` does already, and allowed with it.
    fn applies(self, request: &Request) -> bool {
        let free = !is_ruled(&request.splits);
        let extents = request.sharing.min_extent > request.sharing.block.max(SMALL_EXTENT);
        match self {
            Self::Split => free && request.layout == Layout::Single,
            Self::Relaxed => free && request.alignment == Alignment::Strict,
            Self::SmallExtents | Self::AlignSmallExtents => extents,
            Self::Align => true,
        }
    }

    /// Plans it.
    fn plan(self, request: &Request, aligned: &mut Option<Checkpoint>) -> Result<Plan> {
        let mut changed = Request { ..*request };
        let small = Sharing { min_extent: SMALL_EXTENT, ..request.sharing.clone() };
        match self {
            Self::Split => changed.layout = Layout::Split,
            Self::Relaxed => (changed.layout, changed.alignment) = (Layout::Split, Alignment::Relaxed),
            Self::SmallExtents | Self::AlignSmallExtents => changed.sharing = &small,
            Self::Align => {}
        }
        if self.aligns() {
            changed.checkpoint =
                aligned.get_or_insert_with(|| align(request.checkpoint, request.sharing.block));
        }
        Plan::new(&changed)
    }
}

/// What another way would share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// The way.
    pub way: Way,
    /// Bytes of its outputs.
    pub total: u64,
    /// Of these, bytes shared.
    pub shared: u64,
    /// Number of its output files.
    pub files: usize,
}

/// What the plan shares, and what other ways would.
#[derive(Clone, Debug, Default)]
pub struct Advice {
    /// Those that share more than the plan does, most first.
    pub better: Vec<Alternative>,
}

impl Advice {
    /// Plans `request` in every other way. `plan` is what it gave as it stands.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn new(request: &Request, plan: &Plan) -> Result<Self> {
        let mut better = better(request, plan, &Way::ALL)?;
        // Among equals what asks for less comes first.
        better.sort_by_key(|a| std::cmp::Reverse(a.shared));
        Ok(Self { better })
    }

    /// The one way worth a line after a conversion: it shares more than 5 % of all bytes more. Relaxed
    /// files are never suggested here. Costs nothing if the reasons in the plan leave no such hope.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn brief(request: &Request, plan: &Plan) -> Result<Option<Alternative>> {
        let total = plan.bytes();
        let worth = |bytes: u64| bytes > total / 100 * WORTH_MENTIONING;
        let misplaced = |reason| matches!(reason, Reason::OffGrid | Reason::OffPhase);
        let steps = plan.outputs.iter().flat_map(|o| &o.steps);
        if !worth(steps.filter(|s| s.reason.is_some_and(misplaced)).map(|s| s.len).sum()) {
            return Ok(None);
        }
        let now = shared(plan);
        let mut found = better(request, plan, &[Way::Split, Way::Align])?;
        found.retain(|a| worth(a.shared - now));
        let most = found.iter().map(|a| a.shared).max().unwrap_or_default();
        // Splitting asks for less than rewriting the checkpoint, so a percent does not matter.
        Ok(found.into_iter().find(|a| most - a.shared <= total / 100))
    }
}

impl Advice {
    /// The alternatives for machines; their keys are a promise.
    pub fn to_json(&self) -> Vec<Value> {
        let one = |a: &Alternative| {
            json!({
                "way": a.way.id(), "align": a.way.aligns(), "flags": a.way.flags(), "shared": a.shared,
                "total": a.total, "files": a.files, "caveat": a.way.caveat(),
            })
        };
        self.better.iter().map(one).collect()
    }
}

/// Those of `ways` that apply and share more than `plan`.
fn better(request: &Request, plan: &Plan, ways: &[Way]) -> Result<Vec<Alternative>> {
    let mut found = Vec::new();
    if request.tensors.is_empty() || request.sharing.refusals.iter().all(Option::is_some) {
        return Ok(found);
    }
    let now = shared(plan);
    let mut aligned = None;
    for way in ways.iter().copied().filter(|way| way.applies(request)) {
        let other = way.plan(request, &mut aligned)?;
        let shared = shared(&other);
        if shared > now {
            found.push(Alternative { way, total: other.bytes(), shared, files: other.outputs.len() });
        }
    }
    Ok(found)
}

fn shared(plan: &Plan) -> u64 {
    let steps = plan.outputs.iter().flat_map(|o| &o.steps);
    steps.filter(|s| s.kind() == Kind::Shared).map(|s| s.len).sum()
}

fn is_ruled(splits: &SplitRules) -> bool {
    splits.is_set() || splits.no_tensor_first_split
}

/// The checkpoint as it lies once aligned: in every file data starts on a block, tensors that are
/// whole blocks long come first, the others behind them. Order is kept otherwise.
fn align(checkpoint: &Checkpoint, block: u64) -> Checkpoint {
    let mut aligned = checkpoint.clone();
    let mut order: Vec<usize> = (0..aligned.tensors.len()).collect();
    order.sort_by_key(|&i| {
        let t = &checkpoint.tensors[i];
        (t.file, !t.len.is_multiple_of(block), t.offset)
    });
    let starts = checkpoint.files.iter().map(|file| file.data_start.next_multiple_of(block));
    let mut next: Vec<u64> = starts.collect();
    for i in order {
        let tensor = &mut aligned.tensors[i];
        tensor.offset = next[tensor.file];
        next[tensor.file] += tensor.len;
    }
    for ((file, start), end) in aligned.files.iter_mut().zip(&checkpoint.files).zip(next) {
        file.data_start = start.data_start.next_multiple_of(block);
        file.len = end;
    }
    aligned
}
