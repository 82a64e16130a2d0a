//! Tensors that exist as they will be written, put into other files: nothing changes its value, only its place.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::files::{self, Draft};
use super::layout::Effort;
use super::lower::{Lowered, Origin, Part};
use super::{Action, Plan, Sharing, Walk, set, steps};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::gguf::{KeyValues, SPLIT_SET_KEY, TensorInfo};
use crate::tensor::Dim;

/// Files to put together of tensors that lie in other files.
#[derive(Debug)]
pub struct Regroup<'a> {
    /// The files that they lie in.
    pub sources: Vec<PathBuf>,
    /// Tensors in the order that they should have.
    pub tensors: &'a [Stored],
    /// What to write.
    pub files: Vec<Group>,
    /// Whether sharing is worth another order of the tensors of a file.
    pub may_reorder: bool,
    /// What can be shared.
    pub sharing: &'a Sharing,
    /// What tells the sources from others of the same names; enters into the identifier of a split set.
    pub stamp: &'a [u8],
}

/// A tensor in a source file.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Name, shape, type and length in bytes.
    pub info: TensorInfo,
    /// Index into [`Regroup::sources`].
    pub file: usize,
    /// First byte in that file.
    pub offset: u64,
}

/// One file to write.
#[derive(Clone, Debug)]
pub struct Group {
    /// Where it will be.
    pub path: PathBuf,
    /// Its key-values, if nothing is shared.
    pub metadata: KeyValues,
    /// Its key-values otherwise. Padding that there is can be lengthened where it is.
    pub laid_out: KeyValues,
    /// Which of the tensors it gets.
    pub tensors: Range<usize>,
    /// What they are padded to, in bytes.
    pub alignment: u64,
    /// How many zeros there should be between header and data, if that matters.
    pub slack: Option<u64>,
}

impl Plan {
    /// Plans files that hold tensors as they are. Where nothing can be shared, key-values and order are those asked for;
    /// otherwise keys about layout are made anew.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) if the plan contradicts itself.
    pub fn regroup(request: Regroup) -> Result<Self> {
        let Regroup { sources, tensors, files, may_reorder, sharing, stamp } = request;
        let tensors: Vec<Lowered> = tensors.iter().map(lowered).collect();
        let mut effort = Effort::default();
        let drafts: Vec<Draft> =
            files.iter().map(|group| draft(group, &tensors, may_reorder, sharing, &mut effort)).collect();
        let exact = drafts.iter().all(|draft| draft.start_phase.is_none());
        let first = files.first().map(|group| &group.metadata);
        let set = first.filter(|_| files.len() > 1 && !exact);
        let set = set.map(|metadata| set::identifier(metadata, &tensors, &drafts, stamp));
        let mut plan = Self {
            sources,
            block: sharing.block,
            refusal: sharing.refusals.iter().flatten().next().cloned(),
            outputs: Vec::with_capacity(files.len()),
        };
        for (Group { path, metadata, laid_out, .. }, draft) in files.into_iter().zip(&drafts) {
            let mut metadata = if exact { metadata } else { laid_out };
            if let Some(set) = &set {
                metadata.set_string(SPLIT_SET_KEY, set);
            }
            plan.outputs.push(steps::output(path, metadata, &tensors, draft, sharing, false));
        }
        plan.check()?;
        Ok(plan)
    }
}

/// The tensors of `group` in their order, or in another if that shares more and `may_reorder`.
fn draft(
    group: &Group,
    tensors: &[Lowered],
    may_reorder: bool,
    sharing: &Sharing,
    effort: &mut Effort,
) -> Draft {
    let shared = |draft: &Draft| {
        let output = steps::output(PathBuf::new(), group.laid_out.clone(), tensors, draft, sharing, false);
        let clones = output.steps.iter().filter(|step| matches!(step.action, Action::Clone { .. }));
        clones.map(|step| step.len).sum::<u64>()
    };
    let (range, alignment) = (group.tensors.clone(), group.alignment);
    let mut first = tensors[range.clone()].iter().flat_map(|tensor| &tensor.parts);
    let phase = first.find_map(|part| match &part.origin {
        Origin::Move(walk) if sharing.allows(walk.file) => Some(walk.offset % sharing.block),
        _ => None,
    });
    let start_phase = phase.filter(|phase| phase.is_multiple_of(alignment));
    let mut best = Draft { tensors: range.clone().collect(), start_phase, alignment, slack: group.slack };
    let mut most = start_phase.map_or(0, |_| shared(&best));
    if may_reorder {
        let other = files::arranged(tensors, range, sharing, alignment, effort);
        let gain = other.start_phase.map_or(0, |_| shared(&other));
        if gain > most {
            (best, most) = (other, gain);
        }
    }
    best.start_phase = best.start_phase.filter(|_| most > 0);
    best
}

/// Whatever the elements are, bytes are what is moved.
fn lowered(stored: &Stored) -> Lowered {
    let len = stored.info.bytes;
    let walk = Walk {
        file: stored.file,
        offset: stored.offset,
        dtype: Dtype::U8,
        dims: vec![Dim { len, stride: 1 }],
        first: 0,
        codes: None,
        arithmetic: Vec::new(),
    };
    let part = Part { bytes: len, origin: Origin::Move(Arc::new(walk)) };
    let parts = if len > 0 { vec![part] } else { Vec::new() };
    Lowered { info: stored.info.clone(), parts, bytes: len }
}
