//! Batch normalization, of which only a factor and a summand are left once a model is trained.

use half::f16;

use crate::arch::contents;
use crate::arch::tensors::{self, Tensor};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::tensor::TensorExpr;

use super::builder::Builder;
use super::projector::Input;

/// The tensors of a normalization, in the order in which they are computed with.
const PARTS: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];
/// torch's default, which the reference takes for granted.
const EPSILON: f32 = 1e-5;

/// Takes a tensor of the normalization `prefix`. With the last of them come `prefix.weight` and `prefix.bias`.
///
/// # Errors
/// If there are not all of them, or their shapes differ.
pub(super) fn fold(input: &Input, builder: &mut Builder, tensor: &Tensor, prefix: &str) -> Result<()> {
    let names = PARTS.map(|part| format!("{prefix}.{part}"));
    let places = names.each_ref().map(|name| input.tensors.get_index_of(name));
    let current = input.tensors.get_index_of(&tensor.name);
    if let Some(missing) = places.iter().position(Option::is_none) {
        return Err(builder.invalid(format!("expected a tensor {}, found none", names[missing])));
    }
    if places.into_iter().max() != Some(current) {
        return Ok(());
    }
    let mut values = Vec::with_capacity(PARTS.len());
    for name in &names {
        values.push(contents::floats(input.checkpoint, name, &input.tensors[name])?);
    }
    let [weight, bias, mean, variance] = values.as_slice() else { return Ok(()) };
    if [bias, mean, variance].iter().any(|part| part.len() != weight.len()) {
        return Err(builder.invalid(format!("the tensors of {prefix} have different shapes")));
    }
    // Every step is rounded as torch does it.
    let source = tensors::source(input.checkpoint, &tensor.expr);
    let half = source.is_some_and(|source| source.dtype == Dtype::F16);
    let round = |x: f32| if half { f16::from_f32(x).to_f32() } else { x };
    let deviation = variance.iter().map(|v| round(round(v + EPSILON).sqrt()));
    let factor: Vec<f32> = weight.iter().zip(deviation).map(|(w, d)| round(w / d)).collect();
    let summand = bias.iter().zip(mean).zip(&factor);
    let summand = summand.map(|((b, m), f)| round(b - round(m * f))).collect();
    builder.add_named(names[0].clone(), tensor.layer, TensorExpr::values(factor))?;
    builder.add_named(names[1].clone(), tensor.layer, TensorExpr::values(summand))
}
