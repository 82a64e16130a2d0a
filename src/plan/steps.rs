//! Turns a draft into steps: header, clones of whole blocks, copies, conversions, padding.

use std::path::PathBuf;
use std::sync::Arc;

use super::cover::{Cover, Covers, total};
use super::files::Draft;
use super::lower::{Origin, Part, Places, Tensors, lower};
use super::share::chains;
use super::{Action, Output, Pattern, Placed, Reason, Sharing, Step, Walk};
use crate::checkpoint::Checkpoint;
use crate::dtype::Dtype;
use crate::error::Result;
use crate::gguf::{self, KeyValues, PADDING_KEY, TensorInfo, Value};
use crate::tensor::OutputTensor;

/// One file, laid out.
pub struct Arranged<'a> {
    draft: &'a Draft,
    metadata: KeyValues,
    /// Length of the header, in bytes. It is encoded when the file is known to be wanted.
    header_len: u64,
    placed: Vec<Placed>,
    data_start: u64,
    /// Length of the file in bytes.
    pub len: u64,
    /// What of it is shared.
    pub covers: Vec<Cover>,
}

/// Lays out one file.
///
/// # Errors
/// If a tensor cannot be lowered.
pub fn arrange<'a>(
    metadata: KeyValues,
    tensors: &dyn Tensors,
    draft: &'a Draft,
    sharing: &Sharing,
) -> Result<Arranged<'a>> {
    let mut arranged = place(metadata, tensors, draft, sharing);
    let mut covers = Covers::for_parts(draft.parts);
    for (i, place) in kept(tensors, draft, &arranged.placed) {
        chains(&tensors.lowered(i)?, place.offset, sharing).for_each(|chain| covers.add(chain, sharing));
    }
    arranged.covers = covers.finish(sharing);
    Ok(arranged)
}

/// Length in bytes of one file, how many of them are shared, and in how many extents.
///
/// # Errors
/// If a tensor cannot be lowered.
pub fn outlook(
    metadata: KeyValues,
    tensors: &dyn Tensors,
    draft: &Draft,
    sharing: &Sharing,
) -> Result<(u64, (u64, u64))> {
    let Arranged { placed, len, .. } = place(metadata, tensors, draft, sharing);
    let (mut covers, mut shared) = (Covers::default(), (0, 0));
    let mut count = |(bytes, extents): (u64, u64)| shared = (shared.0 + bytes, shared.1 + extents);
    for (i, place) in kept(tensors, draft, &placed) {
        chains(&tensors.lowered(i)?, place.offset, sharing).for_each(|chain| covers.add(chain, sharing));
        count(covers.counted());
    }
    count(total(&covers.finish(sharing)));
    Ok((len, shared))
}

/// The tensors of one file of which something may be shared, and their places.
fn kept<'a>(
    tensors: &'a dyn Tensors,
    draft: &'a Draft,
    placed: &'a [Placed],
) -> impl Iterator<Item = (usize, &'a Placed)> {
    let placed = draft.tensors.iter().copied().zip(placed);
    placed.filter(|(i, _)| tensors.parts_written(*i).is_none())
}

/// Length of the header and places of one file; no covers yet.
fn place<'a>(
    mut metadata: KeyValues,
    tensors: &dyn Tensors,
    draft: &'a Draft,
    sharing: &Sharing,
) -> Arranged<'a> {
    let padded = |bytes: u64| bytes.next_multiple_of(draft.alignment);
    let infos: Vec<TensorInfo> = draft.tensors.iter().map(|&i| tensors.info(i)).collect();
    let header_len = pad(&mut metadata, &infos, draft, sharing.block);
    let data_start = padded(header_len);

    let mut placed = Vec::with_capacity(infos.len());
    let mut at = data_start;
    for info in infos {
        let (dtype, len) = (info.type_name(), info.bytes);
        placed.push(Placed { name: info.name, shape: info.shape, dtype, offset: at, len });
        at += padded(len);
    }

    Arranged { draft, metadata, header_len, placed, data_start, len: at, covers: Vec::new() }
}

/// The file that was laid out, step by step. With `exact`, bytes that are copied still pass through the reference's
/// conversion (BF16 NaNs are made quiet).
///
/// # Errors
/// If a tensor cannot be lowered.
pub fn output(
    path: PathBuf,
    arranged: Arranged,
    tensors: &dyn Tensors,
    sharing: &Sharing,
    exact: bool,
) -> Result<Output> {
    let Arranged { draft, metadata, header_len, placed, data_start, len, covers } = arranged;
    let alignment = draft.alignment;
    let infos: Vec<TensorInfo> = draft.tensors.iter().map(|&i| tensors.info(i)).collect();
    let header = gguf::encode(&metadata, &infos, alignment);
    debug_assert_eq!(header.len() as u64, header_len);
    drop((metadata, infos));
    let padded = |bytes: u64| bytes.next_multiple_of(alignment);
    // A clone may have a copy on either side.
    let mut steps = Vec::with_capacity(placed.len() + draft.parts + 2 * covers.len() + 2);
    steps.push(Step { start: 0, len: header_len, action: Action::Bytes(header.into()), reason: None });
    zero(&mut steps, header_len, data_start);
    let filler = Filler { covers: &covers, sharing, alignment, exact };
    for (&i, place) in draft.tensors.iter().zip(&placed) {
        let (tensor, mut dst) = (tensors.lowered(i)?, place.offset);
        for part in &tensor.parts {
            filler.fill(&mut steps, part, dst);
            dst += part.bytes;
        }
        zero(&mut steps, dst, place.offset + padded(tensor.bytes));
    }
    Ok(Output { path, len, data_start, alignment, tensors: placed, steps, like: None })
}

/// The steps that make `tensor` from byte `start` of an output on, with nothing shared and every byte kept that may be.
///
/// # Errors
/// If the tensor cannot be lowered.
pub fn of_tensor(tensor: &OutputTensor, checkpoint: &Checkpoint, start: u64) -> Result<Vec<Step>> {
    let lowered = lower(tensor, &Places { checkpoint, offsets: None })?;
    let sharing = Sharing::none(checkpoint, "");
    let filler = Filler { covers: &[], sharing: &sharing, alignment: 1, exact: false };
    let (mut steps, mut at) = (Vec::with_capacity(lowered.parts.len()), start);
    for part in &lowered.parts {
        filler.fill(&mut steps, part, at);
        at += part.bytes;
    }
    Ok(steps)
}

/// Length in bytes of the header, which gets a padding key if that is what it takes to end at the wanted phase.
fn pad(metadata: &mut KeyValues, infos: &[TensorInfo], draft: &Draft, block: u64) -> u64 {
    let plain = gguf::encoded_len(metadata, infos);
    let start = draft.slack.map_or(plain.next_multiple_of(draft.alignment), |slack| plain + slack);
    let Some(phase) = draft.start_phase.filter(|phase| start % block != *phase) else {
        return plain;
    };
    let phase = phase + block - draft.slack.unwrap_or(0) % block;
    metadata.set(PADDING_KEY, Value::String(Vec::new()));
    let base = gguf::encoded_len(metadata, infos);
    let missing = (phase + block - base % block) % block;
    metadata.set(PADDING_KEY, Value::String(vec![b' '; missing as usize]));
    base + missing
}

fn zero(steps: &mut Vec<Step>, start: u64, end: u64) {
    if end > start {
        steps.push(Step { start, len: end - start, action: Action::Zero, reason: None });
    }
}

/// Makes steps of the clones of an output, and of what no clone covers.
pub struct Filler<'a> {
    /// Sorted and disjoint.
    pub covers: &'a [Cover],
    /// What can be shared.
    pub sharing: &'a Sharing,
    /// Alignment of the file's tensors, in bytes.
    pub alignment: u64,
    /// Whether copies are the reference's to the bit: it makes BF16 NaNs quiet.
    pub exact: bool,
}

impl Filler<'_> {
    /// Adds steps for `part`, which starts at byte `start` of the output.
    fn fill(&self, steps: &mut Vec<Step>, part: &Part, start: u64) {
        let whole = |action, reason| Step { start, len: part.bytes, action, reason: Some(reason) };
        let walk = match &part.origin {
            Origin::Bytes(bytes) => {
                return steps.push(whole(Action::Bytes(bytes.clone()), Reason::Generated));
            }
            Origin::Zeros => return steps.push(whole(Action::Zero, Reason::Generated)),
            Origin::Encode(walk, to) => {
                let action = Action::Encode { walk: walk.clone(), first: 0, to: *to };
                return steps.push(whole(action, Reason::Converted));
            }
            Origin::Move(walk) => walk,
        };
        self.moved(steps, walk, start, part.bytes);
    }

    /// Adds steps for `len` bytes at byte `start` of the output that keep their value. A clone is added where it begins.
    pub fn moved(&self, steps: &mut Vec<Step>, walk: &Arc<Walk>, start: u64, len: u64) {
        let end = start + len;
        let covering = self.overlapping(start, end);
        let reason = self.why_not(walk, start, !covering.is_empty());
        let quiet = self.exact && walk.dtype == Dtype::BF16;
        let copy = |from: u64, to: u64| {
            let action = match walk.is_contiguous() && !quiet {
                true => Action::Copy { file: walk.file, offset: walk.offset + (from - start) },
                false => {
                    Action::Gather { walk: walk.clone(), first: (from - start) / walk.dtype.size(), quiet }
                }
            };
            Step { start: from, len: to - from, action, reason: Some(reason) }
        };
        interleave(steps, covering, start, end, &copy);
    }

    fn overlapping(&self, start: u64, end: u64) -> &[Cover] {
        let from = self.covers.partition_point(|c| c.end() <= start);
        let to = self.covers.partition_point(|c| c.start() < end);
        &self.covers[from..to.max(from)]
    }

    fn why_not(&self, walk: &Walk, dst: u64, partly_shared: bool) -> Reason {
        if !self.sharing.allows(walk.file) {
            Reason::CannotShare
        } else if partly_shared {
            Reason::Edge
        } else if !self.sharing.considers(walk) {
            match (walk.keeps_neighbours(), walk.keeps_order()) {
                (false, _) => Reason::Transposed,
                (true, false) => Reason::Rearranged,
                (true, true) => Reason::Scattered,
            }
        } else if walk.offset % self.sharing.block == dst % self.sharing.block {
            Reason::TooShort
        } else if !walk.offset.is_multiple_of(self.alignment) {
            Reason::OffGrid
        } else {
            Reason::OffPhase
        }
    }
}

/// Adds `covers` to `steps`, and copies of what they leave from byte `start` of the output to byte `end`.
fn interleave(
    steps: &mut Vec<Step>,
    covers: &[Cover],
    start: u64,
    end: u64,
    copy: &impl Fn(u64, u64) -> Step,
) {
    let mut at = start;
    for cover in covers {
        if cover.start() > at {
            steps.push(copy(at, cover.start()));
        }
        let action = match cover {
            Cover::Clone(clone) => Action::Clone { file: clone.file, offset: clone.src },
            Cover::Repeat(repeat) => {
                let mut inner = Vec::with_capacity(2 * repeat.covers.len());
                let end = repeat.start + repeat.stride;
                interleave(&mut inner, &repeat.covers, repeat.start, end, copy);
                let (count, stride, source_stride) = (repeat.count, repeat.stride, repeat.source_stride);
                Action::Repeat(Pattern { count, stride, source_stride, steps: inner }.into())
            }
        };
        if cover.start() >= start {
            let len = cover.end() - cover.start();
            steps.push(Step { start: cover.start(), len, action, reason: None });
        }
        at = at.max(cover.end());
    }
    if end > at {
        steps.push(copy(at, end));
    }
}
