//! The families of models, each in a file of its own.

mod apertus;
mod bert;
mod bloom;
mod chatglm;
mod command_r;
mod deepseek;
mod falcon;
mod gemma;
mod gemma3n;
mod gemma4;
mod glm;
mod gpt2;
mod gpt_oss;
mod gptneox;
mod granite;
mod granite_hybrid;
mod internlm;
mod jamba;
mod llama;
mod llama4;
mod maincoder;
mod mamba;
mod mistral;
mod mistral3;
mod modern_bert;
mod nemotron;
mod nemotron_h;
mod nomic_bert;
mod olmo;
mod phi;
mod qwen;
mod qwen3;
mod qwen_next;
mod qwen_vl;
mod rerank;
mod stablelm;
mod starcoder;
mod t5;

use super::Family;
use crate::config::Config;

pub(super) use llama::interleave_rotary;

/// Every family. Order matters to nobody.
pub(super) static FAMILIES: &[Family] = &[
    apertus::APERTUS,
    bert::BERT,
    bert::DISTILBERT,
    bert::JINA_BERT_V2,
    bert::ROBERTA,
    bert::XLM_ROBERTA,
    bloom::BLOOM,
    chatglm::CHATGLM,
    command_r::COHERE2,
    command_r::COHERE2_MOE,
    command_r::COMMAND_R,
    deepseek::DEEPSEEK,
    deepseek::DEEPSEEK2,
    deepseek::DEEPSEEK32,
    falcon::FALCON,
    gemma3n::GEMMA3N,
    gemma4::GEMMA4,
    gemma4::GEMMA4_UNIFIED,
    gemma::GEMMA,
    gemma::GEMMA2,
    gemma::GEMMA3,
    gemma::GEMMA_EMBEDDING,
    glm::GLM4,
    glm::GLM4_MOE,
    glm::GLM4_MOE_LITE,
    glm::GLM_DSA,
    glm::GLM_OCR,
    glm::SOLAR_OPEN,
    gpt2::GPT2,
    gpt2::RU_GPT3_XL,
    gpt_oss::GPT_OSS,
    gptneox::GPTNEOX,
    granite::GRANITE,
    granite::GRANITE_MOE,
    granite::GRANITE_MOE_SWA,
    granite::GRANITE_SWA,
    granite_hybrid::GRANITE_HYBRID,
    internlm::INTERNLM2,
    internlm::INTERNLM3,
    jamba::JAMBA,
    llama4::LLAMA4,
    llama::ARCEE,
    llama::LLAMA,
    llama::LLAMA_EMBED,
    llama::SMOLLM3,
    maincoder::MAINCODER,
    mamba::MAMBA,
    mamba::MAMBA2,
    mistral3::MISTRAL3,
    modern_bert::EURO_BERT,
    modern_bert::MODERN_BERT,
    modern_bert::NEO_BERT,
    nemotron::NEMOTRON,
    nemotron_h::NEMOTRON_H,
    nemotron_h::NEMOTRON_H_PUZZLE,
    nomic_bert::NOMIC_BERT,
    olmo::OLMO,
    olmo::OLMO2,
    olmo::OLMOE,
    olmo::SEED_OSS,
    phi::PHI2,
    phi::PHI3,
    phi::PHI_MOE,
    qwen::QWEN,
    qwen::QWEN2,
    qwen::QWEN2_MOE,
    qwen3::QWEN3,
    qwen3::QWEN3_MOE,
    qwen::RND1,
    qwen_next::QWEN35,
    qwen_next::QWEN35_MOE,
    qwen_next::QWEN3_NEXT,
    qwen_vl::QWEN2_VL,
    qwen_vl::QWEN3_VL,
    qwen_vl::QWEN3_VL_MOE,
    stablelm::STABLELM,
    starcoder::STARCODER,
    starcoder::STARCODER2,
    t5::T5,
    t5::T5_ENCODER,
];

/// The family of a model in Mistral's own format, by what [`Config::load_params`] read.
pub fn in_mistral_format(config: &Config) -> &'static Family {
    if config.has_experts() { &mistral::MISTRAL_MOE } else { &mistral::MISTRAL }
}
