//! BitNet, whose weights have three values (`BitnetModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, TEXT, contents, keys, names};
use crate::error::Result;
use crate::gguf::Value;
use crate::vocab;

pub(super) const BITNET: Family = Family {
    names: &["BitNetForCausalLM", "BitnetForCausalLM"],
    arch: "bitnet",
    vocab: vocab::sentencepiece_only,
    tensors: names::BITNET,
    keys: |input, keys| {
        keys::common(input, keys)?;
        keys.set("rope.scaling.type", Value::String("linear".into()));
        keys.set_f32("rope.scaling.factor", Some(1.0));
        Ok(())
    },
    emit,
    ..TEXT
};

/// Matrices whose elements become one of three values.
const TERNARY: [&str; 7] = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down", "ffn_gate"];

/// Weights are saved as they were trained: what they stand for is the mean of their magnitudes, times -1, 0 or 1.
fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let name = builder.resolve(&tensor.name)?;
    let matrix =
        tensor.layer.and_then(|layer| name.strip_prefix(&format!("blk.{layer}."))?.strip_suffix(".weight"));
    if matrix.is_some_and(|matrix| TERNARY.contains(&matrix)) {
        let mean = contents::mean_of_magnitudes(input.checkpoint, &tensor.name, &tensor.expr)?;
        let scale = if mean < 1e-5 { 1e-5 } else { mean };
        tensor.expr = tensor.expr.ternary(scale.recip());
    }
    builder.add(tensor)
}
