//! Element conversion, bit for bit what the reference computes.
//!
//! The reference turns every source that is neither F16 nor F32 into F32 (torch's `.to(float32)`), then
//! into the target (numpy's `astype` for F16, `gguf-py/gguf/quants.py` for the rest). So does this:
//! [`decode`] to F32, [`encode`] from it, a few thousand elements at a time, so that what is in
//! between stays in the first-level cache.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod cpu;
mod decode;
mod encode;
mod exp;
mod mean;
mod quantize;
mod softplus;
mod sqrt;
mod unpack;

pub use cpu::Cpu;
pub use exp::{exp, exp_rounded};
pub use mean::Mean;
pub use softplus::softplus;
pub use sqrt::sqrt;

use crate::dtype::{Dtype, GgmlType, Packing};
use unpack::unpack_here;

/// Elements between source and target at a time: 8 KiB of F32. A multiple of every block of a type.
const BATCH: usize = 2048;

/// Whether elements of `from` can be converted at all. The reference has no unsigned integers beyond U8.
pub fn supports(from: Dtype) -> bool {
    from.is_readable() && !matches!(from, Dtype::U16 | Dtype::U32 | Dtype::U64)
}

/// Whether elements of `from` can be converted to `to`. Of integers, only whether they fit is at stake: the reference
/// keeps the lower half, and so does this.
pub fn converts(from: Dtype, to: GgmlType) -> bool {
    match to {
        GgmlType::I32 | GgmlType::I64 => (from, to) == (Dtype::I64, GgmlType::I32),
        _ => supports(from),
    }
}

/// Converts little-endian elements of `from` in `src` to `to` in `dst`.
///
/// # Panics
/// If `from` cannot be [converted](converts) to `to`, or the lengths are not those of the same number of elements, a
/// whole number of blocks of `to`.
pub fn convert(from: Dtype, to: GgmlType, src: &[u8], dst: &mut [u8]) {
    Cpu::best().convert(from, to, src, dst);
}

/// [`convert`] from BF16 to BF16, in place.
pub fn quiet_bf16(elements: &mut [u8]) {
    Cpu::best().quiet_bf16(elements);
}

/// What elements of `from` in `src` are in F32.
///
/// # Panics
/// If `from` is not [supported](supports) or the lengths are not those of the same number of elements.
pub fn decode(from: Dtype, src: &[u8], dst: &mut [f32]) {
    Cpu::best().decode(from, src, dst);
}

/// What F32 elements in `src` are in `to`.
///
/// # Panics
/// If the lengths are not those of the same number of elements, a whole number of blocks of `to`.
pub fn encode(to: GgmlType, src: &[f32], dst: &mut [u8]) {
    Cpu::best().encode(to, src, dst);
}

/// Unpacks integers of few bits from whole words in `src`, each to a byte of `dst`, leaving out the first `skip`.
///
/// # Panics
/// If there are fewer.
pub fn unpack(packing: Packing, src: &[u8], skip: usize, dst: &mut [u8]) {
    Cpu::best().unpack(packing, src, skip, dst);
}

/// Multiplies all `values` by `factor`.
pub fn multiply(values: &mut [f32], factor: f32) {
    Cpu::best().multiply(values, factor);
}

/// Adds to each of `sums` the sum of the products of `factors` with its column of a matrix: element *j* of row *k* is
/// `matrix[k * stride + j]`. Products are added one after the other.
///
/// # Panics
/// If the matrix has fewer rows than there are factors, or rows too short.
pub fn add_products(sums: &mut [f32], factors: &[f32], matrix: &[f32], stride: usize) {
    Cpu::best().add_products(sums, factors, matrix, stride);
}

/// Multiplies F8_E4M3 elements in `src` by `factor`, and rounds to BF16 in `dst`: [`decode`], [`multiply`] and
/// [`encode`] without what is in between, for most of an FP8 checkpoint.
///
/// # Panics
/// If the lengths are not those of the same number of elements.
pub fn scale_f8_e4m3(src: &[u8], factor: f32, dst: &mut [u8]) {
    Cpu::best().scale_f8_e4m3(src, factor, dst);
}

/// Whether there is an infinity among F16 elements.
pub fn has_infinite_f16(elements: &[u8]) -> bool {
    Cpu::best().has_infinite_f16(elements)
}

/// Whether an F16 element is an infinity.
pub fn is_infinite_f16(bytes: [u8; 2]) -> bool {
    u16::from_le_bytes(bytes) & 0x7fff == 0x7c00
}

/// [`convert`] for whatever instructions its caller is compiled for, by way of its [`decode`] and [`encode`].
#[inline(always)]
fn convert_here(
    from: Dtype,
    to: GgmlType,
    src: &[u8],
    dst: &mut [u8],
    decode: impl Fn(&[u8], &mut [f32]),
    encode: impl Fn(&[f32], &mut [u8]),
) {
    let size = from.size() as usize;
    check_lengths(to, src.len() / size, dst.len());
    match (from, to) {
        (Dtype::F32, GgmlType::F32) | (Dtype::F16, GgmlType::F16) => dst.copy_from_slice(src),
        (Dtype::I64, GgmlType::I32) => {
            for (to, from) in dst.as_chunks_mut::<4>().0.iter_mut().zip(src.as_chunks::<8>().0) {
                to.copy_from_slice(&from[..4]);
            }
        }
        (Dtype::BF16, GgmlType::BF16) => {
            for (to, from) in dst.as_chunks_mut().0.iter_mut().zip(src.as_chunks().0) {
                *to = encode::quiet_bf16(*from);
            }
        }
        _ => {
            let mut between = [0.0; BATCH];
            let sources = src.chunks(BATCH * size);
            for (src, dst) in sources.zip(dst.chunks_mut(to.bytes(BATCH as u64) as usize)) {
                let between = &mut between[..src.len() / size];
                decode(src, between);
                encode(between, dst);
            }
        }
    }
}

/// [`quiet_bf16`] for whatever instructions its caller is compiled for. Looking is cheaper than writing, and
/// hardly any checkpoint has NaNs.
#[inline(always)]
fn quiet_bf16_here(elements: &mut [u8]) {
    for elements in elements.chunks_mut(BATCH) {
        let elements = elements.as_chunks_mut().0;
        let changed = elements.iter().fold(0, |changed, &bytes| {
            let [low, high] = encode::quiet_bf16(bytes);
            changed | (low ^ bytes[0]) | (high ^ bytes[1])
        });
        if changed != 0 {
            elements.iter_mut().for_each(|bytes| *bytes = encode::quiet_bf16(*bytes));
        }
    }
}

/// [`has_infinite_f16`] for whatever instructions its caller is compiled for. Without branches, so that compilers
/// vectorize.
#[inline(always)]
fn has_infinite_f16_here(elements: &[u8]) -> bool {
    elements.as_chunks().0.iter().fold(0, |found, bytes| found | u16::from(is_infinite_f16(*bytes))) != 0
}

/// [`decode`] for whatever instructions its caller is compiled for.
#[inline(always)]
fn decode_here(from: Dtype, src: &[u8], dst: &mut [f32]) {
    assert_eq!(src.len(), dst.len() * from.size() as usize, "source and target lengths");
    match from {
        Dtype::F64 => decode::each(src, dst, decode::f64),
        Dtype::F32 => decode::each(src, dst, f32::from_le_bytes),
        Dtype::F16 => decode::each(src, dst, decode::f16),
        Dtype::BF16 => decode::each(src, dst, decode::bf16),
        Dtype::F8E4M3 => decode::each(src, dst, decode::f8_e4m3),
        Dtype::F8E5M2 => decode::each(src, dst, decode::f8_e5m2),
        Dtype::F8E8M0 => decode::each(src, dst, decode::f8_e8m0),
        Dtype::Bool => decode::each(src, dst, |[byte]| f32::from(byte != 0)),
        Dtype::U8 => decode::each(src, dst, |[byte]| f32::from(byte)),
        Dtype::I8 => decode::each(src, dst, |byte| f32::from(i8::from_le_bytes(byte))),
        Dtype::I16 => decode::each(src, dst, |bytes| f32::from(i16::from_le_bytes(bytes))),
        Dtype::I32 => decode::each(src, dst, |bytes| i32::from_le_bytes(bytes) as f32),
        Dtype::I64 => decode::each(src, dst, |bytes| i64::from_le_bytes(bytes) as f32),
        _ => unreachable!("callers ask `supports` first"),
    }
}

/// [`encode`] for whatever instructions its caller is compiled for.
#[inline(always)]
fn encode_here(to: GgmlType, src: &[f32], dst: &mut [u8]) {
    check_lengths(to, src.len(), dst.len());
    match to {
        GgmlType::F32 => encode::each(src, dst, f32::to_le_bytes),
        GgmlType::F16 => encode::each(src, dst, |x| encode::f16(x).to_le_bytes()),
        GgmlType::BF16 => encode::each(src, dst, |x| encode::bf16(x).to_le_bytes()),
        GgmlType::Q8_0 => quantize::q8_0(src, dst),
        GgmlType::TQ1_0 => quantize::tq1_0(src, dst),
        GgmlType::TQ2_0 => quantize::tq2_0(src, dst),
        GgmlType::I32 | GgmlType::I64 => unreachable!("only from integers, and without floats between"),
        GgmlType::MXFP4 | GgmlType::NVFP4 => unreachable!("only repacked, from sources that have it already"),
    }
}

/// [`multiply`] for whatever instructions its caller is compiled for.
#[inline(always)]
fn multiply_here(values: &mut [f32], factor: f32) {
    values.iter_mut().for_each(|x| *x *= factor);
}

/// [`add_products`] for whatever instructions its caller is compiled for.
#[inline(always)]
fn add_products_here(sums: &mut [f32], factors: &[f32], matrix: &[f32], stride: usize) {
    let (fours, rest) = factors.as_chunks::<4>();
    for (n, [a, b, c, d]) in fours.iter().enumerate() {
        // Sums are read and written once for four rows.
        let [w, x, y, z] = [0, 1, 2, 3].map(|k| &matrix[(4 * n + k) * stride..][..sums.len()]);
        for (((sum, w), x), (y, z)) in sums.iter_mut().zip(w).zip(x).zip(y.iter().zip(z)) {
            *sum = *sum + a * w + b * x + c * y + d * z;
        }
    }
    for (k, factor) in rest.iter().enumerate() {
        let row = &matrix[(4 * fours.len() + k) * stride..][..sums.len()];
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += factor * x);
    }
}

/// [`scale_f8_e4m3`] for whatever instructions its caller is compiled for.
#[inline(always)]
fn scale_f8_e4m3_here(src: &[u8], factor: f32, dst: &mut [u8]) {
    assert_eq!(2 * src.len(), dst.len(), "source and target lengths");
    for (to, from) in dst.as_chunks_mut().0.iter_mut().zip(src.as_chunks().0) {
        *to = encode::bf16(decode::f8_e4m3(*from) * factor).to_le_bytes();
    }
}

fn check_lengths(to: GgmlType, elements: usize, bytes: usize) {
    let block = to.block_size();
    assert!((elements as u64).is_multiple_of(block), "{elements} elements in blocks of {block}");
    assert_eq!(to.bytes(elements as u64), bytes as u64, "source and target lengths");
}
