//! F32 as 16-bit elements. The roundings are the usual ones (nearest, ties to even); what NaNs become
//! is not. Without branches, so that compilers vectorize.

/// Applies `f` to every element.
#[inline(always)]
pub fn each<const N: usize>(src: &[f32], dst: &mut [u8], f: impl Fn(f32) -> [u8; N]) {
    for (to, from) in dst.as_chunks_mut().0.iter_mut().zip(src) {
        *to = f(*from);
    }
}

/// numpy's conversion: of a NaN the upper bits of the payload stay as they are, and one bit is set if none is
/// left (otherwise it would become an infinity).
#[inline(always)]
pub fn f16(x: f32) -> u16 {
    const INFINITY: u32 = 0x7f80_0000;
    /// The least F32 that is at least twice the largest F16.
    const OVERFLOW: u32 = (127 + 16) << 23;
    /// The least F32 that is a normal F16.
    const NORMAL: u32 = (127 - 14) << 23;
    let bits = x.to_bits();
    let magnitude = bits & 0x7fff_ffff;
    let odd = magnitude >> 13 & 1;
    let normal = magnitude.wrapping_sub((127 - 15) << 23).wrapping_add(0x0fff + odd) >> 13;
    // In the sum with 0.5, the last place is that of F16's subnormals, and the adder rounds.
    let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
    let nan = 0x7c00 | (magnitude >> 13 & 0x03ff).max(1);
    let result = if magnitude < NORMAL { subnormal } else { normal };
    let result = if magnitude >= OVERFLOW { 0x7c00 } else { result };
    let result = if magnitude > INFINITY { nan } else { result };
    (bits >> 16 & 0x8000 | result) as u16
}

/// `quants.py`: NaNs are made quiet and truncated, everything else rounds to nearest even.
#[inline(always)]
pub fn bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    let result = if bits & 0x7fff_ffff > 0x7f80_0000 { bits | 0x0040_0000 } else { rounded };
    (result >> 16) as u16
}

/// BF16 to BF16 goes through F32 in the reference, which makes NaNs quiet.
#[inline(always)]
pub fn quiet_bf16(bytes: [u8; 2]) -> [u8; 2] {
    let bits = u16::from_le_bytes(bytes);
    let quiet = if bits & 0x7fff > 0x7f80 { 0x0040 } else { 0 };
    (bits | quiet).to_le_bytes()
}
