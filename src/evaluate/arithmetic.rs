//! Computes output elements from source elements: the arithmetic of a walk, chunk by chunk.

use half::f16;

use super::overflow;
use super::sources::Sources;
use crate::dtype::{Dtype, GgmlType};
use crate::error::Result;
use crate::kernels::{self, exp, exp_rounded};
use crate::plan::{Place, Run, Walk};
use crate::tensor::{Arithmetic, Scale};

/// Scales that are read at a time.
const WINDOW: u64 = 1 << 10;

/// Elements that are computed at a time: 8 KiB of F32, so that what is in between stays in the first-level cache.
/// A multiple of every block of a type.
const BATCH: usize = 2048;

/// The arithmetic of a walk, ready to be carried out on any part of it.
pub struct Evaluation<'a> {
    walk: &'a Walk,
    /// The scales of each step that has some.
    scales: Vec<Option<Scales<'a>>>,
}

impl<'a> Evaluation<'a> {
    /// Prepares the arithmetic of `walk`.
    pub fn new(sources: &'a Sources<'a>, walk: &'a Walk) -> Self {
        let scales = walk.arithmetic.iter().map(|step| match step {
            Arithmetic::Scale(scale) => Some(Scales::new(sources, scale.source)),
            Arithmetic::Plus { other, .. } => Some(Scales::new(sources, other.source)),
            Arithmetic::Mxfp4 { scales } => Some(Scales::new(sources, *scales)),
            Arithmetic::Widen
            | Arithmetic::Add(_)
            | Arithmetic::Multiply(_)
            | Arithmetic::Exp
            | Arithmetic::NegExp
            | Arithmetic::Ternary(_) => None,
        });
        Self { walk, scales: scales.collect() }
    }

    /// Runs of the walk, counted from the start of the source tensor.
    fn runs(&self, first: u64, count: u64) -> impl Iterator<Item = Run> + use<'a> {
        let walk = self.walk;
        walk.runs(first, count).map(|run| Run { at: run.at + walk.first, ..run })
    }

    /// Computes the elements from element `first` of the walk on, which were gathered into `raw`.
    ///
    /// # Errors
    /// If scales cannot be read.
    pub fn values(&mut self, first: u64, raw: &[u8], out: &mut [f32]) -> Result<()> {
        kernels::decode(self.walk.dtype, raw, out);
        let mut half = self.walk.dtype == Dtype::F16;
        for (i, step) in self.walk.arithmetic.iter().enumerate() {
            match step {
                Arithmetic::Widen => half = false,
                Arithmetic::Add(constant) => {
                    // torch rounds what is added to the type of the tensor, but not what is multiplied.
                    let constant = if half { f16::from_f32(*constant).to_f32() } else { *constant };
                    each(out, half, |x| x + constant);
                }
                Arithmetic::Multiply(constant) => each(out, half, |x| x * constant),
                Arithmetic::Exp if half => each(out, half, exp_rounded),
                Arithmetic::Exp => each(out, half, exp),
                Arithmetic::NegExp if half => each(out, half, |x| -exp_rounded(x)),
                Arithmetic::NegExp => each(out, half, |x| -exp(x)),
                Arithmetic::Ternary(inverse) => {
                    each(out, half, |x| (x * inverse).round_ties_even().clamp(-1.0, 1.0) / inverse);
                }
                Arithmetic::Scale(scale) => {
                    half = false;
                    let runs = self.runs(first, out.len() as u64);
                    if let Some(scales) = &mut self.scales[i] {
                        rescale(scale, scales, runs, out)?;
                    }
                }
                Arithmetic::Plus { other, first: start } => {
                    let runs = self.runs(first, out.len() as u64);
                    if let Some(others) = &mut self.scales[i] {
                        combine(other, *start, others, runs, out, |x, y| x + y)?;
                        each(out, half, |x| x);
                    }
                }
                Arithmetic::Mxfp4 { .. } => unreachable!("codes have no arithmetic but their own"),
            }
        }
        Ok(())
    }

    /// Computes the elements from element `first` of the walk on, which were gathered into `raw`, as `to`. Answers
    /// how many became infinite only as such.
    ///
    /// # Errors
    /// As [`Evaluation::values`].
    pub fn encode(&mut self, first: u64, raw: &[u8], to: GgmlType, out: &mut [u8]) -> Result<u64> {
        if let [Arithmetic::Scale(scale)] = self.walk.arithmetic.as_slice()
            && let [Some(scales)] = self.scales.as_mut_slice()
            && (self.walk.dtype, to) == (Dtype::F8E4M3, GgmlType::BF16)
        {
            let walk = self.walk;
            let runs = walk.runs(first, raw.len() as u64).map(|run| Run { at: run.at + walk.first, ..run });
            let (mut raw, mut out) = (raw, out);
            for (index, same) in runs.flat_map(|run| scale.runs(run.at, run.len)) {
                let (elements, rest) = raw.split_at(same as usize);
                let (to, tail) = out.split_at_mut(2 * elements.len());
                kernels::scale_f8_e4m3(elements, scales.value(index)?, to);
                (raw, out) = (rest, tail);
            }
            return Ok(0);
        }
        let size = self.walk.dtype.size() as usize;
        let (mut values, mut overflowed) = ([0.0; BATCH], 0);
        let batches = raw.chunks(BATCH * size).zip(out.chunks_mut(to.bytes(BATCH as u64) as usize));
        for (first, (raw, out)) in (first..).step_by(BATCH).zip(batches) {
            let values = &mut values[..raw.len() / size];
            self.values(first, raw, values)?;
            overflowed += overflow::encode(to, values, out);
        }
        Ok(overflowed)
    }

    /// Packs codes from byte `first` of the walk on, which were gathered into `raw`, into blocks of MXFP4.
    ///
    /// A block is its scale, then 16 bytes: code *j* in the low half of byte *j*, code *j* + 16 in the high half.
    /// The source has codes 2*j* and 2*j* + 1 in byte *j*.
    ///
    /// # Errors
    /// As [`Evaluation::values`].
    pub fn mxfp4(&mut self, first: u64, raw: &[u8], out: &mut [u8]) -> Result<()> {
        let runs = self.runs(first, raw.len() as u64);
        let [Some(scales)] = self.scales.as_mut_slice() else { unreachable!("codes come with scales") };
        let mut blocks = raw.as_chunks::<16>().0.iter().zip(out.as_chunks_mut::<17>().0);
        for Run { at, len } in runs {
            for block in at / 16..(at + len) / 16 {
                let Some((codes, [scale, to @ ..])) = blocks.next() else { break };
                *scale = scales.byte(block)?;
                for (pair, to) in to.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                    let [low, high] = [codes[pair], codes[pair + 8]];
                    *to = [low & 0x0f | high << 4, low >> 4 | high & 0xf0];
                }
            }
        }
        Ok(())
    }
}

/// Replaces each of `values` by what `f` makes of it, rounded to F16 if `half`.
fn each(values: &mut [f32], half: bool, f: impl Fn(f32) -> f32) {
    for value in values {
        let result = f(*value);
        *value = if half { f16::from_f32(result).to_f32() } else { result };
    }
}

fn rescale(
    scale: &Scale<Place>,
    scales: &mut Scales,
    runs: impl Iterator<Item = Run>,
    values: &mut [f32],
) -> Result<()> {
    let mut rest = values;
    for Run { at, len } in runs {
        for (index, same) in scale.runs(at, len) {
            let factor = scales.value(index)?;
            let (block, tail) = rest.split_at_mut(same as usize);
            kernels::multiply(block, factor);
            rest = tail;
        }
    }
    Ok(())
}

/// Replaces each of `values` by what `f` makes of it and of its partner in another tensor.
fn combine(
    partners: &Scale<Place>,
    start: u64,
    others: &mut Scales,
    runs: impl Iterator<Item = Run>,
    values: &mut [f32],
    f: impl Fn(f32, f32) -> f32,
) -> Result<()> {
    let mut rest = values.iter_mut();
    for Run { at, len } in runs {
        for (index, same) in partners.runs(at, len) {
            let other = others.value(start + index)?;
            rest.by_ref().take(same as usize).for_each(|value| *value = f(*value, other));
        }
    }
    Ok(())
}

/// A tensor of scales, of which a part is in memory.
struct Scales<'a> {
    sources: &'a Sources<'a>,
    place: Place,
    /// Index of the first scale in `bytes`.
    start: u64,
    bytes: Vec<u8>,
    /// What is in `bytes`.
    values: Vec<f32>,
}

impl<'a> Scales<'a> {
    fn new(sources: &'a Sources<'a>, place: Place) -> Self {
        Self { sources, place, start: 0, bytes: Vec::new(), values: Vec::new() }
    }

    /// Where scale `index` is in `values`, after reading it if need be.
    fn get(&mut self, index: u64) -> Result<usize> {
        if !(self.start..self.start + self.values.len() as u64).contains(&index) {
            let size = self.place.dtype.size();
            self.start = index / WINDOW * WINDOW;
            let count = WINDOW.min(self.place.elements - self.start);
            self.bytes.resize((count * size) as usize, 0);
            self.sources.read(self.place.file, &mut self.bytes, self.place.offset + self.start * size)?;
            self.values.resize(count as usize, 0.0);
            kernels::decode(self.place.dtype, &self.bytes, &mut self.values);
        }
        Ok((index - self.start) as usize)
    }

    /// Of scales that are bytes.
    fn byte(&mut self, index: u64) -> Result<u8> {
        self.get(index).map(|at| self.bytes[at])
    }

    fn value(&mut self, index: u64) -> Result<f32> {
        self.get(index).map(|at| self.values[at])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;
    use crate::source::File;
    use crate::tensor::{Dim, GridAxis};

    fn run(bytes: &[u8], dtype: Dtype, arithmetic: Vec<Arithmetic<Place>>, dims: &[(u64, u64)]) -> Vec<f32> {
        let dims = dims.iter().map(|&(len, stride)| Dim { len, stride }).collect();
        let walk = Walk { file: 0, offset: 0, dtype, dims, first: 0, arithmetic };
        with_sources(bytes, |sources| {
            let mut all = Vec::new();
            for first in (0..walk.elements()).step_by(5) {
                let count = 5.min(walk.elements() - first);
                let mut raw = vec![0; (count * dtype.size()) as usize];
                sources.gather(&walk, first, &mut raw, &mut Vec::new()).unwrap();
                let mut values = vec![0.0; count as usize];
                Evaluation::new(sources, &walk).values(first, &raw, &mut values).unwrap();
                all.extend(values);
            }
            all
        })
    }

    fn with_sources<T>(bytes: &[u8], f: impl FnOnce(&Sources) -> T) -> T {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        f(&Sources::new(&[File::open(file.path()).unwrap()], false))
    }

    #[test]
    fn scales_follow_elements_through_a_transpose() {
        let mut bytes: Vec<u8> = (1..=12u8).flat_map(|x| f32::from(x).to_le_bytes()).collect();
        bytes.extend([1f32, 10.0, 100.0, 1000.0].iter().flat_map(|x| x.to_le_bytes()));
        let source = Place { file: 0, offset: 48, dtype: Dtype::F32, elements: 4 };
        let grid = Scale::new(0, &[3, 4], &[2, 2], Some(&[2, 2])).unwrap().grid;
        let scale = Scale { source, grid };
        let steps = vec![Arithmetic::Scale(Arc::new(scale))];
        let got = run(&bytes, Dtype::F32, steps, &[(4, 1), (3, 4)]);
        assert_eq!(got, [1., 5., 900., 2., 6., 1000., 30., 70., 11000., 40., 80., 12000.]);
    }

    #[test]
    fn partners_are_found_wherever_they_lie() {
        let bytes: Vec<u8> = (0..12u8).flat_map(|x| f32::from(x).to_le_bytes()).collect();
        let source = Place { file: 0, offset: 0, dtype: Dtype::F32, elements: 12 };
        // Rows 0 of [2, 2, 3] with rows 1, the columns first.
        let axes = [(2, 1, 6), (2, 2, 0), (3, 1, 1)];
        let grid = axes.map(|(len, block, stride)| GridAxis { len, block, stride }).to_vec();
        let steps = vec![Arithmetic::Plus { other: Arc::new(Scale { source, grid }), first: 3 }];
        assert_eq!(run(&bytes, Dtype::F32, steps, &[(3, 1), (2, 6)]), [3., 15., 5., 17., 7., 19.]);
    }

    #[test]
    fn sums_of_halves_round_to_halves_unless_widened() {
        let x = f16::from_f32(2048.0);
        let run = |steps| run(&x.to_le_bytes(), Dtype::F16, steps, &[]);
        assert_eq!(run(vec![Arithmetic::Add(1.0)]), [2048.0]);
        assert_eq!(run(vec![Arithmetic::Widen, Arithmetic::Add(1.0)]), [2049.0]);
    }

    #[test]
    fn summands_round_before_they_are_added() {
        let half = |x: f32| f16::from_f32(x).to_f32();
        let found = run(&f16::from_f32(0.1).to_le_bytes(), Dtype::F16, vec![Arithmetic::Add(0.2)], &[]);
        assert_eq!(found, [half(half(0.1) + half(0.2))]);
        let (x, y) = (half(-0.109_375), 0.2);
        let found = run(&f16::from_f32(x).to_le_bytes(), Dtype::F16, vec![Arithmetic::Add(y)], &[]);
        assert_eq!(found, [half(x + half(y))]);
        assert_ne!(found, [half(x + y)]);
    }

    #[test]
    fn products_round_after_each_step() {
        let steps = || vec![Arithmetic::Multiply(0.1), Arithmetic::Multiply(0.1)];
        let exact = 3.0f32 * 0.1 * 0.1;
        assert_eq!(run(&3f32.to_le_bytes(), Dtype::F32, steps(), &[]), [exact]);
        let half = |x: f32| f16::from_f32(x).to_f32();
        let rounded = half(half(0.1) * 0.1);
        assert_ne!(rounded, half(0.1 * 0.1));
        assert_eq!(run(&f16::from_f32(1.0).to_le_bytes(), Dtype::F16, steps(), &[]), [rounded]);
    }

    #[test]
    fn exponentials_are_the_negated_ones_negated() {
        for dtype in [Dtype::F32, Dtype::F16] {
            let bytes: Vec<u8> = [-3.5f32, -0.25, 0.0, 0.75, 2.5]
                .iter()
                .flat_map(|x| {
                    if dtype == Dtype::F16 {
                        f16::from_f32(*x).to_le_bytes().to_vec()
                    } else {
                        x.to_le_bytes().to_vec()
                    }
                })
                .collect();
            let negated = run(&bytes, dtype, vec![Arithmetic::NegExp], &[(5, 1)]);
            let plain = run(&bytes, dtype, vec![Arithmetic::Exp], &[(5, 1)]);
            assert_eq!(plain[2], 1.0);
            assert_eq!(plain, negated.iter().map(|x| -x).collect::<Vec<_>>());
        }
    }

    /// Values 0 to 31 of two blocks: what `gguf-py` makes of them, by its `repack_mxfp4_blocks`.
    #[test]
    fn codes_are_packed_as_ggml_wants_them() {
        let codes: Vec<u8> = (0..2)
            .flat_map(|block| {
                (0..16u8).map(move |j| ((2 * j + block) % 16) | (((2 * j + 1 + block) % 16) << 4))
            })
            .collect();
        let bytes = [codes.as_slice(), &[7, 8]].concat();
        let scales = Place { file: 0, offset: 32, dtype: Dtype::U8, elements: 2 };
        let arithmetic = vec![Arithmetic::Mxfp4 { scales }];
        let dims = vec![Dim { len: 32, stride: 1 }];
        let walk = Walk { file: 0, offset: 0, dtype: Dtype::U8, dims, first: 0, arithmetic };
        let mut got = [0; 34];
        with_sources(&bytes, |sources| Evaluation::new(sources, &walk).mxfp4(0, &codes, &mut got)).unwrap();
        let expected: Vec<u8> = (0..2u8)
            .flat_map(|block| {
                std::iter::once(7 + block)
                    .chain((0..16).map(move |j| ((j + block) % 16) | (((j + 16 + block) % 16) << 4)))
            })
            .collect();
        assert_eq!(got, *expected);
    }
}
