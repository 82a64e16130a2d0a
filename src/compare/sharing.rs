//! Ranges that need not be read: extent maps show them to be the same blocks on the disk in both files, or holes in both.

use ggraft_platform::{Extent, extents_at};

use crate::error::{Error, Result};
use crate::plan::{Action, NO_SOURCE, Output, Pattern, Step};
use crate::source::File;

/// `FIEMAP_EXTENT_*` of linux/fiemap.h with which a place on the disk says nothing of what is read: unknown, delayed,
/// encoded, encrypted, not aligned, inline, packed with others, unwritten.
const UNTRUSTED: u32 = 0x2 | 0x4 | 0x8 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800;

/// Cuts what is proven out of the steps of `outputs`, whose files are `files`; answers how many bytes of tensors that is.
/// Steps that take a range of a source as it is become clones: of [no source](NO_SOURCE) what is proven, of their source
/// what is not. So do zeros that are holes.
///
/// # Errors
/// If an extent map cannot be read.
pub fn prove(outputs: &mut [Output], files: &[File], sources: &[File]) -> Result<u64> {
    let mut sum = 0;
    for (output, file) in outputs.iter_mut().zip(files) {
        let Some(device) = file.identity().map(|identity| identity.device) else { continue };
        let Some(own) = on_device(file, device)? else { continue };
        let mut maps = Maps { own, device, sources, source: NO_SOURCE, map: None };
        let mut steps = Vec::with_capacity(output.steps.len());
        for step in std::mem::take(&mut output.steps) {
            sum += maps.prove(step, &mut steps)?;
        }
        output.steps = steps;
    }
    Ok(sum)
}

/// The maps of an output and of the source that was looked at last: one at a time, so that no more handles are held than
/// those that are kept anyway.
struct Maps<'a> {
    own: Map<'a>,
    device: u64,
    sources: &'a [File],
    source: usize,
    map: Option<Map<'a>>,
}

impl Maps<'_> {
    /// Adds `step` to `steps`, cut into what is proven and what is not, and answers how many bytes of tensors are.
    fn prove(&mut self, step: Step, steps: &mut Vec<Step>) -> Result<u64> {
        if let Action::Repeat(pattern) = &step.action {
            return self.prove_pattern(pattern, steps);
        }
        let Some((number, offset)) = range(&step) else {
            match step.action {
                Action::Zero => holes(&step, &mut self.own, steps)?,
                _ => steps.push(step),
            }
            return Ok(0);
        };
        if number != self.source {
            (self.source, self.map) = (number, on_device(&self.sources[number], self.device)?);
        }
        match &mut self.map {
            Some(map) => cut(&step, number, offset, &mut self.own, map, steps),
            None => {
                steps.push(step);
                Ok(0)
            }
        }
    }

    /// Of a pattern, neighbouring repetitions of which the same is proven stay one pattern.
    fn prove_pattern(&mut self, pattern: &Pattern, steps: &mut Vec<Step>) -> Result<u64> {
        let mut sum = 0;
        let mut open: Option<Pattern> = None;
        for i in 0..pattern.count {
            let (shift, source_shift) = (i * pattern.stride, i * pattern.source_stride);
            let mut proven = Vec::with_capacity(pattern.steps.len());
            for step in &pattern.steps {
                sum += self.prove(step.moved(shift, source_shift), &mut proven)?;
            }
            match &mut open {
                Some(open) if continues(open, &proven) => open.count += 1,
                _ => {
                    steps.extend(open.take().map(of_pattern));
                    open = Some(Pattern { count: 1, steps: proven, ..*pattern });
                }
            }
        }
        steps.extend(open.map(of_pattern));
        Ok(sum)
    }
}

fn of_pattern(pattern: Pattern) -> Step {
    let start = pattern.steps.first().map_or(0, |step| step.start);
    let len = pattern.count * pattern.stride;
    Step { start, len, action: Action::Repeat(pattern.into()), reason: None }
}

/// Whether `steps` are what the next repetition of `pattern` would be.
fn continues(pattern: &Pattern, steps: &[Step]) -> bool {
    let (shift, source_shift) = (pattern.count * pattern.stride, pattern.count * pattern.source_stride);
    let same = |(before, now): (&Step, &Step)| before.moved(shift, source_shift).is_same(now);
    pattern.steps.len() == steps.len() && pattern.steps.iter().zip(steps).all(same)
}

/// The map of `file`, if it is one on `device`.
fn on_device(file: &File, device: u64) -> Result<Option<Map<'_>>> {
    if file.identity().is_none_or(|identity| identity.device != device) {
        return Ok(None);
    }
    let handle = file.handle()?;
    Ok(Some(Map::new(move |at, len| {
        extents_at(&handle, at, len).map_err(|e| Error::io("cannot map the extents of", file.path(), e))
    })))
}

/// The source and the offset of what a step takes as one range.
fn range(step: &Step) -> Option<(usize, u64)> {
    match &step.action {
        Action::Clone { file, offset } if *file != NO_SOURCE => Some((*file, *offset)),
        Action::Copy { file, offset } => Some((*file, *offset)),
        _ => None,
    }
}

/// Adds `step` to `steps` in pieces that are proven or not, and answers how many bytes are.
fn cut(
    step: &Step,
    file: usize,
    offset: u64,
    own: &mut Map<'_>,
    source: &mut Map<'_>,
    steps: &mut Vec<Step>,
) -> Result<u64> {
    let (mut done, mut sum) = (0, 0);
    while done < step.len {
        let rest = step.len - done;
        let (here, len) = own.at(step.start + done, rest)?;
        let (there, source_len) = source.at(offset + done, rest)?;
        let len = len.min(source_len).min(rest);
        let same = here == there && here != Place::Untrusted;
        let action = match same {
            true => Action::Clone { file: NO_SOURCE, offset: 0 },
            false => Action::Clone { file, offset: offset + done },
        };
        sum += if same { len } else { 0 };
        match steps.last_mut() {
            Some(Step { action: Action::Clone { file: f, offset: o }, start, len: l, .. })
                if *start + *l == step.start + done
                    && match action {
                        Action::Clone { file, offset } => *f == file && (same || *o + *l == offset),
                        _ => false,
                    } =>
            {
                *l += len;
            }
            _ => steps.push(Step { start: step.start + done, len, action, reason: None }),
        }
        done += len;
    }
    Ok(sum)
}

/// Adds the zeros of `step` to `steps`: what is a hole is proven.
fn holes(step: &Step, own: &mut Map<'_>, steps: &mut Vec<Step>) -> Result<()> {
    let mut done = 0;
    while done < step.len {
        let (here, len) = own.at(step.start + done, step.len - done)?;
        let len = len.min(step.len - done);
        let action = match here {
            Place::Hole => Action::Clone { file: NO_SOURCE, offset: 0 },
            _ => Action::Zero,
        };
        steps.push(Step { start: step.start + done, len, action, reason: step.reason });
        done += len;
    }
    Ok(())
}

/// Where a byte of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Disk(u64),
    Hole,
    Untrusted,
}

/// Gives the first extents in a range, by its first byte and length; none if the file system has no maps.
type Read<'a> = dyn FnMut(u64, u64) -> Result<Option<Vec<Extent>>> + 'a;

/// The extents of a file, of which `read` gives the first in a range. Those of a large file may be millions, so that only
/// some are in memory.
struct Map<'a> {
    read: Box<Read<'a>>,
    /// What is known: `extents`, and holes between them.
    from: u64,
    to: u64,
    extents: Vec<Extent>,
}

impl<'a> Map<'a> {
    fn new(read: impl FnMut(u64, u64) -> Result<Option<Vec<Extent>>> + 'a) -> Self {
        Self { read: Box::new(read), from: 0, to: 0, extents: Vec::new() }
    }

    /// Where byte `at` is, of which `len` matter from there on, and for how many bytes it goes on there, at least.
    fn at(&mut self, at: u64, len: u64) -> Result<(Place, u64)> {
        if !(self.from..self.to).contains(&at) {
            // A file system without maps proves nothing.
            let Some(extents) = (self.read)(at, len)? else { return Ok((Place::Untrusted, u64::MAX)) };
            self.from = at;
            self.to = extents.last().map_or(at.saturating_add(len), |last| last.logical + last.len);
            self.extents = extents;
        }
        let next = self.extents.partition_point(|extent| extent.logical + extent.len <= at);
        Ok(match self.extents.get(next) {
            None => (Place::Hole, self.to - at),
            Some(extent) if at < extent.logical => (Place::Hole, extent.logical - at),
            Some(extent) => {
                let within = at - extent.logical;
                let place = match extent.flags & UNTRUSTED {
                    0 => Place::Disk(extent.physical + within),
                    _ => Place::Untrusted,
                };
                (place, extent.len - within)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map that is read two extents at a time.
    fn map(extents: &[(u64, u64, u64, u32)]) -> Map<'_> {
        Map::new(move |at, len| {
            let extent = |&(logical, physical, len, flags): &_| Extent { logical, physical, len, flags };
            let all = extents.iter().map(extent);
            let within = all.filter(|e| e.logical + e.len > at && e.logical < at + len);
            Ok(Some(within.take(2).collect()))
        })
    }

    /// Bytes 0 to 8192 are the same blocks, then one file's are unwritten, then both have holes, then blocks differ.
    #[test]
    fn only_the_same_blocks_and_common_holes_are_proven() {
        let mut own = map(&[(0, 40960, 8192, 0x2000), (8192, 49152, 4096, 0x800), (16384, 90112, 4096, 0)]);
        let mut source = map(&[(4096, 40960, 12288, 0x2000), (20480, 65536, 4096, 0)]);
        let action = Action::Zero;
        let step = Step { start: 0, len: 20480, action, reason: None };
        let mut steps = Vec::new();
        assert_eq!(cut(&step, 0, 4096, &mut own, &mut source, &mut steps).unwrap(), 8192 + 4096);
        let found: Vec<_> = steps
            .iter()
            .map(|step| match step.action {
                Action::Clone { file, offset } => (step.start, step.len, file, offset),
                _ => unreachable!(),
            })
            .collect();
        let proven = NO_SOURCE;
        assert_eq!(
            found,
            [(0, 8192, proven, 0), (8192, 4096, 0, 12288), (12288, 4096, proven, 0), (16384, 4096, 0, 20480)]
        );
    }
}
