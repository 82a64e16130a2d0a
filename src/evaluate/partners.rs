//! What elements are computed with: scales, zero points and the like, of which a part is in memory.

use std::ops::Range;

use hashbrown::HashMap;

use super::sources::Sources;
use crate::error::{Error, Result};
use crate::kernels;
use crate::plan::{Place, Run};
use crate::tensor::{List, Scale};

/// Partners that are read at a time. Those of one row of a matrix may lie far apart, and are used again for the next row.
const WINDOW: u64 = 1 << 8;

/// Windows that are kept, 1 KiB each.
const MOST_WINDOWS: usize = 1 << 10;

/// A tensor whose elements are computed.
pub trait Computed {
    /// Reads and computes the elements from element `first` on. `raw` is a buffer to reuse between calls.
    ///
    /// # Errors
    /// If sources cannot be read.
    fn read(&mut self, first: u64, raw: &mut Vec<u8>, out: &mut [f32]) -> Result<()>;
}

/// A tensor of partners.
pub struct Partners<'a> {
    sources: &'a Sources<'a>,
    scale: &'a Scale<Place>,
    /// Computes them, one after the other.
    computed: Box<dyn Computed + 'a>,
    count: u64,
    /// The window that was used last, and where it is.
    recent: (u64, usize),
    /// Where windows are in `windows`.
    of: HashMap<u64, usize>,
    windows: Vec<Box<[f32]>>,
    raw: Vec<u8>,
    /// The blocks of [`Scale::list`], once they were needed.
    list: Vec<u32>,
    /// Partners of one line, by block.
    line: Vec<f32>,
}

impl<'a> Partners<'a> {
    /// Prepares reading those of `scale`, of which there are `count`, as `computed` has them.
    pub fn new(
        sources: &'a Sources<'a>,
        scale: &'a Scale<Place>,
        computed: Box<dyn Computed + 'a>,
        count: u64,
    ) -> Self {
        let (recent, windows, of) = ((u64::MAX, 0), Vec::new(), HashMap::new());
        let (raw, list, line) = (Vec::new(), Vec::new(), Vec::new());
        Self { sources, scale, computed, count, recent, of, windows, raw, list, line }
    }

    /// Partner `index`.
    ///
    /// # Errors
    /// If it cannot be read.
    fn value(&mut self, index: u64) -> Result<f32> {
        let (window, within) = (index / WINDOW, (index % WINDOW) as usize);
        if window != self.recent.0 {
            let known = self.of.get(&window).copied();
            self.recent = (window, known.map_or_else(|| self.load(window), Ok)?);
        }
        let at = self.recent.1;
        let value = self.windows.get(at).and_then(|values| values.get(within)).copied();
        value.ok_or_else(|| Error::Internal(format!("no scale {index} of {}", self.count)))
    }

    /// Reads a window; answers where it is.
    fn load(&mut self, window: u64) -> Result<usize> {
        if self.windows.len() >= MOST_WINDOWS {
            self.windows.clear();
            self.of.clear();
        }
        let start = window * WINDOW;
        let count = WINDOW.min(self.count.saturating_sub(start));
        let mut values = vec![0.0; count as usize].into_boxed_slice();
        self.computed.read(start, &mut self.raw, &mut values)?;
        self.of.insert(window, self.windows.len());
        self.windows.push(values);
        Ok(self.windows.len() - 1)
    }

    /// Has `f` compute with each of `values`, which are the elements of `runs`, and its partner; the first partner is that
    /// with index `start`.
    ///
    /// # Errors
    /// If partners cannot be read.
    pub fn combine(
        &mut self,
        start: u64,
        runs: impl Iterator<Item = Run>,
        values: &mut [f32],
        f: impl Fn(&mut [f32], f32),
    ) -> Result<()> {
        let scale = self.scale;
        let mut rest = values;
        for Run { at, len } in runs {
            if let Some(list) = &scale.list {
                let (run, tail) = rest.split_at_mut(len as usize);
                self.combine_listed(list, at, run, &f)?;
                rest = tail;
                continue;
            }
            for (index, same) in scale.runs(at, len) {
                let partner = self.value(start + index)?;
                let (block, tail) = rest.split_at_mut(same as usize);
                f(block, partner);
                rest = tail;
            }
        }
        Ok(())
    }

    /// Multiplies F8_E4M3 elements in `raw`, which are those of `runs`, by their partners, and rounds to BF16 in `out`.
    ///
    /// # Errors
    /// If partners cannot be read.
    pub fn scale_f8_e4m3(
        &mut self,
        runs: impl Iterator<Item = Run>,
        mut raw: &[u8],
        mut out: &mut [u8],
    ) -> Result<()> {
        let scale = self.scale;
        for (index, same) in runs.flat_map(|run| scale.runs(run.at, run.len)) {
            let (elements, rest) = raw.split_at(same as usize);
            let (to, tail) = out.split_at_mut(2 * elements.len());
            kernels::scale_f8_e4m3(elements, self.value(index)?, to);
            (raw, out) = (rest, tail);
        }
        Ok(())
    }

    /// The same for elements from `at` on whose blocks are listed.
    fn combine_listed(
        &mut self,
        list: &List<Place>,
        mut at: u64,
        values: &mut [f32],
        f: &impl Fn(&mut [f32], f32),
    ) -> Result<()> {
        let Some(axis) = self.scale.grid.last().copied() else { return Ok(()) };
        if self.list.is_empty() {
            self.list = read_list(self.sources, list)?;
        }
        let mut rest = values;
        while !rest.is_empty() {
            let within = (at % axis.len) as usize;
            let count = (axis.len as usize - within).min(rest.len());
            let (line, tail) = rest.split_at_mut(count);
            let first = self.scale.index(at);
            // A few elements need not all partners of their line.
            let every = count as u64 >= list.blocks;
            if every {
                self.line.clear();
                for block in 0..list.blocks {
                    let partner = self.value(first + block * axis.stride)?;
                    self.line.push(partner);
                }
            }
            for (offset, value) in line.iter_mut().enumerate() {
                let block = self.list.get(within + offset).copied().unwrap_or_default();
                let partner = match self.line.get(block as usize).filter(|_| every) {
                    Some(partner) => *partner,
                    None => self.value(first + u64::from(block) * axis.stride)?,
                };
                f(std::slice::from_mut(value), partner);
            }
            at += count as u64;
            rest = tail;
        }
        Ok(())
    }
}

/// All of `list`.
fn read_list(sources: &Sources, list: &List<Place>) -> Result<Vec<u32>> {
    let Place { file, offset, dtype, elements } = list.source;
    let mut raw = vec![0; (elements * dtype.size()) as usize];
    sources.read(file, &mut raw, offset)?;
    let number = |bytes: &[u8]| {
        let low = bytes.first_chunk().map_or(0, |low| u32::from_le_bytes(*low));
        let sound = u64::from(low) < list.blocks && bytes[4..].iter().all(|byte| *byte == 0);
        let path = sources.file(file).path();
        sound
            .then_some(low)
            .ok_or_else(|| Error::invalid(path, "a list of groups names one that there is not"))
    };
    raw.chunks_exact(dtype.size() as usize).map(number).collect()
}

/// A tensor of scales that are bytes, of which a part is in memory.
pub struct ScaleBytes<'a> {
    sources: &'a Sources<'a>,
    place: Place,
    /// Index of the first scale in `bytes`.
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> ScaleBytes<'a> {
    /// Prepares reading those at `place`.
    pub fn new(sources: &'a Sources<'a>, place: Place) -> Self {
        Self { sources, place, start: 0, bytes: Vec::new() }
    }

    /// Tells `f` of the scales of `ranges`, several in a row at a time.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn each(&mut self, ranges: impl Iterator<Item = Range<u64>>, mut f: impl FnMut(&[u8])) -> Result<()> {
        for Range { mut start, end } in ranges {
            while start < end {
                let known = self.from(start)?;
                let count = known.len().min((end - start) as usize);
                f(&known[..count]);
                start += count as u64;
            }
        }
        Ok(())
    }

    /// The scales from `index` on that are in memory, one at least.
    fn from(&mut self, index: u64) -> Result<&[u8]> {
        const WINDOW: u64 = 1 << 12;
        if !(self.start..self.start + self.bytes.len() as u64).contains(&index) {
            let left = self.place.elements.saturating_sub(index);
            if left == 0 {
                return Err(Error::Internal(format!("no scale {index} of {}", self.place.elements)));
            }
            self.start = index;
            self.bytes.resize(WINDOW.min(left) as usize, 0);
            self.sources.read(self.place.file, &mut self.bytes, self.place.offset + index)?;
        }
        Ok(&self.bytes[(index - self.start) as usize..])
    }
}

/// Replaces each of `values` by what `f` makes of it and of one number.
pub fn with(f: impl Fn(f32, f32) -> f32) -> impl Fn(&mut [f32], f32) {
    move |values, partner| values.iter_mut().for_each(|value| *value = f(*value, partner))
}

/// Multiplies all `values` by `factor`.
pub fn multiply(values: &mut [f32], factor: f32) {
    match values {
        [value] => *value *= factor,
        values => kernels::multiply(values, factor),
    }
}
