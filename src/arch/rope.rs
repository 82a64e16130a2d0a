//! Llama 3's rope scaling, which GGUF stores as one divisor per frequency.

use std::f64::consts::TAU;

use crate::error::Result;
use crate::tensor::TensorExpr;

use super::builder::Builder;
use super::powf::{BASES, powf};
use super::{Input, keys};

/// More than any head has; a larger number is a mistake or an attack.
pub(super) const LARGEST_HEAD: u32 = 1 << 16;

/// Adds `rope_freqs` if the model scales rope as Llama 3 does.
///
/// # Errors
/// If settings are missing that have no default, or have the wrong type.
pub(super) fn llama3_factors(input: &Input, builder: &mut Builder) -> Result<()> {
    llama3_factors_or(input, builder, 8.0)
}

/// [`llama3_factors`] with another `factor` where there is none.
///
/// # Errors
/// As [`llama3_factors`].
pub(super) fn llama3_factors_or(input: &Input, builder: &mut Builder, factor: f64) -> Result<()> {
    let rope = keys::full_attention(&input.rope)?;
    if rope.map().get("rope_type").is_some_and(crate::json::Value::is_null) {
        return Err(input.config.invalid("rope_parameters.rope_type: expected a string, found null"));
    }
    if !rope.str(&["rope_type"])?.is_some_and(|kind| kind.eq_ignore_ascii_case("llama3")) {
        return Ok(());
    }
    if !input.family.tensors.contains(&"rope_freqs") {
        let arch = input.family.arch;
        return Err(input
            .config
            .unsupported(format!("rope_type \"llama3\", which llama.cpp's {arch} has not")));
    }
    if input.architecture == "LlamaModel" {
        // The reference puts LlamaModel's prefix before the factors' name, too, and then knows no such tensor.
        return Err(input
            .config
            .unsupported("LlamaModel with rope_type \"llama3\", which llama.cpp's converter refuses"));
    }
    let get = |key: &str, default: f64| {
        if !rope.map().contains_key(key) {
            return Ok(default);
        }
        let problem =
            || rope.invalid(format!("rope_parameters.{key}: expected a positive number that is not absurd"));
        rope.f64(&[key])?.filter(|n| BASES.contains(n)).ok_or_else(problem)
    };
    let dim = dimension_count(input)?;
    if !(1..=LARGEST_HEAD).contains(&dim) {
        return Err(input.config.invalid(format!("head_dim: expected 1 to {LARGEST_HEAD}, found {dim}")));
    }
    let scaling = Llama3 {
        base: get("rope_theta", 10_000.0)?,
        factor: get("factor", factor)?,
        low: get("low_freq_factor", 1.0)?,
        high: get("high_freq_factor", 4.0)?,
        context: get("original_max_position_embeddings", 8192.0)?,
    };
    let factors = scaling.factors(dim);
    builder.add_as("rope_freqs.weight".to_owned(), None, TensorExpr::values(factors))
}

/// Dimensions that are rotated: `head_dim`, else the model's width divided by its heads.
///
/// # Errors
/// If neither is there, or there are 0 heads.
pub(super) fn dimension_count(input: &Input) -> Result<u32> {
    match input.config.u32(&["head_dim"])? {
        Some(dim) => Ok(dim),
        None => width_per_head(input),
    }
}

/// The model's width divided by its heads.
///
/// # Errors
/// If either is not there, or there are 0 heads.
pub(super) fn width_per_head(input: &Input) -> Result<u32> {
    let config = input.config;
    let width = config.require_u32(&["hidden_size"])?;
    let heads = config.require_u32(&["num_attention_heads"])?;
    width
        .checked_div(heads)
        .ok_or_else(|| config.invalid("num_attention_heads: expected at least 1, found 0"))
}

/// How far neighbouring positions are turned, for each pair of `dim` rotated dimensions.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub(super) fn frequencies(base: f64, dim: u32) -> Vec<f32> {
    let exponents: Vec<f32> = (0..dim).step_by(2).map(|i| i as f32 / dim as f32).collect();
    powf(base as f32, &exponents).into_iter().map(f32::recip).collect()
}

struct Llama3 {
    base: f64,
    factor: f64,
    low: f64,
    high: f64,
    context: f64,
}

impl Llama3 {
    /// The divisors for a head of `dim` dimensions.
    ///
    /// The reference mixes torch tensors, whose every step rounds to 32 bits, and Python floats, which do
    /// not round until they meet a tensor. `x / tensor` is the tensor's rounded reciprocal times `x`.
    #[allow(clippy::cast_possible_truncation)]
    fn factors(&self, dim: u32) -> Vec<f32> {
        let wavelengths =
            frequencies(self.base, dim).into_iter().map(|frequency| frequency.recip() * TAU as f32);
        wavelengths.map(|wavelength| self.factor(wavelength)).collect()
    }

    #[allow(clippy::cast_possible_truncation)]
    fn factor(&self, wavelength: f32) -> f32 {
        if wavelength < (self.context / self.high) as f32 {
            1.0
        } else if wavelength > (self.context / self.low) as f32 {
            self.factor as f32
        } else {
            let smooth =
                (wavelength.recip() * self.context as f32 - self.low as f32) / (self.high - self.low) as f32;
            ((1.0 - smooth) / self.factor as f32 + smooth).recip()
        }
    }
}
