//! Qwen 3 and its mixture of experts (`Qwen3Model`, `Qwen3MoeModel` of the reference).

use crate::arch::{Family, Input, names};
use crate::error::Result;
use crate::vocab::bpe;

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
    variant: |input| Ok(is_intern(input).then_some(&INTERN_MOE)),
    ..QWEN2_MOE
};

/// The language models of InternS1, whose tokenizers are their own.
static INTERN: Family = Family { names: &[], vocab: bpe::add_intern, ..QWEN3 };
static INTERN_MOE: Family = Family { names: &[], vocab: bpe::add_intern, ..QWEN3_MOE };

fn is_intern(input: &Input) -> bool {
    input.config.origin_architecture() == Some("InternS1ForConditionalGeneration")
}

fn qwen3_variant(input: &Input) -> Result<Option<&'static Family>> {
    if is_intern(input) {
        return Ok(Some(&INTERN));
    }
    Ok(is_reranker(input)?.then_some(&QWEN3_RERANKER))
}
