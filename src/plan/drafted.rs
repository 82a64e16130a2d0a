//! A conversion's files, from which tensors they get to every step; or only as far as it takes to know what they would share.

use super::files::{self, Draft};
use super::share::outlines;
use super::steps::{self, Arranged};
use super::{Action, Output, Plan, Request, set, split};
use crate::error::Result;
use crate::gguf::{self, DEFAULT_ALIGNMENT, KeyValues, Value};

/// What a plan would amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Number of output files.
    pub files: usize,
    /// Bytes of all of them together.
    pub bytes: u64,
    /// Bytes that are shared, and in how many extents.
    pub shared: (u64, u64),
}

impl Outlook {
    /// What files of a finished plan amount to.
    pub fn of(outputs: &[Output]) -> Self {
        let steps = outputs.iter().flat_map(Output::counted);
        let clones = steps.filter(|(step, _)| matches!(step.action, Action::Clone { .. }));
        let shared = clones
            .fold((0, 0), |(bytes, extents), (step, times)| (bytes + times * step.len, extents + times));
        Self { files: outputs.len(), bytes: outputs.iter().map(|output| output.len).sum(), shared }
    }
}

impl Plan {
    /// Lays out the output files and decides how each byte range gets its bytes.
    ///
    /// If nothing can be shared, tensors are ordered and padded as the reference does it.
    ///
    /// # Errors
    /// If a tensor cannot be lowered (unsupported source type, absurd size).
    pub fn new(request: &Request) -> Result<Self> {
        let drafted = Drafted::new(request)?;
        let mut plan = Self {
            sources: request.checkpoint.files.iter().map(|f| f.path.clone()).collect(),
            block: request.sharing.block,
            refusal: request.sharing.refusals.iter().flatten().next().cloned(),
            outputs: Vec::with_capacity(drafted.drafts.len()),
        };
        for no in 0..drafted.drafts.len() {
            let path = split::path(request.path, no, drafted.drafts.len());
            let arranged = drafted.arranged(no)?;
            plan.outputs.push(steps::output(path, arranged, request, request.sharing, drafted.exact)?);
        }
        plan.check()?;
        Ok(plan)
    }

    /// What [`Plan::new`] would come to, for a fraction of its time and memory.
    ///
    /// # Errors
    /// As [`Plan::new`], about tensors of which something might be shared.
    pub fn outlook(request: &Request) -> Result<Outlook> {
        let drafted = Drafted::new(request)?;
        let mut outlook = Outlook { files: drafted.drafts.len(), ..Outlook::default() };
        for no in 0..drafted.drafts.len() {
            let draft = &drafted.drafts[no];
            let (len, (bytes, extents)) =
                steps::outlook(drafted.metadata(no), request, draft, request.sharing)?;
            outlook.bytes += len;
            outlook.shared = (outlook.shared.0 + bytes, outlook.shared.1 + extents);
        }
        Ok(outlook)
    }
}

/// Which tensors go where.
struct Drafted<'a> {
    request: &'a Request<'a>,
    drafts: Vec<Draft>,
    /// A plan that shares nothing is the reference's to the byte, NaNs included; one that shares
    /// some of its blocks keeps all bytes that it need not change.
    exact: bool,
    /// What tells that files belong together.
    set: Option<String>,
}

impl<'a> Drafted<'a> {
    fn new(request: &'a Request<'a>) -> Result<Self> {
        let Request { sharing, layout, alignment, .. } = *request;
        let grid = alignment.of(layout);
        let outlines = outlines(request, sharing, grid)?;
        let drafts = files::drafts(&outlines, sharing.block, layout, alignment, &request.splits);
        let exact = drafts.iter().all(|draft| draft.start_phase.is_none());
        let set = (drafts.len() > 1 && !exact)
            .then(|| set::identifier(request.metadata, request, &drafts, request.stamp));
        Ok(Self { request, drafts, exact, set })
    }

    /// File `no`, laid out.
    fn arranged(&self, no: usize) -> Result<Arranged<'_>> {
        steps::arrange(self.metadata(no), self.request, &self.drafts[no], self.request.sharing)
    }

    /// What file `no` has for key-values, but for padding.
    fn metadata(&self, no: usize) -> KeyValues {
        let Self { request, drafts, set, .. } = self;
        let (draft, count) = (&drafts[no], drafts.len());
        let mut metadata = if no == 0 { request.metadata.clone() } else { KeyValues::new() };
        if draft.alignment != DEFAULT_ALIGNMENT {
            metadata.set_u32("general.alignment", draft.alignment as u32);
        }
        if count > 1 {
            metadata.set("split.no", Value::U16(no as u16));
            metadata.set("split.count", Value::U16(count as u16));
            metadata.set("split.tensors.count", Value::I32(request.tensors.len() as i32));
        }
        if let Some(set) = set {
            metadata.set_string(gguf::SPLIT_SET_KEY, set);
        }
        metadata
    }
}
