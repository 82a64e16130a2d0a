//! Qwen 3 and its mixture of experts (`Qwen3Model`, `Qwen3MoeModel` of the reference).

use crate::arch::{Family, Input, names};
use crate::error::{Error, Result};

use super::qwen::{QWEN2, QWEN2_MOE};
use super::rerank::{QWEN3_RERANKER, is_reranker};

pub(super) const QWEN3: Family = Family {
    names: &["Qwen3ForCausalLM", "Qwen3Model", "StepVLForConditionalGeneration"],
    arch: "qwen3",
    tensors: names::QWEN3,
    variant: qwen3_variant,
    ..QWEN2
};

pub(super) const QWEN3_MOE: Family = Family {
    names: &["Qwen3MoeForCausalLM"],
    arch: "qwen3moe",
    tensors: names::QWEN3MOE,
    variant: refuse_intern,
    ..QWEN2_MOE
};

fn refuse_intern(input: &Input) -> Result<Option<&'static Family>> {
    if input.config.origin_architecture() == Some("InternS1ForConditionalGeneration") {
        return Err(Error::unsupported("architecture InternS1ForConditionalGeneration is not supported yet"));
    }
    Ok(None)
}

fn qwen3_variant(input: &Input) -> Result<Option<&'static Family>> {
    refuse_intern(input)?;
    Ok(is_reranker(input)?.then_some(&QWEN3_RERANKER))
}
