//! Files put together from ranges of other files behind a new header: nothing changes its value, only its place.

use std::path::PathBuf;
use std::sync::Arc;

use super::cover::{Chain, Covers};
use super::runs::Extent;
use super::steps::Filler;
use super::{Action, Output, Placed, Plan, Sharing, Step, Walk};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::tensor::Dim;

/// One file to put together.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// Where it will be.
    pub path: PathBuf,
    /// What it starts with; may be empty.
    pub header: Vec<u8>,
    /// What follows the header, back to back.
    pub ranges: Vec<Range>,
    /// Tensors in file order, from the end of the header to the end of the file; none if the ranges are
    /// not tensors.
    pub tensors: Vec<Placed>,
    /// Index of the source file whose owner and permissions it takes over.
    pub like: usize,
}

/// A range of a source file.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Index into [`Plan::sources`].
    pub file: usize,
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
}

impl Plan {
    /// Plans `files`, made of ranges of `sources`.
    ///
    /// # Errors
    /// If a file's tensors are not where its header and ranges put them.
    pub fn rewrite(sources: Vec<PathBuf>, sharing: &Sharing, files: Vec<Rewrite>) -> Result<Self> {
        let plan = Self {
            sources,
            block: sharing.block,
            refusal: sharing.refusals.iter().flatten().next().cloned(),
            outputs: files.into_iter().map(|file| output(file, sharing)).collect(),
        };
        plan.check()?;
        Ok(plan)
    }
}

fn output(file: Rewrite, sharing: &Sharing) -> Output {
    let header_len = file.header.len() as u64;
    let mut end = header_len;
    let mut place = |range: &Range| {
        let extent = Extent { dst: end, file: range.file, src: range.offset, len: range.len };
        end += range.len;
        extent
    };
    let extents: Vec<Extent> = file.ranges.iter().filter(|r| r.len > 0).map(&mut place).collect();
    let mut covers = Covers::default();
    let shareable = extents.iter().filter(|extent| sharing.allows(extent.file));
    shareable.for_each(|extent| covers.add(Chain::of(*extent), sharing));
    let covers = covers.finish(sharing);

    let mut steps = Vec::with_capacity(extents.len() + 2 * covers.len() + 1);
    if header_len > 0 {
        steps.push(Step {
            start: 0,
            len: header_len,
            action: Action::Bytes(file.header.into()),
            reason: None,
        });
    }
    let filler = Filler { covers: &covers, sharing, alignment: 1, exact: false };
    for extent in &extents {
        // Whatever the elements are, bytes are what is moved.
        let dims = [Dim { len: extent.len, stride: 1 }].into();
        let walk = Arc::new(Walk {
            file: extent.file,
            offset: extent.src,
            dtype: Dtype::U8,
            dims,
            first: 0,
            arithmetic: Vec::new(),
            codes: None,
        });
        filler.moved(&mut steps, &walk, extent.dst, extent.len);
    }
    let data_start = if file.tensors.is_empty() { end } else { header_len };
    Output {
        path: file.path,
        len: end,
        data_start,
        alignment: 1,
        tensors: file.tensors,
        steps,
        like: Some(file.like),
    }
}
