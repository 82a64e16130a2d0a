//! Turns a layout into steps: header, clones of aligned interiors, copies, conversions, padding.

use std::path::PathBuf;
use std::sync::Arc;

use super::layout::Layout;
use super::lower::{Lowered, Origin};
use super::{Action, Output, Placed, Reason, Sharing, Step, Walk, padded};
use crate::gguf::{self, DEFAULT_ALIGNMENT, KeyValues, TensorInfo, Value};

/// Key whose only purpose is its length: it moves the data section to the wanted phase.
const PADDING_KEY: &str = "ggraft.padding";

/// A run of bytes that has the same phase in source and destination.
struct Run {
    dst: u64,
    file: usize,
    src: u64,
    len: u64,
}

/// Lays out one file. With `exact`, bytes that are copied still pass through the reference's
/// conversion (BF16 NaNs are made quiet).
pub fn output(
    path: PathBuf,
    mut metadata: KeyValues,
    tensors: &[Lowered],
    layout: &Layout,
    sharing: &Sharing,
    exact: bool,
) -> Output {
    let infos: Vec<TensorInfo> = layout.order.iter().map(|&i| tensors[i].info.clone()).collect();
    let header = header(&mut metadata, &infos, layout.start_phase, sharing.block);
    // The reference pads the data section only where there is one.
    let data_start = padded(header.len() as u64);

    let mut placed = Vec::with_capacity(infos.len());
    let mut at = data_start;
    for info in infos {
        let bytes = info.bytes();
        placed.push(Placed { info, offset: at });
        at += padded(bytes);
    }
    let len = at;

    let in_order = || layout.order.iter().map(|&i| &tensors[i]).zip(&placed);
    let clones = clones(in_order(), sharing);
    let mut steps = Vec::with_capacity(2 * placed.len() + clones.len() + 2);
    let header_len = header.len() as u64;
    steps.push(Step { start: 0, len: header_len, action: Action::Bytes(header.into()), reason: None });
    zero(&mut steps, header_len, data_start);
    for clone in &clones {
        let action = Action::Clone { file: clone.file, offset: clone.src };
        steps.push(Step { start: clone.dst, len: clone.len, action, reason: None });
    }
    for (tensor, place) in in_order() {
        fill(&mut steps, tensor, place.offset, &clones, sharing, exact);
        zero(&mut steps, place.offset + tensor.bytes, place.offset + padded(tensor.bytes));
    }
    steps.sort_by_key(|s| s.start);
    Output { path, len, data_start, tensors: placed, steps }
}

/// The encoded header, with a padding key if that is what it takes to end at `phase`.
fn header(metadata: &mut KeyValues, infos: &[TensorInfo], phase: Option<u64>, block: u64) -> Vec<u8> {
    let plain = gguf::encode(metadata, infos, DEFAULT_ALIGNMENT);
    let Some(phase) = phase.filter(|p| padded(plain.len() as u64) % block != *p) else {
        return plain;
    };
    metadata.set(PADDING_KEY, Value::String(Vec::new()));
    let base = gguf::encode(metadata, infos, DEFAULT_ALIGNMENT).len() as u64;
    let missing = (phase + block - base % block) % block;
    metadata.set(PADDING_KEY, Value::String(vec![b' '; missing as usize]));
    gguf::encode(metadata, infos, DEFAULT_ALIGNMENT)
}

fn zero(steps: &mut Vec<Step>, start: u64, end: u64) {
    if end > start {
        steps.push(Step { start, len: end - start, action: Action::Zero, reason: None });
    }
}

/// Aligned interiors worth cloning, in file order. Runs that continue each other in source and
/// destination are joined first, so that a block on the border of two tensors can be shared too.
fn clones<'a>(tensors: impl Iterator<Item = (&'a Lowered, &'a Placed)>, sharing: &Sharing) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (tensor, place) in tensors {
        let mut dst = place.offset;
        for part in &tensor.parts {
            if let Origin::Move(walk) = &part.origin
                && congruent(walk, dst, sharing)
            {
                match runs.last_mut() {
                    Some(run)
                        if run.file == walk.file
                            && run.dst + run.len == dst
                            && run.src + run.len == walk.offset =>
                    {
                        run.len += part.bytes;
                    }
                    _ => runs.push(Run { dst, file: walk.file, src: walk.offset, len: part.bytes }),
                }
            }
            dst += part.bytes;
        }
    }
    let block = sharing.block;
    runs.retain_mut(|run| {
        let start = run.dst.next_multiple_of(block);
        let end = (run.dst + run.len) / block * block;
        run.src += start - run.dst;
        run.dst = start;
        run.len = end.saturating_sub(start);
        run.len >= sharing.min_extent.max(block)
    });
    runs
}

fn congruent(walk: &Walk, dst: u64, sharing: &Sharing) -> bool {
    walk.is_contiguous()
        && walk.offset % sharing.block == dst % sharing.block
        && sharing.refusals.get(walk.file).is_some_and(Option::is_none)
}

/// Adds steps for everything of `tensor` that no clone covers.
fn fill(steps: &mut Vec<Step>, tensor: &Lowered, start: u64, clones: &[Run], sharing: &Sharing, exact: bool) {
    let ggml_type = tensor.info.ggml_type;
    let mut dst = start;
    for part in &tensor.parts {
        let end = dst + part.bytes;
        let mut push = |start: u64, end: u64, action: Action, reason: Reason| {
            steps.push(Step { start, len: end - start, action, reason: Some(reason) });
        };
        match &part.origin {
            Origin::Bytes(bytes) => push(dst, end, Action::Bytes(bytes.clone()), Reason::Generated),
            Origin::Convert(walk) => {
                push(
                    dst,
                    end,
                    Action::Convert { walk: walk.clone(), first: 0, to: ggml_type },
                    Reason::Converted,
                );
            }
            Origin::Move(walk) => {
                let covered = overlapping(clones, dst, end);
                let reason = why_not(walk, dst, !covered.is_empty(), sharing);
                let mut at = dst;
                for (from, to) in covered.iter().map(|c| (c.dst, c.dst + c.len)).chain([(end, end)]) {
                    let to = to.min(end);
                    if from > at {
                        let first = (at - dst) / walk.dtype.size();
                        let walk: Arc<Walk> = walk.clone();
                        let action = match exact {
                            true => Action::Convert { walk, first, to: ggml_type },
                            false => Action::Copy { walk, first },
                        };
                        push(at, from, action, reason);
                    }
                    at = at.max(to);
                }
            }
        }
        dst = end;
    }
}

/// The clones (sorted, disjoint) that overlap `start..end`.
fn overlapping(clones: &[Run], start: u64, end: u64) -> &[Run] {
    let from = clones.partition_point(|c| c.dst + c.len <= start);
    let to = clones.partition_point(|c| c.dst < end);
    &clones[from..to.max(from)]
}

fn why_not(walk: &Walk, dst: u64, partly_shared: bool, sharing: &Sharing) -> Reason {
    if sharing.refusals.get(walk.file).is_none_or(Option::is_some) {
        Reason::CannotShare
    } else if !walk.is_contiguous() {
        Reason::Rearranged
    } else if partly_shared {
        Reason::Edge
    } else if walk.offset % sharing.block == dst % sharing.block {
        Reason::TooShort
    } else if !walk.offset.is_multiple_of(DEFAULT_ALIGNMENT) {
        Reason::OffGrid
    } else {
        Reason::OffPhase
    }
}
