//! F32 as blocks of small integers with a common scale (`gguf-py/gguf/quants.py`; the layouts are ggml's).
//!
//! A block whose scale is infinite, no number, or too small to have an inverse gets zeros, which is what
//! numpy makes of casting NaNs to integers on x86. A block with a NaN in it has the scale NaN. numpy lets
//! some of that NaN's payload through at some places in the block, which depend on the width of the
//! processor's vectors; here, as at all other places, it is the one without payload.

use super::encode;

/// Blocks whose scales are computed together.
const GROUP: usize = 64;

/// Blocks in groups, each with the places of its results.
#[inline(always)]
fn groups<'a, T, const N: usize, const BYTES: usize>(
    src: &'a [T],
    dst: &'a mut [u8],
) -> impl Iterator<Item = (&'a [[T; N]], &'a mut [[u8; BYTES]])> {
    src.as_chunks().0.chunks(GROUP).zip(dst.as_chunks_mut().0.chunks_mut(GROUP))
}

/// An F16 scale, then 32 signed bytes.
#[inline(always)]
pub fn q8_0(src: &[f32], dst: &mut [u8]) {
    q8_0_by(
        src,
        dst,
        |block| largest(block),
        |block, inverse, bytes| {
            for (to, x) in bytes.iter_mut().zip(block) {
                *to = round(x * inverse) as u8;
            }
        },
    );
}

/// [`q8_0`] with other ways to find the [`largest`] magnitude of a block, and to round its products with a factor.
#[inline(always)]
pub fn q8_0_by<T>(
    src: &[T],
    dst: &mut [u8],
    largest: impl Fn(&[T; 32]) -> u32,
    round: impl Fn(&[T; 32], f32, &mut [u8; 32]),
) {
    for (blocks, places) in groups::<_, 32, 34>(src, dst) {
        let scales = Scales::new(blocks, 127.0, &largest);
        for (i, (block, to)) in blocks.iter().zip(places).enumerate() {
            let [low, high, bytes @ ..] = to;
            [*low, *high] = scales.halves[i];
            let inverse = scales.inverses[i];
            if inverse.is_nan() { bytes.fill(0) } else { round(block, inverse, bytes) }
        }
    }
}

/// One of three values per element, five to a byte, then an F16 scale.
///
/// Bytes hold elements that are 32 apart, then (80 of them) 16, then (the last 16) four to a byte, 4 apart.
/// The first element of a byte is its most significant digit to base three; all is scaled by 256 / 243,
/// so that multiplication by three moves a digit out at the top.
#[inline(always)]
pub fn tq1_0(src: &[f32], dst: &mut [u8]) {
    for (blocks, places) in groups::<_, 256, 54>(src, dst) {
        let scales = Scales::new(blocks, 1.0, |block| largest(block));
        for (i, (block, to)) in blocks.iter().zip(places).enumerate() {
            let digits = ternary(block, scales.inverses[i]);
            pack::<5>(&digits[..160], &mut to[..32]);
            pack::<5>(&digits[160..240], &mut to[32..48]);
            pack::<4>(&digits[240..], &mut to[48..52]);
            to[52..].copy_from_slice(&scales.halves[i]);
        }
    }
}

/// One of three values per element, two bits each, then an F16 scale. Bytes hold four elements that are
/// 32 apart, the first in the lowest bits.
#[inline(always)]
pub fn tq2_0(src: &[f32], dst: &mut [u8]) {
    for (blocks, places) in groups::<_, 256, 66>(src, dst) {
        let scales = Scales::new(blocks, 1.0, |block| largest(block));
        for (i, (block, to)) in blocks.iter().zip(places).enumerate() {
            let digits = ternary(block, scales.inverses[i]);
            for (to, digits) in to.chunks_exact_mut(32).zip(digits.chunks_exact(128)) {
                for (i, to) in to.iter_mut().enumerate() {
                    *to = digits[i] | digits[32 + i] << 2 | digits[64 + i] << 4 | digits[96 + i] << 6;
                }
            }
            to[64..].copy_from_slice(&scales.halves[i]);
        }
    }
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

/// Every element as 0, 1 or 2 for minus one, zero or one times the scale.
#[inline(always)]
fn ternary(block: &[f32; 256], inverse: f32) -> [u8; 256] {
    let mut digits = [1; 256];
    if !inverse.is_nan() {
        for (to, x) in digits.iter_mut().zip(block) {
            *to = (round(x * inverse) + 1) as u8;
        }
    }
    digits
}

/// The scales of a group of blocks.
struct Scales {
    /// As they are stored.
    halves: [[u8; 2]; GROUP],
    /// What elements are multiplied by; no number if they all become zero.
    inverses: [f32; GROUP],
}

impl Scales {
    /// The magnitudes whose bits `largest` gives, divided by `steps`. Divisions are vectorized here, or they
    /// would take most of the time.
    #[inline(always)]
    fn new<T, const N: usize>(blocks: &[[T; N]], steps: f32, largest: impl Fn(&[T; N]) -> u32) -> Self {
        let mut largest_of = [0; GROUP];
        for (to, block) in largest_of.iter_mut().zip(blocks) {
            *to = largest(block);
        }
        let mut scales = Self { halves: [[0; 2]; GROUP], inverses: [0.0; GROUP] };
        for (i, largest) in largest_of.into_iter().enumerate() {
            let nan = largest > f32::INFINITY.to_bits();
            let scale = f32::from_bits(if nan { 0x7fc0_0000 } else { largest }) / steps;
            let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
            scales.halves[i] = encode::f16(scale).to_le_bytes();
            scales.inverses[i] = if inverse.is_finite() && scale.is_finite() { inverse } else { f32::NAN };
        }
        scales
    }
}

/// The bits of the largest magnitude of a block, whose length is a multiple of 8. They are in the order of the
/// magnitudes, and NaNs are above all of them.
#[inline(always)]
fn largest(block: &[f32]) -> u32 {
    let mut lanes = [0; 8];
    for part in block.as_chunks::<8>().0 {
        for (lane, x) in lanes.iter_mut().zip(part) {
            *lane = (x.to_bits() & 0x7fff_ffff).cast_signed().max(*lane);
        }
    }
    lanes.into_iter().fold(0, i32::max).cast_unsigned()
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
