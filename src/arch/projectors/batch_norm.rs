//! Batch normalization as it is after training: what it measured becomes a scale and a shift, two tensors instead of four
//! (`torch.nn.BatchNorm1d`; folded in the reference's `ConformerAudioModel` and `GraniteSpeechMmprojModel`).
//!
//! All steps are single operations on single elements, so results are torch's to the bit ([`kernels::sqrt`] says what roots
//! need).

use half::f16;

use crate::arch::contents;
use crate::arch::tensors::{self, Tensor};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::kernels;
use crate::tensor::TensorExpr;

use super::Input;
use super::builder::Builder;

/// What is added to variances, so that none is zero.
const EPSILON: f32 = 1e-5;

/// What a layer's batch normalization consists of.
const PARTS: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

/// Numbers as torch holds them: if `half`, every result is rounded to F16.
struct Numbers {
    values: Vec<f32>,
    half: bool,
}

impl Numbers {
    fn each(&self, f: impl Fn(f32) -> f32) -> Self {
        self.with(self, |x, _| f(x))
    }

    fn with(&self, other: &Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let half = self.half && other.half;
        let round = |x: f32| if half { f16::from_f32(x).to_f32() } else { x };
        let values = self.values.iter().zip(&other.values).map(|(x, y)| round(f(*x, *y)));
        Self { values: values.collect(), half }
    }
}

/// Takes `tensor`, a part of a batch normalization, whose parts are there with, if `counted`, the number of batches it has
/// seen. The last of them makes weight and bias, by the names of those in the checkpoint.
///
/// # Errors
/// If a part is missing, or they are not vectors of one length.
pub(super) fn fold(input: &Input, builder: &mut Builder, tensor: &Tensor, counted: bool) -> Result<()> {
    let stem = tensor.name.rsplit_once('.').map_or("", |(stem, _)| stem);
    let count = counted.then_some("num_batches_tracked");
    let mut last = 0;
    for part in PARTS.into_iter().chain(count) {
        let name = format!("{stem}.{part}");
        let index = input.tensors.get_index_of(&name).ok_or_else(|| {
            let problem = format!("{name}: this part of a batch normalization is missing");
            builder.invalid(problem).hint("get all of the model's files")
        })?;
        last = last.max(index);
    }
    if input.tensors.get_index_of(&tensor.name) != Some(last) {
        return Ok(());
    }
    let [weight, bias, mean, variance] = numbers(input, builder, stem)?;
    let (epsilon, root) = match variance.half {
        true => (f16::from_f32(EPSILON).to_f32(), f32::sqrt as fn(f32) -> f32),
        false => (EPSILON, kernels::sqrt as fn(f32) -> f32),
    };
    let deviation = variance.each(|x| x + epsilon).each(root);
    let scale = weight.with(&deviation, |x, y| x / y);
    let shift = bias.with(&mean.with(&scale, |x, y| x * y), |x, y| x - y);
    for (part, numbers) in [("weight", scale), ("bias", shift)] {
        builder.add_named(format!("{stem}.{part}"), tensor.layer, TensorExpr::values(numbers.values))?;
    }
    Ok(())
}

fn numbers(input: &Input, builder: &Builder, stem: &str) -> Result<[Numbers; 4]> {
    let mut found = Vec::with_capacity(PARTS.len());
    for part in PARTS {
        let name = format!("{stem}.{part}");
        let expr = &input.tensors[&name];
        let source = tensors::source(input.checkpoint, expr);
        let half = source.is_some_and(|source| source.dtype == Dtype::F16);
        let values = contents::floats(input.checkpoint, &name, expr)?;
        if expr.shape().len() != 1 {
            return Err(builder.invalid(format!("{name}: expected a vector, found shape {:?}", expr.shape())));
        }
        found.push(Numbers { values, half });
    }
    let len = found[0].values.len();
    if found.iter().any(|numbers| numbers.values.len() != len) {
        return Err(builder.invalid(format!("{stem}: weight, bias, mean and variance differ in length")));
    }
    found.try_into().map_err(|_| Error::Internal(format!("{stem}: parts of a batch normalization")))
}
