//! Conformers: encoders of sound with convolutions between attention (`ConformerAudioModel` of the reference).

use crate::arch::tensors::Tensor;
use crate::dtype::GgmlType;
use crate::error::Result;

use super::Input;
use super::batch_norm;
use super::builder::Builder;
use super::whisper::with_ones;

/// What the names of its tensors may end in.
pub(super) const SUFFIXES: [&str; 6] =
    [".weight", ".bias", ".input_max", ".input_min", ".output_max", ".output_min"];

/// Whether a tensor belongs to what hears or speaks.
pub(super) fn is_audio(name: &str) -> bool {
    const PARTS: [&str; 6] =
        ["audio", "codebook", "conformer", "depth_embedding", "depthformer", "depth_linear"];
    PARTS.iter().any(|part| name.contains(part))
}

/// Convolutions are F32.
pub(super) fn ggml_type(source: &str) -> Option<GgmlType> {
    let convolves = source.contains(".conv") || source.contains("_conv") && source.contains(".weight");
    (is_audio(source) && convolves).then_some(GgmlType::F32)
}

/// Adds `tensor`, whose name starts with `conformer.` if it is of a layer.
///
/// # Errors
/// If projectors have no such tensor, or its shape is not that of its kind.
pub(super) fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name.contains("batch_norm") {
        return batch_norm::fold(input, builder, &tensor, true);
    }
    let name = &tensor.name;
    if name.starts_with("conformer.pre_encode.conv.") && name.ends_with(".bias") {
        tensor.expr = with_ones(tensor.expr, 2)?;
    } else if name.ends_with(".weight") {
        let one = match () {
            () if name.contains("conv.depthwise_conv") => Some(1),
            () if name.contains("conv.pointwise_conv") => Some(2),
            () => None,
        };
        if let Some(axis) = one {
            tensor.expr = without(builder, &tensor, axis)?;
        }
    }
    let name = builder.resolve_with(&tensor.name, &SUFFIXES)?;
    builder.add_as(name, tensor.layer, tensor.expr)
}

/// The tensor of three dimensions without number `axis`, which is 1.
fn without(builder: &Builder, tensor: &Tensor, axis: usize) -> Result<crate::tensor::TensorExpr> {
    let mut shape = tensor.expr.shape().to_vec();
    if shape.len() != 3 || shape[axis] != 1 {
        let problem =
            format!("{}: expected 3 dimensions, number {axis} of them 1, found shape {shape:?}", tensor.name);
        return Err(builder.invalid(problem));
    }
    shape.remove(axis);
    tensor.expr.clone().reshape(&shape)
}
