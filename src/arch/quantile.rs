//! Quantiles of the standard normal distribution, as torch computes them.

use std::f64::consts::{PI, SQRT_2};

/// The number that `share` of all values lie below (`Normal(0, 1).icdf`): √2 · erf⁻¹(2 · `share` − 1).
///
/// torch asks Intel's library for erf⁻¹, which rounds correctly but for rare cases. So does this.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn normal_quantile(share: f32) -> f32 {
    inverse_erf(f64::from(2.0 * share - 1.0)) as f32 * SQRT_2 as f32
}

/// The `x` for which `erf(x)` is `y`.
#[allow(clippy::float_cmp, reason = "the limits are exact")]
fn inverse_erf(y: f64) -> f64 {
    if y.abs() == 1.0 {
        return f64::INFINITY.copysign(y);
    }
    if y.is_nan() || y.abs() > 1.0 {
        return f64::NAN;
    }
    // Winitzki's approximation (2008, "A handy approximation for the error function"), good to three digits;
    // then Newton's steps, each of which doubles their number.
    const A: f64 = 0.147;
    let log = (1.0 - y * y).ln();
    let half = 2.0 / (PI * A) + log / 2.0;
    let mut x = ((half * half - log / A).sqrt() - half).max(0.0).sqrt().copysign(y);
    for _ in 0..5 {
        x -= (libm::erf(x) - y) / (2.0 / PI.sqrt() * (-x * x).exp());
    }
    x
}

#[cfg(test)]
mod tests {
    use super::normal_quantile;

    /// What `torch.distributions.Normal(0, 1).icdf(torch.tensor(share))` gives (torch 2.15.0).
    #[test]
    fn quantiles_are_those_of_torch() {
        let cases: [(f32, u32); 10] = [
            (0.0, 0xff800000),
            (1.0, 0x7f800000),
            (0.95, 0x3fd28a90),
            (0.5, 0x00000000),
            (0.25, 0xbf2cab5c),
            (0.9, 0x3fa409e1),
            (0.999, 0x4045c66e),
            (0.0001, 0xc06e04e9),
            (0.42, 0xbe4ebd2d),
            (0.0123456, 0xc00fc1bc),
        ];
        for (share, bits) in cases {
            assert_eq!(normal_quantile(share).to_bits(), bits, "{share}");
        }
        assert!(normal_quantile(1.5).is_nan());
    }
}
