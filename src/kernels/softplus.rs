//! ln(1 + e^x) of 32-bit floats, bit for bit as torch has it on x86-64 with AVX2: it puts `expf` and `log1pf` of the SLEEF
//! library (1.0 ULP) one behind the other. The formulas are those of `sleefsimdsp.c`, with fused multiplications.

/// Beyond this one torch takes the argument itself.
const THRESHOLD: f32 = 20.0;

/// ln(1 + e^x).
pub fn softplus(x: f32) -> f32 {
    if x > THRESHOLD || x.is_nan() { x } else { log1p(exp(x)) }
}

/// The value at `x` of the polynomial with these coefficients, the highest power's first.
fn polynomial(x: f32, coefficients: &[f32]) -> f32 {
    coefficients.iter().copied().reduce(|sum, next| sum.mul_add(x, next)).unwrap_or(0.0)
}

/// `x` × 2^`power`, for powers that are those of normal numbers.
#[allow(clippy::cast_sign_loss, reason = "is positive after adding the bias")]
fn scaled(x: f32, power: i32) -> f32 {
    let half = power >> 1;
    let two_to = |power: i32| f32::from_bits(((power + 127) << 23) as u32);
    x * two_to(half) * two_to(power - half)
}

#[allow(clippy::cast_possible_truncation, reason = "is small")]
fn exp(x: f32) -> f32 {
    const LN_2: [f32; 2] = [0.693_145_75, 1.428_606_8e-6];
    const SERIES: [f32; 6] =
        [0.000_198_527_62, 0.001_393_043_6, 0.008_333_361, 0.041_666_485, 0.166_666_67, 0.5];
    if x < -104.0 {
        return 0.0;
    }
    let steps = (x * std::f32::consts::LOG2_E).round_ties_even();
    let rest = steps.mul_add(-LN_2[1], steps.mul_add(-LN_2[0], x));
    let series = 1.0 + (rest * rest).mul_add(polynomial(rest, &SERIES), rest);
    scaled(series, steps as i32)
}

/// ln(1 + x) of an `x` that is not negative, and not huge.
#[allow(clippy::cast_possible_wrap, clippy::cast_precision_loss, reason = "exponents are small")]
fn log1p(x: f32) -> f32 {
    const LN_2: [f32; 2] = [std::f32::consts::LN_2, -1.904_654_3e-9];
    const SERIES: [f32; 3] = [0.302_729_5, 0.399_610_8, 0.666_669_5];
    // Half of the smallest numbers would be none.
    if x < f32::MIN_POSITIVE {
        return x;
    }
    let exponent = (((x + 1.0) * (1.0 / 0.75)).to_bits() >> 23) as i32 - 127;
    let unit = scaled(1.0, -exponent);
    let m = x.mul_add(unit, unit - 1.0);
    let octaves = exponent as f32;
    // Sums of two numbers from here on: what the first cannot hold is in the second.
    let high = LN_2[0] * octaves;
    let low = LN_2[1].mul_add(octaves, LN_2[0].mul_add(octaves, -high));
    // m / (2 + m)
    let sum = 2.0 + m;
    let sum_low = (2.0 - sum) + m;
    let inverse = 1.0 / sum;
    let ratio = m * inverse;
    let error = inverse.mul_add(m, -ratio);
    let ratio_low = ratio.mul_add((-sum_low).mul_add(inverse, (-sum).mul_add(inverse, 1.0)), error);
    let square = ratio * ratio;
    let tail = square * ratio * polynomial(square, &SERIES);
    let (twice, twice_low) = (2.0 * ratio, 2.0 * ratio_low);
    let first = high + twice;
    let first_low = (high - first) + twice + low + twice_low;
    let last = first + tail;
    last + ((first - last) + tail + first_low)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What torch 2.15.0 says (`torch.nn.functional.softplus`, vectors of eight).
    #[test]
    fn bits_are_torchs() {
        #[rustfmt::skip]
        let values: [(u32, u32); 56] = [
            (0x3fd86325, 0x3fee0d4e), (0xbeee8f58, 0x3ef961b9), (0x3d066e70, 0x3f35ae5e), (0x3ed0a5f9, 0x3f6ae2b8),
            (0xbf49f6dc, 0x3ebfc4c0), (0x3b075e90, 0x3f31b5d0), (0xba6968c9, 0x3f3154ec), (0xbfe09ace, 0x3e235ad3),
            (0x3f82429e, 0x3fa9c0f6), (0x3f19ba45, 0x3f84d6f4), (0xbf201c1d, 0x3edb6b0e), (0xbe2faa59, 0x3f1c6d96),
            (0x3f015b4d, 0x3f7a3581), (0xbe85d082, 0x3f122bf4), (0xbe789337, 0x3f14413e), (0xbfba03d1, 0x3e572686),
            (0x3f0df8fa, 0x3f81133c), (0x3dfdb546, 0x3f41cb0f), (0x3e8c8603, 0x3f56fac2), (0xbfc36528, 0x3e495882),
            (0x3fd34a21, 0x3fe9c2f0), (0x3e1e0a22, 0x3f45f64c), (0xbec63735, 0x3f04a87f), (0x4001dc52, 0x4009c3da),
            (0xc195ddcc, 0x31fb59f7), (0xc040810b, 0x3d457d51), (0xc1184d2d, 0x389a0a3d), (0xc06f8c45, 0x3cbfc2d3),
            (0xc11e0437, 0x38578c45), (0x4180af15, 0x4180af15), (0x414468e9, 0x414468ee), (0xc14baf47, 0x3646a5d0),
            (0x3fbf4848, 0x3fd931c9), (0xc16d13ac, 0x34c5266d), (0xc0a2ff17, 0x3bc87053), (0xc1296109, 0x37d3ea15),
            (0x40c505e7, 0x40c5173d), (0xc11a174f, 0x3889bd6d), (0xc097ff11, 0x3c0d27dd), (0x41190157, 0x411901a1),
            (0xc0e92267, 0x3a339f58), (0x419ed384, 0x419ed384), (0xc1a099ee, 0x310362bf), (0x412c2f42, 0x412c2f58),
            (0xc0d89f27, 0x3a966e2e), (0xc0d17114, 0x3abc3e0d), (0x409c8232, 0x409cbf87), (0xbf9ebd87, 0x3e821d35),
            (0x00000000, 0x3f317218), (0x80000000, 0x3f317218), (0x41a00000, 0x41a00000), (0x41a00001, 0x41a00001),
            (0xc2ce0000, 0x00000001), (0xc2d10000, 0x00000000), (0x322bcc77, 0x3f317218), (0xc2af0000, 0x006cb2bc),
        ];
        for (x, expected) in values {
            let found = softplus(f32::from_bits(x));
            assert_eq!(found.to_bits(), expected, "softplus of {}", f32::from_bits(x));
        }
    }
}
