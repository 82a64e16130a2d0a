//! What would be shared if the same model were converted another way: with another layout, with
//! shorter extents, or from a checkpoint that has been aligned.
//!
//! Computed by planning each way for real, not by estimating. Nothing here reads or writes a file.

use std::cmp::Reverse;

use serde_json::{Value, json};

use crate::align::{self, Aligned};
use crate::checkpoint::Format;
use crate::error::Result;
use crate::plan::{Alignment, Layout, Outlook, Output, Plan, Reason, Request, Sharing, SplitRules};

/// Percent of the bytes that another way must share more before `convert` mentions it.
const WORTH_MENTIONING: u64 = 5;

/// Percent of the bytes that another way must share more to be listed at all.
const NOTABLE: u64 = 1;

/// The shortest extents to suggest, in bytes.
const SMALL_EXTENT: u64 = 4 << 10;

/// The command that aligns a checkpoint.
pub fn aligning(model: &str) -> String {
    format!("ggraft align {model} --in-place")
}

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

    /// What to do about the model in `model`, a word for a shell.
    pub fn instruction(self, model: &str) -> String {
        let (align, flags) = (format!("after `{}`", aligning(model)), format!("with `{}`", self.flags()));
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

    /// Whether `other` asks for less: it does without something that this one needs, and for nothing else.
    fn includes(self, other: Self) -> bool {
        use Way::{Align, AlignSmallExtents, Relaxed, SmallExtents, Split};
        matches!((self, other), (Relaxed, Split) | (AlignSmallExtents, Align | SmallExtents))
    }

    /// Whether it is something else than what `request` does already, and allowed with it.
    fn applies(self, request: &Request) -> bool {
        let free = !is_ruled(&request.splits);
        let safetensors = request.checkpoint.format == Format::Safetensors;
        let extents = request.sharing.min_extent > request.sharing.block.max(SMALL_EXTENT);
        match self {
            Self::Split => free && request.layout == Layout::Single,
            Self::Relaxed => free && request.alignment == Alignment::Strict,
            Self::SmallExtents => extents,
            Self::AlignSmallExtents => extents && safetensors,
            Self::Align => safetensors,
        }
    }

    /// What comes of it; `known` is what comes of `request` with other shortest extents, as far as that is known.
    fn outlook(self, request: &Request, aligned: &Aligned, known: &[(u64, Outlook)]) -> Result<Outlook> {
        let small = known.iter().find(|(min_extent, _)| *min_extent == SMALL_EXTENT);
        if let (Self::SmallExtents, Some((_, outlook))) = (self, small) {
            return Ok(*outlook);
        }
        let mut changed = Request { ..*request };
        let small = Sharing { min_extent: SMALL_EXTENT, ..request.sharing.clone() };
        match self {
            Self::Split => changed.layout = Layout::Split,
            Self::Relaxed => (changed.layout, changed.alignment) = (Layout::Split, Alignment::Relaxed),
            Self::SmallExtents | Self::AlignSmallExtents => changed.sharing = &small,
            Self::Align => {}
        }
        if self.aligns() {
            changed.offsets = Some(&aligned.offsets);
        }
        Plan::outlook(&changed)
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
    /// In how many extents.
    pub extents: u64,
    /// Number of its output files.
    pub files: usize,
    /// Bytes of the checkpoint that have to be rewritten before.
    pub rewritten: u64,
    /// Bytes that rewriting does not give back: links into a cache become files, and what they led to stays there.
    pub staying: u64,
}

/// What the plan shares, and what other ways would.
#[derive(Clone, Debug, Default)]
pub struct Advice {
    /// Those that share notably more than the plan does, most first.
    pub better: Vec<Alternative>,
    /// What aligning would share, if that is more, but not worth rewriting the checkpoint.
    pub not_worth: Option<Alternative>,
    /// What other values of `--min-extent` give; none where all of them give the same.
    pub extents: Vec<Extents>,
}

/// What a value of `--min-extent` gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extents {
    /// The value, in bytes.
    pub min_extent: u64,
    /// Bytes that are shared.
    pub shared: u64,
    /// In how many extents.
    pub extents: u64,
}

impl Advice {
    /// Plans `request` in every other way. `planned` is what it gave as it stands.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn new(request: &Request, planned: &[Output]) -> Result<Self> {
        let known = extents(request, planned)?;
        let found = others(request, &Way::ALL, &known)?;
        let Outlook { bytes: total, shared: (now, _), .. } = Outlook::of(planned);
        let notable = |bytes: u64, than: u64| bytes.saturating_sub(than) > total / 100 * NOTABLE;
        let same = known.windows(2).all(|pair| pair[0].1.shared == pair[1].1.shared);
        let choices = known.iter().filter(|_| !same);
        let choices = choices.map(|(min_extent, outlook)| {
            let (shared, extents) = outlook.shared;
            Extents { min_extent: *min_extent, shared, extents }
        });
        let mut advice = Self { extents: choices.collect(), ..Self::default() };
        for a in &found {
            let worth = !a.way.aligns() || align::is_worth(a.shared.saturating_sub(now), a.rewritten);
            let by_less = found.iter().any(|b| a.way.includes(b.way) && !notable(a.shared, b.shared));
            if !worth && a.way == Way::Align && a.shared > now {
                advice.not_worth = Some(*a);
            } else if worth && notable(a.shared, now) && !by_less {
                advice.better.push(*a);
            }
        }
        // Among equals what asks for less comes first.
        advice.better.sort_by_key(|a| Reverse(a.shared));
        Ok(advice)
    }

    /// The one way worth a line after a conversion: it shares more than 5 % of all bytes more. Relaxed
    /// files are never suggested here. Costs nothing if the reasons in the plan leave no such hope.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn brief(request: &Request, planned: &[Output]) -> Result<Option<Alternative>> {
        let Outlook { bytes: total, shared: (now, _), .. } = Outlook::of(planned);
        let worth = |bytes: u64| bytes > total / 100 * WORTH_MENTIONING;
        let misplaced = |reason| matches!(reason, Reason::OffGrid | Reason::OffPhase);
        let steps = planned.iter().flat_map(|output| &output.steps);
        // What is in patterns is where it can be shared.
        if !worth(steps.filter(|s| s.reason.is_some_and(misplaced)).map(|s| s.len).sum()) {
            return Ok(None);
        }
        let mut found = others(request, &[Way::Split, Way::Align], &[])?;
        found.retain(|a| {
            let gain = a.shared.saturating_sub(now);
            worth(gain) && (!a.way.aligns() || align::is_worth(gain, a.rewritten))
        });
        let most = found.iter().map(|a| a.shared).max().unwrap_or_default();
        // Splitting asks for less than rewriting the checkpoint, so a percent does not matter.
        Ok(found.into_iter().find(|a| most - a.shared <= total / 100))
    }
}

/// What would come of `request` beside the checkpoint, on a file system that shares blocks; with the checkpoint `aligned` before, if
/// that can be done.
///
/// # Errors
/// As [`Plan::new`].
pub fn beside(request: &Request, aligned: bool) -> Result<Outlook> {
    let refusals = vec![None; request.sharing.refusals.len()];
    let sharing = Sharing { refusals, ..request.sharing.clone() };
    let aligned = aligned && request.checkpoint.format == Format::Safetensors;
    let aligned = aligned.then(|| align::aligned(request.checkpoint, align::block(sharing.block)));
    let offsets = aligned.as_ref().map(|aligned| &aligned.offsets[..]);
    Plan::outlook(&Request { offsets, sharing: &sharing, ..*request })
}

impl Advice {
    /// [`Advice::extents`] for machines; the keys are a promise.
    pub fn extents_to_json(&self) -> Vec<Value> {
        let one = |e: &Extents| json!({"min_extent": e.min_extent, "shared": e.shared, "extents": e.extents});
        self.extents.iter().map(one).collect()
    }

    /// The alternatives for machines; their keys are a promise.
    pub fn to_json(&self) -> Vec<Value> {
        let one = |a: &Alternative, worthwhile: bool| {
            json!({
                "way": a.way.id(), "align": a.way.aligns(), "flags": a.way.flags(), "shared": a.shared,
                "total": a.total, "extents": a.extents, "files": a.files, "rewritten": a.rewritten,
                "staying": a.staying, "worthwhile": worthwhile, "caveat": a.way.caveat(),
            })
        };
        let better = self.better.iter().map(|a| one(a, true));
        better.chain(self.not_worth.iter().map(|a| one(a, false))).collect()
    }
}

/// What comes of `request` with every value of `--min-extent` that there is a reason to choose.
fn extents(request: &Request, planned: &[Output]) -> Result<Vec<(u64, Outlook)>> {
    if request.tensors.is_empty() || request.sharing.refusals.iter().all(Option::is_some) {
        return Ok(Vec::new());
    }
    let choices = (12..=16).map(|bits| 1 << bits).filter(|size| *size >= request.sharing.block);
    let outlook = |min_extent: u64| {
        if min_extent == request.sharing.min_extent {
            return Ok((min_extent, Outlook::of(planned)));
        }
        let sharing = Sharing { min_extent, ..request.sharing.clone() };
        Ok((min_extent, Plan::outlook(&Request { sharing: &sharing, ..*request })?))
    };
    choices.map(outlook).collect()
}

/// Those of `ways` that apply.
fn others(request: &Request, ways: &[Way], known: &[(u64, Outlook)]) -> Result<Vec<Alternative>> {
    let mut found = Vec::new();
    if request.tensors.is_empty() || request.sharing.refusals.iter().all(Option::is_some) {
        return Ok(found);
    }
    let aligned = align::aligned(request.checkpoint, align::block(request.sharing.block));
    for way in ways.iter().copied().filter(|way| way.applies(request)) {
        if way.aligns() && aligned.rewritten == 0 {
            continue;
        }
        let Outlook { files, bytes: total, shared: (shared, extents) } =
            way.outlook(request, &aligned, known)?;
        let rewritten = if way.aligns() { aligned.rewritten } else { 0 };
        let staying = if way.aligns() { aligned.staying } else { 0 };
        found.push(Alternative { way, total, shared, extents, files, rewritten, staying });
    }
    Ok(found)
}

fn is_ruled(splits: &SplitRules) -> bool {
    splits.is_set() || splits.no_tensor_first_split
}

#[cfg(test)]
mod tests;
