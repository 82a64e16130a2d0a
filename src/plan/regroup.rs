//! Tensors that exist as they will be written, put into other files: nothing changes its value, only its place.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::cover;
use super::files::{self, Draft};
use super::layout::Effort;
use super::lower::{Lowered, Origin, Part, Tensors};
use super::share::{Outline, outline};
use super::{Plan, Sharing, Walk, set, steps};
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
        let mut effort = Effort::default();
        let drafts = files.iter().map(|group| draft(group, tensors, may_reorder, sharing, &mut effort));
        let drafts = drafts.collect::<Result<Vec<Draft>>>()?;
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
            let arranged = steps::arrange(metadata, &tensors, draft, sharing)?;
            plan.outputs.push(steps::output(path, arranged, &tensors, sharing, false)?);
        }
        plan.check()?;
        Ok(plan)
    }
}

/// The tensors of `group` in their order, or in another if that shares more and `may_reorder`.
fn draft(
    group: &Group,
    tensors: &[Stored],
    may_reorder: bool,
    sharing: &Sharing,
    effort: &mut Effort,
) -> Result<Draft> {
    let shared = |draft: &Draft| -> Result<u64> {
        if draft.start_phase.is_none() {
            return Ok(0);
        }
        let arranged = steps::arrange(group.laid_out.clone(), &tensors, draft, sharing)?;
        Ok(cover::total(&arranged.covers).0)
    };
    let (range, alignment) = (group.tensors.clone(), group.alignment);
    let first =
        tensors[range.clone()].iter().find(|tensor| tensor.info.bytes > 0 && sharing.allows(tensor.file));
    let phase = first.map(|tensor| tensor.offset % sharing.block);
    let start_phase = phase.filter(|phase| phase.is_multiple_of(alignment));
    let (tensors_of, slack) = (range.clone().collect(), group.slack);
    let mut best = Draft { tensors: tensors_of, parts: range.len(), start_phase, alignment, slack };
    let mut most = shared(&best)?;
    if may_reorder {
        let outlines =
            tensors[range.clone()].iter().map(|tensor| outline(&lowered(tensor), sharing, alignment));
        let outlines: Vec<Outline> = outlines.collect();
        let mut other = files::arranged(&outlines, 0..range.len(), sharing.block, alignment, effort);
        other.tensors.iter_mut().for_each(|i| *i += range.start);
        let gain = shared(&other)?;
        if gain > most {
            (best, most) = (other, gain);
        }
    }
    best.start_phase = best.start_phase.filter(|_| most > 0);
    Ok(best)
}

impl Tensors for &[Stored] {
    fn count(&self) -> usize {
        self.len()
    }

    fn info(&self, i: usize) -> TensorInfo {
        self[i].info.clone()
    }

    fn parts_written(&self, _: usize) -> Option<usize> {
        None
    }

    fn lowered(&self, i: usize) -> Result<Lowered> {
        Ok(lowered(&self[i]))
    }
}

/// Whatever the elements are, bytes are what is moved.
fn lowered(stored: &Stored) -> Lowered {
    let len = stored.info.bytes;
    let walk = Walk {
        file: stored.file,
        offset: stored.offset,
        dtype: Dtype::U8,
        dims: [Dim { len, stride: 1 }].into(),
        first: 0,
        codes: None,
        arithmetic: Vec::new(),
    };
    let part = Part { bytes: len, origin: Origin::Move(Arc::new(walk)) };
    let parts = if len > 0 { vec![part] } else { Vec::new() };
    Lowered { parts, bytes: len }
}
