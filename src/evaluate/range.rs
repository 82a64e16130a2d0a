//! Any range of an output, in any order.

use super::buffers::{Buffers, part_of};
use super::content::{Content, unit};
use super::queue::CHUNK;
use super::sources::Sources;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::source::File;

/// Reads the outputs of a plan as if they had been written.
pub struct Evaluator<'a> {
    plan: &'a Plan,
    sources: Sources<'a>,
}

impl<'a> Evaluator<'a> {
    /// Of `plan`, whose sources are `files`.
    pub fn new(plan: &'a Plan, files: &'a [File]) -> Self {
        Self { plan, sources: Sources::new(files, false) }
    }

    /// Fills `out` from byte `start` of an output on, and answers how many bytes there were before its end.
    ///
    /// # Errors
    /// If a source cannot be read or is shorter than it was, or there is no such output.
    pub fn read_at(&self, output: usize, start: u64, out: &mut [u8], buffers: &mut Buffers) -> Result<usize> {
        let Some(output) = self.plan.outputs.get(output) else {
            return Err(Error::Internal(format!("there is no output {output}")));
        };
        let len = output.len.saturating_sub(start).min(out.len() as u64);
        let mut rest = &mut out[..len as usize];
        let mut at = start;
        for spot in output.spots_from(start) {
            if rest.is_empty() {
                break;
            }
            let (part, tail) = rest.split_at_mut((spot.end() - at).min(rest.len() as u64) as usize);
            self.part(Content::at(spot), at - spot.start(), part, buffers)?;
            at = spot.end();
            rest = tail;
        }
        Ok(len as usize)
    }

    /// Fills `out` from byte `from` of `content` on.
    fn part(&self, content: Content, from: u64, out: &mut [u8], buffers: &mut Buffers) -> Result<()> {
        let content = match content {
            Content::Walk { .. } => return self.walk(content, from, out, buffers),
            Content::Raw { file, offset } => Content::Raw { file, offset: offset + from },
            Content::Bytes(bytes) => Content::Bytes(&bytes[from as usize..][..out.len()]),
            Content::Zeros => Content::Zeros,
        };
        content.fill(&self.sources, out, buffers).map(drop)
    }

    /// Fills `out` from byte `from` of a walk's output on. Units that are only partly wanted are computed apart.
    fn walk(&self, content: Content, from: u64, out: &mut [u8], buffers: &mut Buffers) -> Result<()> {
        let Content::Walk { walk, first, to } = content else { return Ok(()) };
        let (elements, bytes) = unit(walk, to);
        let most = (CHUNK / (elements * walk.dtype.size()).max(bytes)).max(1) * bytes;
        let (mut at, mut rest) = (from, out);
        while !rest.is_empty() {
            let within = at % bytes;
            let wanted = rest.len() as u64;
            let content = Content::Walk { walk, first: first + at / bytes * elements, to };
            let len = if within > 0 || wanted < bytes {
                let len = wanted.min(bytes - within);
                let mut edge = std::mem::take(&mut buffers.out);
                let whole = part_of(&mut edge, bytes);
                content.fill(&self.sources, whole, buffers)?;
                rest[..len as usize].copy_from_slice(&whole[within as usize..][..len as usize]);
                buffers.out = edge;
                len
            } else {
                let len = wanted.min(most) / bytes * bytes;
                content.fill(&self.sources, &mut rest[..len as usize], buffers)?;
                len
            };
            at += len;
            rest = &mut rest[len as usize..];
        }
        Ok(())
    }
}
