//! `base ** tensor` as torch computes it on x86: eight lanes at a time with SLEEF's `powf` of 1 ulp, what is
//! left over with the C library's. Neither rounds correctly, so equal bytes need equal steps.
//!
//! SLEEF keeps each intermediate value as the sum of two floats; the formulas are those of its
//! `sleefsimdsp.c` (`xpowf`, `logkf`, `expkf`) and `df.h`, in the variant with fused multiply-add.

/// Elements torch takes per step of its vector loop: two AVX2 registers.
const STEP: usize = 16;

/// `base` to the power of each of `exponents`. Right for bases within [`BASES`] and exponents from 0 to 1.
pub(super) fn powf(base: f32, exponents: &[f32]) -> Vec<f32> {
    let (vector, rest) = exponents.split_at(exponents.len() / STEP * STEP);
    let sleef = vector.iter().map(|e| exp(ln(base).times(*e)));
    sleef.chain(rest.iter().map(|e| base.powf(*e))).collect()
}

/// Bases for which no intermediate value leaves the range of normal floats.
pub(super) const BASES: std::ops::RangeInclusive<f64> = 1e-30..=1e30;

/// A number as the unevaluated sum of two floats.
#[derive(Clone, Copy)]
struct Pair(f32, f32);

impl Pair {
    /// `a + b`, whichever is larger.
    fn sum(a: f32, b: f32) -> Self {
        let s = a + b;
        let v = s - a;
        Self(s, (a - (s - v)) + (b - v))
    }

    /// `self + b`, whichever is larger.
    fn plus(self, b: f32) -> Self {
        let Self(s, rest) = Self::sum(self.0, b);
        Self(s, rest + self.1)
    }

    /// `self + b`, whichever is larger.
    fn plus_pair(self, b: Self) -> Self {
        let Self(s, rest) = Self::sum(self.0, b.0);
        Self(s, rest + (self.1 + b.1))
    }

    /// `self + b`, where `b` is smaller.
    fn plus_smaller(self, b: Self) -> Self {
        let s = self.0 + b.0;
        Self(s, (self.0 - s) + b.0 + self.1 + b.1)
    }

    fn times(self, b: f32) -> Self {
        let s = self.0 * b;
        Self(s, self.1.mul_add(b, self.0.mul_add(b, -s)))
    }

    fn times_pair(self, b: Self) -> Self {
        let s = self.0 * b.0;
        Self(s, self.0.mul_add(b.1, self.1.mul_add(b.0, self.0.mul_add(b.0, -s))))
    }

    fn squared(self) -> Self {
        let s = self.0 * self.0;
        Self(s, (self.0 + self.0).mul_add(self.1, self.0.mul_add(self.0, -s)))
    }

    fn over(self, d: Self) -> Self {
        let t = d.0.recip();
        let s = self.0 * t;
        let u = t.mul_add(self.0, -s);
        let v = (-d.1).mul_add(t, (-d.0).mul_add(t, 1.0));
        Self(s, s.mul_add(v, self.1.mul_add(t, u)))
    }

    fn normalized(self) -> Self {
        let s = self.0 + self.1;
        Self(s, (self.0 - s) + self.1)
    }
}

/// Natural logarithm of a positive, normal number.
fn ln(d: f32) -> Pair {
    let scaled = d * (1.0 / 0.75);
    let e = (scaled.to_bits() >> 23 & 0xff).cast_signed() - 127;
    let m = d * 2f32.powi(-e);
    let x = Pair::sum(-1.0, m).over(Pair::sum(1.0, m));
    let x2 = x.squared();
    let t = 0.240_320_36_f32.mul_add(x2.0, 0.285_112_68).mul_add(x2.0, 0.400_008);
    let c = Pair(0.666_666_6, 3.691_838_6e-9);
    #[allow(clippy::cast_precision_loss)]
    let exponent = Pair(std::f32::consts::LN_2, -1.904_654_3e-9).times(e as f32);
    exponent
        .plus_smaller(Pair(x.0 * 2.0, x.1 * 2.0))
        .plus_smaller(x2.times_pair(x).times_pair(x2.times(t).plus_pair(c)))
}

/// e to the power of `d`, where that is a normal number.
fn exp(d: Pair) -> f32 {
    let q = ((d.0 + d.1) * std::f32::consts::LOG2_E).round_ties_even();
    let s = d.plus(q * -0.693_145_75).plus(q * -1.428_606_8e-6).normalized();
    let u = 0.001_363_246_5_f32
        .mul_add(s.0, 0.008_365_969)
        .mul_add(s.0, 0.041_671_082)
        .mul_add(s.0, 0.166_665_52)
        .mul_add(s.0, 0.499_999_85);
    let t = Pair(1.0, 0.0).plus_smaller(s.plus_smaller(s.squared().times(u)));
    #[allow(clippy::cast_possible_truncation)]
    let scale = 2f32.powi(q as i32);
    (t.0 + t.1) * scale
}
