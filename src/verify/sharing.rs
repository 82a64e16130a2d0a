//! Ranges that need not be read: extent maps show them to be the same blocks on the disk in both files, or holes in both.

use ggraft_platform::{Extent, for_each_extent};

use super::NO_SOURCE;
use crate::error::{Error, Result};
use crate::plan::{Action, Output, Step};
use crate::source::File;

/// `FIEMAP_EXTENT_*` of linux/fiemap.h with which a place on the disk says nothing of what is read: unknown, delayed,
/// encoded, encrypted, not aligned, inline, packed with others, unwritten.
const UNTRUSTED: u32 = 0x2 | 0x4 | 0x8 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800;

/// Cuts what is proven out of the steps of `outputs`, whose files are `files`; answers how many bytes that is. Steps that
/// copy a range of a source become clones: of [no source](NO_SOURCE) what is proven, of their source what is not.
///
/// # Errors
/// If an extent map cannot be read.
pub fn prove(outputs: &mut [Output], files: &[File], sources: &[File]) -> Result<u64> {
    let mut maps: Vec<Option<Option<Map>>> = sources.iter().map(|_| None).collect();
    let mut sum = 0;
    for (output, file) in outputs.iter_mut().zip(files) {
        let Some(own) = Map::of(file)? else { continue };
        let mut steps = Vec::with_capacity(output.steps.len());
        for step in std::mem::take(&mut output.steps) {
            let Some((source, offset)) = range(&step) else {
                steps.push(step);
                continue;
            };
            let map = match &mut maps[source] {
                Some(map) => map,
                unread => unread.insert(Map::of(&sources[source])?),
            };
            match map {
                Some(map) if map.device == own.device => {
                    sum += cut(&step, source, offset, &own, map, &mut steps);
                }
                _ => steps.push(step),
            }
        }
        output.steps = steps;
    }
    Ok(sum)
}

/// The source and the offset of what a step copies as one range.
fn range(step: &Step) -> Option<(usize, u64)> {
    match &step.action {
        Action::Copy { walk, first } if walk.is_contiguous() => {
            Some((walk.file, walk.offset + first * walk.dtype.size()))
        }
        _ => None,
    }
}

/// Adds `step` to `steps` in pieces that are proven or not, and answers how many bytes are.
fn cut(step: &Step, file: usize, offset: u64, own: &Map, source: &Map, steps: &mut Vec<Step>) -> u64 {
    let (mut done, mut sum) = (0, 0);
    while done < step.len {
        let (here, len) = own.at(step.start + done);
        let (there, source_len) = source.at(offset + done);
        let len = len.min(source_len).min(step.len - done);
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
    sum
}

/// Where a byte of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Disk(u64),
    Hole,
    Untrusted,
}

/// The extents of a file, in order.
struct Map {
    device: u64,
    extents: Vec<Extent>,
}

impl Map {
    /// None if the file system has none.
    fn of(file: &File) -> Result<Option<Self>> {
        let Some(identity) = file.identity() else { return Ok(None) };
        let mut extents = Vec::new();
        let known = for_each_extent(&*file.handle()?, |extent| extents.push(extent))
            .map_err(|e| Error::io("cannot map the extents of", file.path(), e))?;
        Ok(known.then_some(Self { device: identity.device, extents }))
    }

    /// Where byte `at` is, and for how many bytes it goes on there.
    fn at(&self, at: u64) -> (Place, u64) {
        let next = self.extents.partition_point(|extent| extent.logical + extent.len <= at);
        match self.extents.get(next) {
            None => (Place::Hole, u64::MAX),
            Some(extent) if at < extent.logical => (Place::Hole, extent.logical - at),
            Some(extent) => {
                let within = at - extent.logical;
                let place = match extent.flags & UNTRUSTED {
                    0 => Place::Disk(extent.physical + within),
                    _ => Place::Untrusted,
                };
                (place, extent.len - within)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(extents: &[(u64, u64, u64, u32)]) -> Map {
        let extent = |&(logical, physical, len, flags): &_| Extent { logical, physical, len, flags };
        Map { device: 1, extents: extents.iter().map(extent).collect() }
    }

    /// Bytes 0 to 8192 are the same blocks, then one file's are unwritten, then both have holes, then blocks differ.
    #[test]
    fn only_the_same_blocks_and_common_holes_are_proven() {
        let own = map(&[(0, 40960, 8192, 0x2000), (8192, 49152, 4096, 0x800), (16384, 90112, 4096, 0)]);
        let source = map(&[(4096, 40960, 12288, 0x2000), (20480, 65536, 4096, 0)]);
        let action = Action::Zero;
        let step = Step { start: 0, len: 20480, action, reason: None };
        let mut steps = Vec::new();
        assert_eq!(cut(&step, 0, 4096, &own, &source, &mut steps), 8192 + 4096);
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
