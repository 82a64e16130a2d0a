//! The square root of 32-bit floats, bit for bit as torch has it: torch asks Intel's MKL, whose `vsSqrt` is not correctly
//! rounded (0.6 % of results are one unit in the last place too small).
//!
//! It refines once what the instruction `vrsqrt14ps` says, of which [`SEGMENTS`] is all: its results are straight lines,
//! rounded down. The steps were found by comparing results: on x86-64 with AVX-512 they agree for every argument from 1 to 4,
//! and others differ by powers of 2. MKL chooses its code by the processor, so the reference itself may give other last bits
//! elsewhere.

/// The square root of `x`, as torch computes it in F32.
pub fn sqrt(x: f32) -> f32 {
    if x.is_nan() || x < 0.0 {
        return if x.is_nan() { f32::from_bits(x.to_bits() | QUIET) } else { f32::from_bits(NAN) };
    }
    if !x.is_normal() {
        return x.sqrt();
    }
    // From 1 to 4, times a power of 4.
    let bits = x.to_bits();
    let exponent = bits >> 23;
    let odd = (exponent & 1) ^ 1;
    let x = f32::from_bits(bits & 0x7f_ffff | (127 + odd) << 23);
    let inverse = inverse_sqrt(bits & 0x7f_ffff | odd << 23);
    let (root, half) = (x * inverse, 0.5 * inverse);
    let error = (-root).mul_add(root, x);
    let power = f32::from_bits(((exponent - odd + 127) / 2) << 23);
    half.mul_add(error, root) * power
}

/// 1 divided by the square root of 1 + `at` / 2^23, or of twice that from 2^23 on, to 14 bits.
fn inverse_sqrt(at: u32) -> f32 {
    let (start, slope) = SEGMENTS[(at >> 18) as usize];
    let along = (at >> 8) % 1024;
    // An argument of 1 has a result of its own.
    let result = if at == 0 { 0x7f_0000 } else { (start - slope * along) >> 9 };
    f32::from_bits(result << 7)
}

/// What makes a NaN quiet.
const QUIET: u32 = 0x40_0000;
/// The square root of negative numbers.
const NAN: u32 = 0x7fc0_0000;

/// The lines: where each starts, and how much it falls for each of 1024 steps, in parts of 512 of the 16 bits that results
/// have.
#[rustfmt::skip]
static SEGMENTS: [(u32, u32); 64] = [
    (0xfdfff480, 1001), (0xfdf05080, 955), (0xfde16280, 915), (0xfdd31900, 877),
    (0xfdc56700, 841), (0xfdb84380, 807), (0xfdaba680, 775), (0xfd9f8880, 747),
    (0xfd93dd00, 719), (0xfd88a080, 693), (0xfd7dcb80, 669), (0xfd735a00, 647),
    (0xfd694100, 625), (0xfd5f7d00, 603), (0xfd560f80, 585), (0xfd4ced80, 567),
    (0xfd441380, 549), (0xfd3b8180, 533), (0xfd332f80, 517), (0xfd2b1c00, 501),
    (0xfd234680, 487), (0xfd1ba980, 473), (0xfd144400, 461), (0xfd0d1180, 449),
    (0xfd060f80, 437), (0xfcff3d80, 425), (0xfcf89b00, 415), (0xfcf21f00, 403),
    (0xfcebcf80, 393), (0xfce5ab00, 385), (0xfcdfa780, 375), (0xfcd9cd00, 367),
    (0xfcd40a80, 707), (0xfcc8fc80, 675), (0xfcbe6e00, 647), (0xfcb45200, 619),
    (0xfcaaa600, 595), (0xfca15b80, 571), (0xfc987080, 549), (0xfc8fdc80, 527),
    (0xfc879e80, 509), (0xfc7fad80, 491), (0xfc780280, 473), (0xfc709e80, 457),
    (0xfc697a80, 441), (0xfc629500, 427), (0xfc5be880, 413), (0xfc557580, 401),
    (0xfc4f3380, 389), (0xfc492180, 377), (0xfc433f80, 365), (0xfc3d8c80, 355),
    (0xfc380180, 345), (0xfc329f00, 335), (0xfc2d6200, 325), (0xfc284c00, 317),
    (0xfc235900, 309), (0xfc1e8680, 301), (0xfc19d380, 293), (0xfc153f00, 285),
    (0xfc10ca80, 279), (0xfc0c6e80, 271), (0xfc083000, 265), (0xfc040b00, 259),
];

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// The digest is that of `torch.sqrt` of `numpy.arange(0x800000, 0x7f800000, 9973, dtype="u4").view("f4")`.
    #[test]
    fn results_are_those_of_torch() {
        let mut digest = Sha256::new();
        for bits in (0x0080_0000..0x7f80_0000).step_by(9973) {
            digest.update(sqrt(f32::from_bits(bits)).to_le_bytes());
        }
        let digest: String = digest.finalize().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digest, "03487b538bfc0e09840bc693f7d46b9250f95cd8e09d7e6e70d2b3cae9d68420");
    }

    #[test]
    fn what_is_no_normal_number() {
        for (x, expected) in [
            (0, 0),
            (0x8000_0000, 0x8000_0000),
            (0x7f80_0000, 0x7f80_0000),
            (0xff80_0000, NAN),
            (0xbf80_0000, NAN),
            (0x8000_0001, NAN),
            (0x7f80_0001, NAN | 1),
            (0xffc0_0000, 0xffc0_0000),
            (0x3f80_0000, 0x3f80_0000),
        ] {
            assert_eq!(sqrt(f32::from_bits(x)).to_bits(), expected, "{x:x}");
        }
    }
}
