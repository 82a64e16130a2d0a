//! The kernels for AVX2 and F16C: most are the portable ones, vectorized by the compiler once more. Where that
//! leaves much of the speed on the table, they are written out: from F8, to 16 bits, to Q8_0, and from BF16 without
//! F32 in between.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::quantize::q8_0_by;
use super::{
    add_products_here, check_lengths, convert_here, decode_here, encode_here, has_infinite_f16_here,
    multiply_here, quiet_bf16_here, scale_f8_e4m3_here, unpack_here,
};
use crate::dtype::{Dtype, GgmlType, Packing};

/// See [`super::convert`].
#[target_feature(enable = "avx2,f16c")]
pub fn convert(from: Dtype, to: GgmlType, src: &[u8], dst: &mut [u8]) {
    if from == Dtype::BF16 && matches!(to, GgmlType::F16 | GgmlType::Q8_0) {
        let (src, rest) = src.as_chunks();
        assert!(rest.is_empty(), "whole elements");
        check_lengths(to, src.len(), dst.len());
        return match to {
            GgmlType::F16 => {
                let each = |x| super::encode::f16(super::decode::bf16(x));
                halves(src, dst, |x| bf16s(x), |x| f16(x), each);
            }
            _ => q8_0_by(
                src,
                dst,
                |block| largest_bf16(block),
                |block, by, to| round(eights(block, |x| bf16s(x)), by, to),
            ),
        };
    }
    convert_here(from, to, src, dst, |src, dst| decode(from, src, dst), |src, dst| encode(to, src, dst));
}

/// See [`super::quiet_bf16`].
#[target_feature(enable = "avx2,f16c")]
pub fn quiet_bf16(elements: &mut [u8]) {
    quiet_bf16_here(elements);
}

/// See [`super::has_infinite_f16`].
#[target_feature(enable = "avx2,f16c")]
pub fn has_infinite_f16(elements: &[u8]) -> bool {
    has_infinite_f16_here(elements)
}

/// See [`super::decode`].
#[target_feature(enable = "avx2,f16c")]
pub fn decode(from: Dtype, src: &[u8], dst: &mut [f32]) {
    match from {
        // With a bit more of exponent these are F16, 2^8 times too small: the biases are 7 and 15.
        Dtype::F8E4M3 => f8::<7>(src, dst, 256.0, 0x7f, super::decode::f8_e4m3),
        Dtype::F8E5M2 => f8::<8>(src, dst, 1.0, NO_MAGNITUDE, super::decode::f8_e5m2),
        _ => decode_here(from, src, dst),
    }
}

/// See [`super::encode`].
#[target_feature(enable = "avx2,f16c")]
pub fn encode(to: GgmlType, src: &[f32], dst: &mut [u8]) {
    match to {
        GgmlType::F16 => halves(src, dst, |x| floats(x), |x| f16(x), super::encode::f16),
        GgmlType::BF16 => halves(src, dst, |x| floats(x), |x| bf16(x), super::encode::bf16),
        GgmlType::Q8_0 => {
            q8_0_by(
                src,
                dst,
                |block| largest(block),
                |block, by, to| round(eights(block, |x| floats(x)), by, to),
            );
        }
        _ => encode_here(to, src, dst),
    }
}

/// No F8 has it.
const NO_MAGNITUDE: i8 = -1;

/// F8 whose magnitudes, shifted, are those of F16, but for a `scale`. `value` is asked where there are NaNs that
/// F16 does not have, of magnitude `nan`.
#[target_feature(enable = "avx2,f16c")]
#[inline]
fn f8<const SHIFT: i32>(src: &[u8], dst: &mut [f32], scale: f32, nan: i8, value: impl Fn([u8; 1]) -> f32) {
    const GROUP: usize = 32;
    assert_eq!(src.len(), dst.len(), "source and target lengths");
    let [magnitude, nan] = [0x7f, nan].map(|bits| _mm256_set1_epi8(bits));
    let scale = _mm256_set1_ps(scale);
    for (src, dst) in src.chunks(GROUP).zip(dst.chunks_mut(GROUP)) {
        let Some(bytes) = src.first_chunk::<GROUP>() else {
            super::decode::each(src, dst, &value);
            continue;
        };
        // SAFETY: 32 bytes, at any address.
        let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        let nans = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, magnitude), nan);
        if _mm256_movemask_epi8(nans) != 0 {
            super::decode::each(src, dst, &value);
            continue;
        }
        let halves = widened::<SHIFT>(bytes);
        let eights = halves.map(|x| [_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x)]);
        for (eight, to) in eights.as_flattened().iter().zip(dst.as_chunks_mut::<8>().0) {
            let values = _mm256_mul_ps(_mm256_cvtph_ps(*eight), scale);
            // SAFETY: 32 bytes, at any address.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), values) };
        }
    }
}

/// 32 F8 as F16 with the same bits of sign and magnitude, the latter shifted.
#[target_feature(enable = "avx2,f16c")]
fn widened<const SHIFT: i32>(bytes: __m256i) -> [__m256i; 2] {
    let sign = _mm256_set1_epi16(0x80);
    [_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes)].map(|bytes| {
        let bytes = _mm256_cvtepu8_epi16(bytes);
        let signs = _mm256_slli_epi16::<8>(_mm256_and_si256(bytes, sign));
        _mm256_or_si256(_mm256_slli_epi16::<SHIFT>(_mm256_andnot_si256(sign, bytes)), signs)
    })
}

/// See [`super::scale_f8_e4m3`].
#[target_feature(enable = "avx2,f16c")]
pub fn scale_f8_e4m3(src: &[u8], factor: f32, dst: &mut [u8]) {
    const GROUP: usize = 32;
    assert_eq!(2 * src.len(), dst.len(), "source and target lengths");
    let [magnitude, nan] = [0x7f, 0x7f].map(|bits| _mm256_set1_epi8(bits));
    let [unbias, by] = [256.0, factor].map(|x| _mm256_set1_ps(x));
    for (src, dst) in src.chunks(GROUP).zip(dst.chunks_mut(2 * GROUP)) {
        let Some(bytes) = src.first_chunk::<GROUP>() else {
            scale_f8_e4m3_here(src, factor, dst);
            continue;
        };
        // SAFETY: 32 bytes, at any address.
        let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        let nans = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, magnitude), nan);
        let mut nans = _mm256_movemask_epi8(nans) != 0;
        for (sixteen, to) in widened::<7>(bytes).into_iter().zip(dst.as_chunks_mut::<32>().0) {
            let eights = [_mm256_castsi256_si128(sixteen), _mm256_extracti128_si256::<1>(sixteen)];
            let x = eights.map(|x| _mm256_mul_ps(_mm256_mul_ps(_mm256_cvtph_ps(x), unbias), by));
            nans |= _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(x[0], x[1])) != 0;
            // SAFETY: 32 bytes, at any address.
            unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), bf16(x)) };
        }
        if nans {
            scale_f8_e4m3_here(src, factor, dst);
        }
    }
}

/// Elements of 16 bits: `encode` for 16 at a time, of `values`, and `each` for one where there are NaNs, which
/// `encode` need not know.
#[target_feature(enable = "avx2,f16c")]
#[inline]
fn halves<T: Copy>(
    src: &[T],
    dst: &mut [u8],
    values: impl Fn(&[T; 8]) -> __m256,
    encode: impl Fn([__m256; 2]) -> __m256i,
    each: impl Fn(T) -> u16,
) {
    const GROUP: usize = 32;
    for (src, dst) in src.chunks(GROUP).zip(dst.chunks_mut(2 * GROUP)) {
        let mut nans = src.len() < GROUP;
        if !nans {
            for (x, to) in src.as_chunks::<16>().0.iter().zip(dst.as_chunks_mut::<32>().0) {
                let (x, _) = x.as_chunks();
                let x = [values(&x[0]), values(&x[1])];
                nans |= _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(x[0], x[1])) != 0;
                // SAFETY: 32 bytes, at any address.
                unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), encode(x)) };
            }
        }
        if nans {
            for (to, x) in dst.as_chunks_mut().0.iter_mut().zip(src) {
                *to = each(*x).to_le_bytes();
            }
        }
    }
}

/// Like [`super::encode::f16`], but makes NaNs quiet.
#[target_feature(enable = "avx2,f16c")]
fn f16(x: [__m256; 2]) -> __m256i {
    let [low, high] = x.map(|x| _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x));
    _mm256_set_m128i(high, low)
}

/// Like [`super::encode::bf16`], but rounds NaNs as if they were numbers.
#[target_feature(enable = "avx2,f16c")]
fn bf16(x: [__m256; 2]) -> __m256i {
    let (below_half, one) = (_mm256_set1_epi32(0x7fff), _mm256_set1_epi32(1));
    let [low, high] = x.map(|x| {
        let bits = _mm256_castps_si256(x);
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), one);
        _mm256_srli_epi32::<16>(_mm256_add_epi32(_mm256_add_epi32(bits, below_half), odd))
    });
    _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(low, high))
}

/// See [`super::unpack`].
#[target_feature(enable = "avx2,f16c")]
pub fn unpack(packing: Packing, src: &[u8], skip: usize, dst: &mut [u8]) {
    unpack_here(packing, src, skip, dst);
}

/// See [`super::multiply`].
#[target_feature(enable = "avx2,f16c")]
pub fn multiply(values: &mut [f32], factor: f32) {
    multiply_here(values, factor);
}

/// See [`super::add_products`].
#[target_feature(enable = "avx2,f16c")]
pub fn add_products(sums: &mut [f32], factors: &[f32], matrix: &[f32], stride: usize) {
    add_products_here(sums, factors, matrix, stride);
}

/// The bits of the largest magnitude; NaNs are larger than all others.
#[target_feature(enable = "avx2,f16c")]
fn largest(block: &[f32; 32]) -> u32 {
    let magnitude = _mm256_set1_epi32(i32::MAX);
    let magnitudes =
        eights(block, |x| floats(x)).map(|x| _mm256_and_si256(_mm256_castps_si256(x), magnitude));
    let most = _mm256_max_epi32(
        _mm256_max_epi32(magnitudes[0], magnitudes[1]),
        _mm256_max_epi32(magnitudes[2], magnitudes[3]),
    );
    let most = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256::<1>(most));
    let most = _mm_max_epi32(most, _mm_shuffle_epi32::<0b00_00_11_10>(most));
    let most = _mm_max_epi32(most, _mm_shuffle_epi32::<0b00_00_00_01>(most));
    _mm_cvtsi128_si32(most).cast_unsigned()
}

/// [`largest`] for BF16.
#[target_feature(enable = "avx2,f16c")]
fn largest_bf16(block: &[[u8; 2]; 32]) -> u32 {
    let magnitude = _mm256_set1_epi16(i16::MAX);
    // SAFETY: 32 bytes each, at any address.
    let magnitudes = [0, 16].map(|at| unsafe { _mm256_loadu_si256(block[at..at + 16].as_ptr().cast()) });
    let [a, b] = magnitudes.map(|x| _mm256_and_si256(x, magnitude));
    let most = _mm256_max_epu16(a, b);
    let most = _mm_max_epu16(_mm256_castsi256_si128(most), _mm256_extracti128_si256::<1>(most));
    // There is an instruction for the least of eight.
    let least = _mm_minpos_epu16(_mm_xor_si128(most, _mm_set1_epi16(-1)));
    (!_mm_cvtsi128_si32(least)).cast_unsigned() << 16
}

/// Products with `factor`, of magnitude below 128, rounded to the nearest integers, ties away from zero.
#[target_feature(enable = "avx2,f16c")]
fn round(block: [__m256; 4], factor: f32, to: &mut [u8; 32]) {
    let sign = _mm256_set1_ps(-0.0);
    // Just below a half: then a half itself becomes a whole in the sum, and what is less does not.
    let half = _mm256_set1_ps(0.5f32.next_down());
    let integers = block.map(|x| {
        let x = _mm256_mul_ps(x, _mm256_set1_ps(factor));
        _mm256_cvttps_epi32(_mm256_add_ps(x, _mm256_or_ps(_mm256_and_ps(x, sign), half)))
    });
    let bytes = _mm256_packs_epi16(
        _mm256_packs_epi32(integers[0], integers[1]),
        _mm256_packs_epi32(integers[2], integers[3]),
    );
    let bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    // SAFETY: 32 bytes, at any address.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), bytes) };
}

/// A block in four parts.
#[target_feature(enable = "avx2,f16c")]
#[inline]
fn eights<T>(block: &[T; 32], values: impl Fn(&[T; 8]) -> __m256) -> [__m256; 4] {
    let parts = block.as_chunks::<8>().0;
    [values(&parts[0]), values(&parts[1]), values(&parts[2]), values(&parts[3])]
}

#[target_feature(enable = "avx2,f16c")]
fn floats(from: &[f32; 8]) -> __m256 {
    // SAFETY: 32 bytes, at any address.
    unsafe { _mm256_loadu_ps(from.as_ptr()) }
}

/// Like [`super::decode::bf16`].
#[target_feature(enable = "avx2,f16c")]
fn bf16s(from: &[[u8; 2]; 8]) -> __m256 {
    // SAFETY: 16 bytes, at any address.
    let halves = _mm256_cvtepu16_epi32(unsafe { _mm_loadu_si128(from.as_ptr().cast()) });
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(halves))
}
