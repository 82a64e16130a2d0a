//! F32 as blocks of small integers with a common scale (`gguf-py/gguf/quants.py`; the layouts are ggml's).
//!
//! A block whose scale is infinite, no number, or too small to have an inverse gets zeros, which is what
//! numpy makes of casting NaNs to integers on x86. A block with a NaN in it has the scale NaN. numpy lets
//! some of that NaN's payload through at some places in the block, which depend on the width of the
//! processor's vectors; here, as at all other places, it is the one without payload.

use super::encode;

/// Applies `f` to every block.
#[inline(always)]
pub fn each<const N: usize, const BYTES: usize>(
    src: &[f32],
    dst: &mut [u8],
    f: impl Fn(&[f32; N]) -> [u8; BYTES],
) {
    for (to, from) in dst.as_chunks_mut().0.iter_mut().zip(src.as_chunks().0) {
        *to = f(from);
    }
}

/// An F16 scale, then 32 signed bytes.
#[inline(always)]
pub fn q8_0(block: &[f32; 32]) -> [u8; 34] {
    let scale = largest(block) / 127.0;
    let inverse = inverse(scale);
    let mut out = [0; 34];
    for (to, x) in out[2..].iter_mut().zip(block) {
        *to = round(x * inverse) as u8;
    }
    if !inverse.is_finite() || !scale.is_finite() {
        out = [0; 34];
    }
    out[..2].copy_from_slice(&encode::f16(scale).to_le_bytes());
    out
}

/// One of three values per element, five to a byte, then an F16 scale.
///
/// Bytes hold elements that are 32 apart, then (80 of them) 16, then (the last 16) four to a byte, 4 apart.
/// The first element of a byte is its most significant digit to base three; all is scaled by 256 / 243,
/// so that multiplication by three moves a digit out at the top.
#[inline(always)]
pub fn tq1_0(block: &[f32; 256]) -> [u8; 54] {
    let (scale, digits) = ternary(block);
    let mut out = [0; 54];
    pack::<5>(&digits[..160], &mut out[..32]);
    pack::<5>(&digits[160..240], &mut out[32..48]);
    pack::<4>(&digits[240..], &mut out[48..52]);
    out[52..].copy_from_slice(&scale);
    out
}

/// Packs `N` digits to base three, one from each `out.len()` of `digits`, into each byte of `out`.
#[inline(always)]
fn pack<const N: usize>(digits: &[u8], out: &mut [u8]) {
    let len = out.len();
    for (i, to) in out.iter_mut().enumerate() {
        // One digit that is missing is a 0 at the end.
        let number = (0..5).fold(0u16, |number, n| {
            let digit = if n < N { digits[n * len + i] } else { 0 };
            number * 3 + u16::from(digit)
        });
        *to = (u32::from(number) * 256).div_ceil(243) as u8;
    }
}

/// One of three values per element, two bits each, then an F16 scale. Bytes hold four elements that are
/// 32 apart, the first in the lowest bits.
#[inline(always)]
pub fn tq2_0(block: &[f32; 256]) -> [u8; 66] {
    let (scale, digits) = ternary(block);
    let mut out = [0; 66];
    for (half, digits) in out.chunks_exact_mut(32).zip(digits.chunks_exact(128)) {
        for (i, to) in half.iter_mut().enumerate() {
            *to = digits[i] | digits[32 + i] << 2 | digits[64 + i] << 4 | digits[96 + i] << 6;
        }
    }
    out[64..].copy_from_slice(&scale);
    out
}

/// The scale as F16, and every element as 0, 1 or 2 for minus one, zero or one times it.
#[inline(always)]
fn ternary(block: &[f32; 256]) -> ([u8; 2], [u8; 256]) {
    let scale = largest(block);
    let inverse = inverse(scale);
    let mut digits = [1; 256];
    if inverse.is_finite() && scale.is_finite() {
        for (to, x) in digits.iter_mut().zip(block) {
            *to = (round(x * inverse) + 1) as u8;
        }
    }
    (encode::f16(scale).to_le_bytes(), digits)
}

/// The largest magnitude, or NaN if there is one in the block.
#[inline(always)]
fn largest(block: &[f32]) -> f32 {
    // Bits of magnitudes are in the order of the magnitudes, and NaNs are above all of them.
    let most = block.iter().fold(0, |most: u32, x| most.max(x.to_bits() & 0x7fff_ffff));
    if most > f32::INFINITY.to_bits() { f32::from_bits(0x7fc0_0000) } else { f32::from_bits(most) }
}

#[inline(always)]
fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// Rounds a number of magnitude below 2^22 to the nearest integer, ties away from zero; something for others.
#[inline(always)]
fn round(x: f32) -> i32 {
    const MAGIC: f32 = 8_388_608.0;
    let magnitude = x.abs();
    // In this sum, the last place is that of ones, and the adder rounds, ties to even.
    let sum = magnitude + MAGIC;
    let tie_rounded_down = magnitude - (sum - MAGIC) == 0.5;
    let rounded = (sum.to_bits() & 0x7f_ffff) as i32 + i32::from(tie_rounded_down);
    if x.is_sign_negative() { -rounded } else { rounded }
}
