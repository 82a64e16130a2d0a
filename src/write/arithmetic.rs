//! Computes output elements from source elements: the arithmetic of a walk, chunk by chunk.

use std::fs::File;
use std::io;

use ggraft_platform::read_exact_at;
use half::f16;

use crate::convert::convert;
use crate::dtype::{Dtype, GgmlType};
use crate::plan::{Place, Run, Walk};
use crate::tensor::{Arithmetic, Scale};

/// Scales kept in memory at a time.
const WINDOW: u64 = 1 << 16;

/// Computes the output's bytes of `count` elements of `walk` from element `first` on, which were gathered
/// into `raw`. `scratch` is a buffer to reuse between calls.
///
/// # Errors
/// What the operating system says about reading scales.
pub fn evaluate(
    sources: &[File],
    walk: &Walk,
    (first, count): (u64, u64),
    to: GgmlType,
    raw: &[u8],
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let runs = || walk.runs(first, count).map(|run| Run { at: run.at + walk.first, ..run });
    if let [Arithmetic::Mxfp4 { scales }] = walk.arithmetic.as_slice() {
        return mxfp4(&mut Window::new(sources, *scales), runs(), raw, out);
    }
    scratch.resize(count as usize * size_of::<f32>(), 0);
    convert(walk.dtype, GgmlType::F32, raw, scratch);
    let mut half = walk.dtype == Dtype::F16;
    for step in &walk.arithmetic {
        match step {
            Arithmetic::Widen => half = false,
            Arithmetic::Add(constant) => each(scratch, half, |x| x + constant),
            Arithmetic::NegExp => each(scratch, half, |x| -x.exp()),
            Arithmetic::Scale(scale) => {
                half = false;
                rescale(scale, &mut Window::new(sources, scale.source), runs(), scratch)?;
            }
            Arithmetic::Mxfp4 { .. } => unreachable!("codes have no arithmetic but their own"),
        }
    }
    out.resize(to.bytes(count) as usize, 0);
    convert(Dtype::F32, to, scratch, out);
    Ok(())
}

/// Replaces each of the little-endian `values` by what `f` makes of it, rounded to F16 if `half`.
fn each(values: &mut [u8], half: bool, f: impl Fn(f32) -> f32) {
    for value in values.as_chunks_mut().0 {
        let result = f(f32::from_le_bytes(*value));
        *value = if half { f16::from_f32(result).to_f32() } else { result }.to_le_bytes();
    }
}

fn rescale(
    scale: &Scale<Place>,
    scales: &mut Window,
    runs: impl Iterator<Item = Run>,
    values: &mut [u8],
) -> io::Result<()> {
    let mut rest = values;
    for Run { mut at, len } in runs {
        let end = at + len;
        while at < end {
            let same = scale.run(at).min(end - at);
            let factor = scales.value(scale.index(at))?;
            let (block, tail) = rest.split_at_mut(same as usize * size_of::<f32>());
            each(block, false, |x| x * factor);
            (rest, at) = (tail, at + same);
        }
    }
    Ok(())
}

/// A block of GGUF's MXFP4 is its scale, then 16 bytes: code *j* in the low half of byte *j*, code *j* + 16
/// in the high half. The source has codes 2*j* and 2*j* + 1 in byte *j*.
fn mxfp4(
    scales: &mut Window,
    runs: impl Iterator<Item = Run>,
    raw: &[u8],
    out: &mut Vec<u8>,
) -> io::Result<()> {
    out.clear();
    let mut codes = raw.as_chunks::<16>().0.iter();
    for Run { at, len } in runs {
        for block in at / 16..(at + len) / 16 {
            let Some(codes) = codes.next() else { break };
            out.push(scales.byte(block)?);
            for pair in 0..8 {
                let [low, high] = [codes[pair], codes[pair + 8]];
                out.extend([low & 0x0f | high << 4, low >> 4 | high & 0xf0]);
            }
        }
    }
    Ok(())
}

/// A tensor of scales, of which a part is in memory.
struct Window<'a> {
    file: &'a File,
    place: Place,
    /// Index of the first scale in `bytes`.
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(sources: &'a [File], place: Place) -> Self {
        Self { file: &sources[place.file], place, start: 0, bytes: Vec::new() }
    }

    /// The bytes of scale `index`.
    fn get(&mut self, index: u64) -> io::Result<&[u8]> {
        let size = self.place.dtype.size();
        let held = self.bytes.len() as u64 / size;
        if !(self.start..self.start + held).contains(&index) {
            self.start = index / WINDOW * WINDOW;
            let count = WINDOW.min(self.place.elements - self.start);
            self.bytes.resize((count * size) as usize, 0);
            read_exact_at(self.file, &mut self.bytes, self.place.offset + self.start * size)?;
        }
        let at = ((index - self.start) * size) as usize;
        Ok(&self.bytes[at..at + size as usize])
    }

    fn byte(&mut self, index: u64) -> io::Result<u8> {
        Ok(self.get(index)?[0])
    }

    fn value(&mut self, index: u64) -> io::Result<f32> {
        let dtype = self.place.dtype;
        let mut value = [0; 4];
        convert(dtype, GgmlType::F32, self.get(index)?, &mut value);
        Ok(f32::from_le_bytes(value))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;
    use crate::tensor::Dim;

    fn run(
        bytes: &[u8],
        dtype: Dtype,
        arithmetic: Vec<Arithmetic<Place>>,
        dims: &[(u64, u64)],
        to: GgmlType,
    ) -> Vec<u8> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let dims = dims.iter().map(|&(len, stride)| Dim { len, stride }).collect();
        let walk = Walk { file: 0, offset: 0, dtype, dims, first: 0, arithmetic };
        let files = [file];
        let (mut raw, mut scratch, mut out, mut all) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut first, total) = (0, walk.elements());
        while first < total {
            let count = 32.min(total - first);
            super::super::gather::gather(&files[0], &walk, first, count, &mut raw, &mut scratch).unwrap();
            evaluate(&files, &walk, (first, count), to, &raw, &mut scratch, &mut out).unwrap();
            all.extend_from_slice(&out);
            first += count;
        }
        all
    }

    fn floats(bytes: &[u8]) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    #[test]
    fn scales_follow_elements_through_a_transpose() {
        let mut bytes: Vec<u8> = (1..=12u8).flat_map(|x| f32::from(x).to_le_bytes()).collect();
        bytes.extend([1f32, 10.0, 100.0, 1000.0].iter().flat_map(|x| x.to_le_bytes()));
        let source = Place { file: 0, offset: 48, dtype: Dtype::F32, elements: 4 };
        let grid = Scale::new(0, &[3, 4], &[2, 2], Some(&[2, 2])).unwrap().grid;
        let scale = Scale { source, grid };
        let steps = vec![Arithmetic::Scale(Arc::new(scale))];
        let got = run(&bytes, Dtype::F32, steps, &[(4, 1), (3, 4)], GgmlType::F32);
        let expected = [1., 5., 900., 2., 6., 1000., 30., 70., 11000., 40., 80., 12000.];
        assert_eq!(floats(&got), expected);
    }

    #[test]
    fn sums_of_halves_round_to_halves_unless_widened() {
        let x = f16::from_f32(2048.0);
        let run = |steps| floats(&run(&x.to_le_bytes(), Dtype::F16, steps, &[], GgmlType::F32));
        assert_eq!(run(vec![Arithmetic::Add(1.0)]), [2048.0]);
        assert_eq!(run(vec![Arithmetic::Widen, Arithmetic::Add(1.0)]), [2049.0]);
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
        let got = run(&bytes, Dtype::U8, vec![Arithmetic::Mxfp4 { scales }], &[(32, 1)], GgmlType::MXFP4);
        let expected: Vec<u8> = (0..2u8)
            .flat_map(|block| {
                std::iter::once(7 + block)
                    .chain((0..16).map(move |j| ((j + block) % 16) | (((j + 16 + block) % 16) << 4)))
            })
            .collect();
        assert_eq!(got, expected);
    }
}
