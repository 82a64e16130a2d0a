//! Chameleon's text model (`ChameleonModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, TEXT, keys, names};
use crate::error::Result;
use crate::tensor::TensorExpr;

use super::llama;

pub(super) const CHAMELEON: Family = Family {
    names: &["ChameleonForCausalLM", "ChameleonForConditionalGeneration"],
    arch: "chameleon",
    tensors: names::CHAMELEON,
    keys: |input, keys| {
        keys::common(input, keys)?;
        keys.set_bool("swin_norm", Some(input.config.bool(&["swin_norm"])?.unwrap_or(false)));
        Ok(())
    },
    // What draws.
    rename: |_, name| (!name.starts_with("model.vqmodel")).then(|| name.to_owned()),
    emit,
    ..TEXT
};

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let is =
        |norm: &str| ["weight", "bias"].iter().any(|kind| tensor.name.ends_with(&format!("{norm}.{kind}")));
    let heads = match () {
        () if is("q_norm") => "num_attention_heads",
        () if is("k_norm") => "num_key_value_heads",
        () => return llama::emit(input, builder, tensor),
    };
    let heads = u64::from(input.config.require_u32(&[heads])?);
    let width = u64::from(input.config.require_u32(&["hidden_size"])?);
    let half = width.checked_div(heads).unwrap_or(0) / 2;
    // All heads' rows are alike.
    let head = tensor.expr.clone().slice(0, 0, 1, 1).and_then(|row| row.reshape(&[2, half])?.swap_axes(0, 1));
    let head = head.and_then(|head| head.reshape(&[1, 2 * half])).map_err(|_| {
        let (name, shape) = (&tensor.name, tensor.expr.shape());
        builder.invalid(format!("{name}: expected {heads} rows of {}, found shape {shape:?}", 2 * half))
    })?;
    let count = usize::try_from(heads).unwrap_or_default();
    tensor.expr = TensorExpr::concat(vec![head; count])?;
    builder.add(tensor)
}
