//! The kernels for AVX2 and F16C: all but two are the portable ones, vectorized by the compiler once more. Where
//! that leaves most of the speed on the table, they are written out: F16 and Q8_0.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::encode::{each, f16 as half_of};
use super::quantize::q8_0_by;
use super::{convert_here, decode_here, encode_here, quiet_bf16_here};
use crate::dtype::{Dtype, GgmlType};

/// See [`super::convert`].
#[target_feature(enable = "avx2,f16c")]
pub fn convert(from: Dtype, to: GgmlType, src: &[u8], dst: &mut [u8]) {
    convert_here(from, to, src, dst, |to, src, dst| encode(to, src, dst));
}

/// See [`super::quiet_bf16`].
#[target_feature(enable = "avx2,f16c")]
pub fn quiet_bf16(elements: &mut [u8]) {
    quiet_bf16_here(elements);
}

/// See [`super::decode`].
#[target_feature(enable = "avx2,f16c")]
pub fn decode(from: Dtype, src: &[u8], dst: &mut [f32]) {
    decode_here(from, src, dst);
}

/// See [`super::encode`].
#[target_feature(enable = "avx2,f16c")]
pub fn encode(to: GgmlType, src: &[f32], dst: &mut [u8]) {
    match to {
        GgmlType::F16 => f16(src, dst),
        GgmlType::Q8_0 => q8_0_by(src, dst, |block| largest(block), |block, by, to| round(block, by, to)),
        _ => encode_here(to, src, dst),
    }
}

/// Like [`half_of`], which is asked where there are NaNs: the processor makes them quiet.
#[target_feature(enable = "avx2,f16c")]
fn f16(src: &[f32], dst: &mut [u8]) {
    const GROUP: usize = 32;
    for (src, dst) in src.chunks(GROUP).zip(dst.chunks_mut(2 * GROUP)) {
        let mut nans = src.len() < GROUP;
        if !nans {
            for (x, to) in src.as_chunks::<8>().0.iter().zip(dst.as_chunks_mut::<16>().0) {
                let x = load(x);
                nans |= _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(x, x)) != 0;
                let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x);
                // SAFETY: 16 bytes, at any address.
                unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), halves) };
            }
        }
        if nans {
            each(src, dst, |x| half_of(x).to_le_bytes());
        }
    }
}

/// The bits of the largest magnitude; NaNs are larger than all others.
#[target_feature(enable = "avx2,f16c")]
fn largest(block: &[f32; 32]) -> u32 {
    let magnitude = _mm256_set1_epi32(i32::MAX);
    let magnitudes = eights(block).map(|x| _mm256_and_si256(_mm256_castps_si256(x), magnitude));
    let most = _mm256_max_epi32(
        _mm256_max_epi32(magnitudes[0], magnitudes[1]),
        _mm256_max_epi32(magnitudes[2], magnitudes[3]),
    );
    let most = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256::<1>(most));
    let most = _mm_max_epi32(most, _mm_shuffle_epi32::<0b00_00_11_10>(most));
    let most = _mm_max_epi32(most, _mm_shuffle_epi32::<0b00_00_00_01>(most));
    _mm_cvtsi128_si32(most).cast_unsigned()
}

/// Products with `factor`, of magnitude below 128, rounded to the nearest integers, ties away from zero.
#[target_feature(enable = "avx2,f16c")]
fn round(block: &[f32; 32], factor: f32, to: &mut [u8; 32]) {
    let sign = _mm256_set1_ps(-0.0);
    // Just below a half: then a half itself becomes a whole in the sum, and what is less does not.
    let half = _mm256_set1_ps(0.5f32.next_down());
    let integers = eights(block).map(|x| {
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

#[target_feature(enable = "avx2,f16c")]
fn eights(block: &[f32; 32]) -> [__m256; 4] {
    let parts = block.as_chunks::<8>().0;
    [load(&parts[0]), load(&parts[1]), load(&parts[2]), load(&parts[3])]
}

#[target_feature(enable = "avx2,f16c")]
fn load(from: &[f32; 8]) -> __m256 {
    // SAFETY: 32 bytes, at any address.
    unsafe { _mm256_loadu_ps(from.as_ptr()) }
}
