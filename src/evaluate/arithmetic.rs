//! Computes output elements from source elements: the arithmetic of a walk, chunk by chunk.

use std::borrow::Cow;

use half::{bf16, f16};

use super::overflow;
use super::partners::{Computed, Partners, ScaleBytes, multiply, with};
use super::sources::Sources;
use super::update;
use crate::dtype::{Dtype, GgmlType};
use crate::error::Result;
use crate::kernels::{self, exp, exp_rounded};
use crate::plan::{CodeOrder, Place, Walk};
use crate::tensor::{Arithmetic, Dim, Scale};

/// Elements that are computed at a time: 8 KiB of F32, so that what is in between stays in the first-level cache.
/// A multiple of every block of a type.
const BATCH: usize = 2048;

/// The arithmetic of a walk, ready to be carried out on any part of it.
pub struct Evaluation<'a> {
    sources: &'a Sources<'a>,
    walk: Cow<'a, Walk>,
    /// What each step computes with, if it does.
    partners: Vec<Option<Partners<'a>>>,
}

impl<'a> Evaluation<'a> {
    /// Prepares the arithmetic of `walk`.
    pub fn new(sources: &'a Sources<'a>, walk: &'a Walk) -> Self {
        Self { sources, walk: Cow::Borrowed(walk), partners: partners(sources, &walk.arithmetic) }
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
                Arithmetic::Reciprocal => each(out, half, f32::recip),
                Arithmetic::Table(table) => each(out, false, |x| entry(table, x)),
                Arithmetic::Round(Dtype::BF16) => each(out, false, |x| bf16::from_f32(x).to_f32()),
                Arithmetic::Round(_) => each(out, true, |x| x),
                Arithmetic::Scale(_)
                | Arithmetic::Divide(_)
                | Arithmetic::Minus(_)
                | Arithmetic::Plus { .. } => {
                    let Some(partners) = &mut self.partners[i] else { continue };
                    let runs = self.walk.positions(first, out.len() as u64);
                    match step {
                        Arithmetic::Scale(_) => partners.combine(0, runs, out, multiply)?,
                        Arithmetic::Divide(_) => partners.combine(0, runs, out, with(|x, y| x / y))?,
                        Arithmetic::Minus(_) => partners.combine(0, runs, out, with(|x, y| x - y))?,
                        Arithmetic::Plus { first, .. } => {
                            partners.combine(*first, runs, out, with(|x, y| x + y))?
                        }
                        _ => {}
                    }
                    match step {
                        Arithmetic::Plus { .. } => each(out, half, |x| x),
                        _ => half = false,
                    }
                }
                Arithmetic::Mxfp4 { .. } | Arithmetic::Nvfp4 { .. } => {
                    unreachable!("codes have no arithmetic but their own")
                }
                Arithmetic::Update(product) => {
                    half = false;
                    update::apply(self.sources, product, self.walk.positions(first, out.len() as u64), out)?;
                }
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
        if let [Arithmetic::Scale(_)] = self.walk.arithmetic.as_slice()
            && let [Some(scales)] = self.partners.as_mut_slice()
            && (self.walk.dtype, to) == (Dtype::F8E4M3, GgmlType::BF16)
        {
            scales.scale_f8_e4m3(self.walk.positions(first, raw.len() as u64), raw, out)?;
            return Ok(0);
        }
        let size = self.walk.dtype.size() as usize;
        if self.walk.arithmetic.iter().any(|step| matches!(step, Arithmetic::Update(_))) {
            // Factors are read once for what is computed together.
            let mut values = vec![0.0; raw.len() / size];
            self.values(first, raw, &mut values)?;
            return Ok(overflow::encode(to, &values, out));
        }
        let (mut values, mut overflowed) = ([0.0; BATCH], 0);
        let batches = raw.chunks(BATCH * size).zip(out.chunks_mut(to.bytes(BATCH as u64) as usize));
        for (first, (raw, out)) in (first..).step_by(BATCH).zip(batches) {
            let values = &mut values[..raw.len() / size];
            self.values(first, raw, values)?;
            overflowed += overflow::encode(to, values, out);
        }
        Ok(overflowed)
    }

    /// Packs codes from byte `first` of the walk on, which were gathered into `raw`, into blocks of the type they are
    /// of: MXFP4 or NVFP4. The source has codes 2*j* and 2*j* + 1 in byte *j*.
    ///
    /// # Errors
    /// As [`Evaluation::values`].
    pub fn repack(&self, first: u64, raw: &[u8], out: &mut [u8]) -> Result<()> {
        match self.walk.arithmetic.as_slice() {
            [Arithmetic::Nvfp4 { scales }] => self.nvfp4(*scales, first, raw, out),
            [Arithmetic::Mxfp4 { scales }] => self.mxfp4(*scales, first, raw, out),
            _ => unreachable!("codes have no arithmetic but their own"),
        }
    }

    /// A block is the scales of four groups of 16 values, without their signs, then 8 bytes for each group: its code
    /// *j* in the low half of byte *j*, code *j* + 8 in the high half.
    fn nvfp4(&self, scales: Place, first: u64, raw: &[u8], out: &mut [u8]) -> Result<()> {
        let runs = self.walk.positions(first, raw.len() as u64);
        let mut scales = ScaleBytes::new(self.sources, scales);
        let mut groups = raw.as_chunks::<8>().0.iter();
        let mut to = out.as_chunks_mut::<36>().0.iter_mut().flat_map(|block| {
            let (scales, codes) = block.split_at_mut(4);
            scales.iter_mut().zip(codes.as_chunks_mut::<8>().0)
        });
        scales.each(runs.map(|run| run.at / 8..(run.at + run.len) / 8), |found| {
            for ((from, codes), (scale, to)) in found.iter().zip(groups.by_ref()).zip(to.by_ref()) {
                *scale = from & 0x7f;
                interleave(codes, to);
            }
        })
    }

    /// A block is its scale, then 16 bytes: code *j* in the low half of byte *j*, code *j* + 16 in the high half.
    fn mxfp4(&self, scales: Place, first: u64, raw: &[u8], out: &mut [u8]) -> Result<()> {
        let runs = self.walk.positions(first, raw.len() as u64);
        let mut scales = ScaleBytes::new(self.sources, scales);
        let mut blocks = raw.as_chunks::<16>().0.iter().zip(out.as_chunks_mut::<17>().0);
        scales.each(runs.map(|run| run.at / 16..(run.at + run.len) / 16), |found| {
            for (from, (codes, [scale, to @ ..])) in found.iter().zip(blocks.by_ref()) {
                *scale = *from;
                interleave(codes, to);
            }
        })
    }
}

/// Puts codes of neighbours in pairs into pairs of codes that are half of all apart.
#[inline(always)]
fn interleave<const N: usize>(codes: &[u8; N], to: &mut [u8; N]) {
    let (low, high) = codes.split_at(N / 2);
    let halves = low.as_chunks().0.iter().zip(high.as_chunks().0);
    for (to, (low, high)) in to.as_chunks_mut().0.iter_mut().zip(halves) {
        *to = (spread(*low) | spread(*high) << 4).to_le_bytes();
    }
}

/// Eight codes, each in a byte of its own.
#[inline(always)]
fn spread(codes: [u8; 4]) -> u64 {
    let x = u64::from(u32::from_le_bytes(codes));
    let x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    let x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
    (x | x << 4) & 0x0f0f_0f0f_0f0f_0f0f
}

/// Replaces each of `values` by what `f` makes of it, rounded to F16 if `half`.
fn each(values: &mut [f32], half: bool, f: impl Fn(f32) -> f32) {
    for value in values {
        let result = f(*value);
        *value = if half { f16::from_f32(result).to_f32() } else { result };
    }
}

/// The partners of each of `steps`.
fn partners<'a>(sources: &'a Sources<'a>, steps: &'a [Arithmetic<Place>]) -> Vec<Option<Partners<'a>>> {
    let of = |scale: &'a Scale<Place>| {
        let walk = all(scale);
        let (count, partners) = (walk.elements(), partners(sources, &scale.steps));
        let computed = Box::new(Evaluation { sources, walk: Cow::Owned(walk), partners });
        Partners::new(sources, scale, computed, count)
    };
    steps.iter().map(|step| step.partners().map(|(scale, _)| of(scale))).collect()
}

/// All scales in the order in which they are stored.
fn all(scale: &Scale<Place>) -> Walk {
    let Place { file, offset, dtype, elements } = scale.source;
    let dims = |len| [Dim { len, stride: 1 }].into();
    let arithmetic = scale.steps.clone();
    let Some(packing) = scale.packing else {
        return Walk { file, offset, dtype, dims: dims(elements), first: 0, arithmetic, codes: None };
    };
    let count = elements * dtype.size() / u64::from(packing.word) * packing.per_word();
    let codes = Some(CodeOrder { packing, first: 0, dims: dims(count) }.into());
    Walk { file, offset, dtype: Dtype::U8, dims: dims(count), first: 0, arithmetic, codes }
}

impl Computed for Evaluation<'_> {
    fn read(&mut self, first: u64, raw: &mut Vec<u8>, out: &mut [f32]) -> Result<()> {
        raw.resize(out.len() * self.walk.dtype.size() as usize, 0);
        self.sources.gather(&self.walk, first, raw, &mut Vec::new())?;
        self.values(first, raw, out)
    }
}

/// What `table` has for the integer `x`.
fn entry(table: &[f32], x: f32) -> f32 {
    table.get(x as usize).copied().unwrap_or(f32::NAN)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;
    use crate::source::File;
    use crate::tensor::GridAxis;

    fn run(bytes: &[u8], dtype: Dtype, arithmetic: Vec<Arithmetic<Place>>, dims: &[(u64, u64)]) -> Vec<f32> {
        let dims = dims.iter().map(|&(len, stride)| Dim { len, stride }).collect();
        let walk = Walk { file: 0, offset: 0, dtype, dims, first: 0, arithmetic, codes: None };
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
        let scale = Scale::of(source, grid);
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
        let steps = vec![Arithmetic::Plus { other: Arc::new(Scale::of(source, grid)), first: 3 }];
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
        let dims = [Dim { len: 32, stride: 1 }].into();
        let walk = Walk { file: 0, offset: 0, dtype: Dtype::U8, dims, first: 0, arithmetic, codes: None };
        let mut got = [0; 34];
        with_sources(&bytes, |sources| Evaluation::new(sources, &walk).repack(0, &codes, &mut got)).unwrap();
        let expected: Vec<u8> = (0..2u8)
            .flat_map(|block| {
                std::iter::once(7 + block)
                    .chain((0..16).map(move |j| ((j + block) % 16) | (((j + 16 + block) % 16) << 4)))
            })
            .collect();
        assert_eq!(got, *expected);
    }
}
