//! The matrices that embed patches of images, in the forms that models have them in.

use crate::arch::tensors::Tensor;
use crate::error::{Error, Result};
use crate::tensor::TensorExpr;

use super::builder::Builder;

/// GGUF's name for them.
const NAME: &str = "v.patch_embd.weight";

/// Adds one matrix for each of the images that patches reach through, from one of shape n × channels × images × h × w.
///
/// # Errors
/// If the shape is another.
pub(super) fn per_image(builder: &mut Builder, tensor: &Tensor) -> Result<()> {
    let shape = tensor.expr.shape();
    let [n, channels, images, height, width] = *shape else {
        let problem = format!("{}: expected five dimensions, found shape {shape:?}", tensor.name);
        return Err(Error::unsupported(problem));
    };
    const MOST: u64 = 64;
    for image in 0..images.min(MOST) {
        let part = tensor.expr.clone().slice(2, image, image + 1, 1)?;
        let name = if image == 0 { NAME.to_owned() } else { format!("{NAME}.{image}") };
        builder.add_as(name, tensor.layer, part.reshape(&[n, channels, height, width])?)?;
    }
    Ok(())
}

/// [`per_image`] for pairs of images.
///
/// # Errors
/// Also if there are more.
pub(super) fn pair(builder: &mut Builder, tensor: &Tensor) -> Result<()> {
    match tensor.expr.shape() {
        [_, _, 2, _, _] => per_image(builder, tensor),
        shape => {
            let problem =
                format!("{}: expected shape n × channels × 2 × h × w, found {shape:?}", tensor.name);
            Err(Error::unsupported(problem))
        }
    }
}

/// A linear layer that takes a patch row by row, its `channels` last, as the convolution it is.
///
/// # Errors
/// If patches are not `side` × `side`.
pub(super) fn of_linear(builder: &Builder, tensor: &Tensor, side: u64, channels: u64) -> Result<TensorExpr> {
    let shape = tensor.expr.shape();
    let area = side.checked_mul(side).and_then(|area| area.checked_mul(channels));
    match *shape {
        [n, inputs] if Some(inputs) == area && inputs > 0 => {
            tensor.expr.clone().reshape(&[n, side, side, channels])?.permute(&[0, 3, 1, 2])
        }
        _ => Err(builder.invalid(format!(
            "{}: expected rows of {side} × {side} × {channels} elements, found shape {shape:?}",
            tensor.name
        ))),
    }
}
