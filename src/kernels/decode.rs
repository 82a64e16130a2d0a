//! Source elements as F32, as torch and numpy make them. Without branches, so that compilers
//! vectorize.

/// Applies `f` to every element.
#[inline(always)]
pub fn each<const N: usize>(src: &[u8], dst: &mut [f32], f: impl Fn([u8; N]) -> f32) {
    for (to, from) in dst.iter_mut().zip(src.as_chunks().0) {
        *to = f(*from);
    }
}

/// Rounds to nearest even. Of NaNs the upper bits of the payload stay, and they become quiet.
#[inline(always)]
pub fn f64(bytes: [u8; 8]) -> f32 {
    let bits = u64::from_le_bytes(bytes);
    let nan = (bits >> 32) as u32 & 0x8000_0000 | 0x7fc0_0000 | (bits >> 29) as u32 & 0x003f_ffff;
    let value = f64::from_bits(bits) as f32;
    f32::from_bits(if bits << 1 > 0x7ff0_0000_0000_0000 << 1 { nan } else { value.to_bits() })
}

/// Exact. NaNs keep their payload, and signalling ones stay signalling.
#[inline(always)]
pub fn f16(bytes: [u8; 2]) -> f32 {
    const EXPONENT: u32 = 0x7c00 << 13;
    const REBIAS: u32 = (127 - 15) << 23;
    let bits = u32::from(u16::from_le_bytes(bytes));
    let shifted = (bits & 0x7fff) << 13;
    let normal = shifted + REBIAS;
    // A subnormal is a normal number less its leading one.
    let subnormal = (f32::from_bits(normal + (1 << 23)) - f32::from_bits(REBIAS + (1 << 23))).to_bits();
    let magnitude = match shifted & EXPONENT {
        0 => subnormal,
        EXPONENT => normal + REBIAS,
        _ => normal,
    };
    f32::from_bits((bits & 0x8000) << 16 | magnitude)
}

/// Exact: a BF16 is the upper half of an F32.
#[inline(always)]
pub fn bf16(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

/// Exact: four bits of exponent with bias 7, three of mantissa, no infinities; all ones is the only NaN.
#[inline(always)]
pub fn f8_e4m3([byte]: [u8; 1]) -> f32 {
    f32::from_bits(E4M3[usize::from(byte)])
}

/// Exact: the upper half of an F16. NaNs become quiet.
#[inline(always)]
pub fn f8_e5m2([byte]: [u8; 1]) -> f32 {
    f32::from_bits(E5M2[usize::from(byte)])
}

/// Exact: a power of two, eight bits of exponent with bias 127; all ones is NaN.
#[inline(always)]
pub fn f8_e8m0([byte]: [u8; 1]) -> f32 {
    f32::from_bits(match byte {
        0 => 0x0040_0000,
        0xff => 0x7fc0_0000,
        exponent => u32::from(exponent) << 23,
    })
}

const E4M3: [u32; 256] = f8_table::<3>(0x7f);
const E5M2: [u32; 256] = f8_table::<2>(0x7c);

/// F32 bits of all numbers of one sign bit, `7 - MANTISSA` bits of exponent and `MANTISSA` of mantissa;
/// magnitudes from `special` on are infinity (with a mantissa of 0) and NaNs.
const fn f8_table<const MANTISSA: u32>(special: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let bias = (1 << (6 - MANTISSA)) - 1;
    let mut byte = 0;
    while byte < 256 {
        let (sign, magnitude) = (byte as u32 >> 7 << 31, byte as u32 & 0x7f);
        let (exponent, mantissa) = (magnitude >> MANTISSA, magnitude & ((1 << MANTISSA) - 1));
        let fraction = mantissa << (23 - MANTISSA);
        let bits = if magnitude >= special {
            let quiet = if mantissa == 0 { 0 } else { 0x0040_0000 };
            0x7f80_0000 | fraction | quiet
        } else if exponent > 0 {
            (exponent + 127 - bias) << 23 | fraction
        } else if mantissa > 0 {
            let shift = mantissa.leading_zeros() - (32 - MANTISSA) + 1;
            (128 - bias - shift) << 23 | (fraction << shift) & 0x007f_ffff
        } else {
            0
        };
        table[byte] = sign | bits;
        byte += 1;
    }
    table
}
