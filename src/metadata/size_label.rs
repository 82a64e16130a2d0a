//! Labels such as `7B` or `8x7B`, made from parameter counts.

/// How many parameters a model has; all zero when its tensors are not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParameterCount {
    /// Elements of all tensors.
    pub total: u64,
    /// Elements of the tensors that every token uses.
    pub shared: u64,
    /// Elements of one expert, over all layers.
    pub expert: u64,
    /// Experts per layer.
    pub expert_count: u64,
    /// Whether they are an adapter's, which need not have all layers of the model that names tell of.
    pub of_adapter: bool,
}

/// The label of a model with so many parameters: `8.0B`, `8x7B`, `135M`.
pub(super) fn size_label(params: &ParameterCount) -> String {
    if params.expert_count > 0 {
        let per_expert = u128::from(params.shared) + u128::from(params.expert);
        format!("{}x{}", params.expert_count, rounded(per_expert))
    } else {
        rounded(params.total.into())
    }
}

/// `count` with a unit and at least two significant digits.
#[allow(clippy::cast_precision_loss)]
fn rounded(count: u128) -> String {
    let n = count as f64;
    // The limits are exclusive, and scaling multiplies: both as in the reference, whose last digit they decide.
    let (scaled, unit) = match count {
        1_000_000_000_001.. => (n * 1e-12, 'T'),
        1_000_000_001.. => (n * 1e-9, 'B'),
        1_000_001.. => (n * 1e-6, 'M'),
        _ => (n * 1e-3, 'K'),
    };
    let decimals = match scaled.round_ties_even() {
        10.0.. => 0,
        1.0.. => 1,
        _ => 2,
    };
    format!("{scaled:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results of the reference's `size_label`.
    #[test]
    fn labels_are_the_references() {
        for (total, expected) in [
            (0, "0.00K"),
            (499, "0.50K"),
            (500, "0.50K"),
            (1_000_000, "1000K"),
            (1_000_001, "1.0M"),
            (9_500_000, "10M"),
            (134_515_008, "135M"),
            (1_000_000_000, "1000M"),
            (8_030_261_248, "8.0B"),
            (1_250_000_000, "1.2B"),
            (10_500_000_000, "10B"),
            (671_026_419_200, "671B"),
        ] {
            assert_eq!(size_label(&ParameterCount { total, ..Default::default() }), expected, "{total}");
        }
        let mixtral = ParameterCount {
            total: 46_702_792_704,
            shared: 1_605_644_288,
            expert: 5_637_144_576,
            expert_count: 8,
            of_adapter: false,
        };
        assert_eq!(size_label(&mixtral), "8x7.2B");
    }
}
