//! The families of models, each in a file of its own.

mod afmoe;
mod apertus;
mod arctic;
mod baichuan;
mod bailing;
mod bailing3;
mod bert;
mod bitnet;
mod bloom;
mod chameleon;
mod chatglm;
mod codeshell;
mod command_r;
mod dbrx;
mod deci;
mod deepseek;
mod deepseek4;
mod deepseek4_draft;
mod dflash;
mod dots1;
mod dots3;
mod dream;
mod eagle3;
mod ernie;
mod exaone;
mod falcon;
mod falcon_h1;
mod gemma;
mod gemma3n;
mod gemma4;
mod gemma4_drafts;
mod glm;
mod glm5_next;
mod gpt2;
mod gpt_oss;
mod gptneox;
mod granite;
mod granite_hybrid;
mod granite_switch;
mod granite_vision;
mod grok;
mod grovemoe;
mod hrm_text;
mod hunyuan;
mod hy_v3;
mod hy_v4;
mod internlm;
mod jais;
mod jais2;
mod jamba;
mod kimi_k3;
mod kimi_linear;
mod laguna;
mod lfm2;
mod llada_moe;
mod llama;
mod llama4;
mod llama_likes;
mod maincoder;
mod mamba;
mod maple;
mod mellum;
mod mimo;
mod minicpm;
mod minimax;
mod mistral;
mod mistral3;
mod modern_bert;
mod mpt;
mod muse_glimmer;
mod nemotron;
mod nemotron_h;
mod nomic_bert;
mod olmo;
mod openelm;
mod orion;
mod pangu;
mod phi;
mod plamo;
mod plm;
mod qwen;
mod qwen3;
mod qwen4_exp;
mod qwen_next;
mod qwen_vl;
mod refact;
mod rerank;
mod rwkv;
mod rwkv7;
mod smallthinker;
mod spark;
mod stablelm;
mod starcoder;
mod step3;
mod t5;
mod talkie;
mod wavtokenizer;

use super::Family;
use crate::config::Config;

pub(super) use llama::interleave_rotary;

/// Every family. Order matters to nobody.
pub(super) static FAMILIES: &[Family] = &[
    afmoe::AFMOE,
    apertus::APERTUS,
    arctic::ARCTIC,
    baichuan::BAICHUAN,
    baichuan::XVERSE,
    bailing::BAILING_MOE,
    bailing::BAILING_MOE2,
    bailing::SARVAM_MOE,
    bailing3::BAILING_MOE3,
    bailing3::BAILING_MOE3_VL,
    bert::BERT,
    bert::DISTILBERT,
    bert::JINA_BERT_V2,
    bert::ROBERTA,
    bert::XLM_ROBERTA,
    bitnet::BITNET,
    bloom::BLOOM,
    chameleon::CHAMELEON,
    chatglm::CHATGLM,
    codeshell::CODESHELL,
    command_r::COHERE2,
    command_r::COHERE2_MOE,
    command_r::COMMAND_R,
    dbrx::DBRX,
    deci::DECI,
    deepseek::DEEPSEEK,
    deepseek::DEEPSEEK2,
    deepseek::DEEPSEEK32,
    deepseek4::DEEPSEEK4,
    deepseek4_draft::DEEPSEEK4_DSPARK,
    dflash::DFLASH,
    dflash::DSPARK,
    dflash::MUSE_GLIMMER_ASSISTANT,
    dots1::DOTS1,
    dream::DREAM,
    dream::LLADA,
    dots3::DOTS3,
    ernie::ERNIE,
    ernie::ERNIE_MOE,
    ernie::PADDLEOCR,
    exaone::EXAONE,
    exaone::EXAONE4,
    exaone::EXAONE4_5,
    exaone::EXAONE_MOE,
    falcon::FALCON,
    falcon_h1::FALCON_H1,
    gemma3n::GEMMA3N,
    gemma4::GEMMA4,
    gemma4::GEMMA4_UNIFIED,
    gemma4_drafts::GEMMA4_ASSISTANT,
    gemma4_drafts::GEMMA4_DSPARK,
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
    glm5_next::GLM5_NEXT,
    gpt2::GPT2,
    gpt2::RU_GPT3_XL,
    gpt_oss::GPT_OSS,
    gptneox::GPTNEOX,
    granite::GRANITE,
    granite::GRANITE_MOE,
    granite::GRANITE_MOE_SWA,
    granite::GRANITE_SWA,
    granite_hybrid::GRANITE_HYBRID,
    granite_switch::GRANITE_SWITCH,
    grok::GROK,
    grovemoe::GROVEMOE,
    hrm_text::HRM_TEXT,
    hunyuan::HUNYUAN,
    hunyuan::HUNYUAN_MOE,
    hunyuan::HUNYUAN_VL,
    hy_v3::HY_V3,
    hy_v4::HY_V4,
    internlm::INTERNLM2,
    internlm::INTERNLM3,
    jais2::JAIS2,
    jais::JAIS,
    jamba::JAMBA,
    kimi_k3::KIMI_K3,
    kimi_linear::KIMI_LINEAR,
    laguna::LAGUNA,
    lfm2::LFM2,
    lfm2::LFM2_AUDIO_TOKENIZER,
    lfm2::LFM2_EMBEDDING,
    lfm2::LFM2_MOE,
    llada_moe::LLADA_MOE,
    llama4::LLAMA4,
    llama::ARCEE,
    llama::LLAMA,
    llama::LLAMA_EMBED,
    llama::SMOLLM3,
    llama::VLLAMA3,
    llama_likes::COGVLM,
    llama_likes::JANUS,
    llama_likes::NANBEIGE,
    llama_likes::SARASHINA2_VISION,
    maincoder::MAINCODER,
    mamba::MAMBA,
    mamba::MAMBA2,
    maple::MAPLE,
    mellum::MELLUM,
    mimo::MIMO2,
    minicpm::MINICPM,
    minicpm::MINICPM3,
    minimax::MINIMAX_01,
    minimax::MINIMAX_M2,
    minimax::MINIMAX_M3,
    mistral3::MISTRAL3,
    modern_bert::EURO_BERT,
    modern_bert::MODERN_BERT,
    modern_bert::NEO_BERT,
    mpt::MPT,
    muse_glimmer::MUSE_GLIMMER,
    nemotron::NEMOTRON,
    nemotron_h::NEMOTRON_H,
    nemotron_h::NEMOTRON_H_PUZZLE,
    nomic_bert::NOMIC_BERT,
    olmo::OLMO,
    olmo::OLMO2,
    olmo::OLMOE,
    olmo::SEED_OSS,
    openelm::OPENELM,
    orion::ORION,
    pangu::PANGU,
    phi::PHI2,
    phi::PHI3,
    phi::PHI_MOE,
    plamo::PLAMO,
    plamo::PLAMO2,
    plamo::PLAMO3,
    plm::PLM,
    qwen3::QWEN3,
    qwen3::QWEN3_MOE,
    qwen::QWEN,
    qwen::QWEN2,
    qwen::QWEN2_MOE,
    qwen::RND1,
    qwen4_exp::QWEN4_EXP,
    qwen_next::MINICPM_V4_6,
    qwen_next::QWEN35,
    qwen_next::QWEN35_MOE,
    qwen_next::QWEN3_NEXT,
    qwen_vl::QWEN2_VL,
    qwen_vl::QWEN3_ASR,
    qwen_vl::QWEN3_OMNI,
    qwen_vl::QWEN3_VL,
    qwen_vl::QWEN3_VL_MOE,
    refact::REFACT,
    rwkv7::ARWKV7,
    rwkv7::RWKV7,
    rwkv::RWKV6,
    rwkv::RWKV6_QWEN2,
    smallthinker::SMALLTHINKER,
    spark::SPARK2_5,
    stablelm::STABLELM,
    starcoder::STARCODER,
    starcoder::STARCODER2,
    step3::STEP35,
    t5::T5,
    t5::T5_ENCODER,
    talkie::TALKIE,
    wavtokenizer::WAVTOKENIZER_DEC,
];

/// The family of a model in Mistral's own format, by what [`Config::load_params`] read.
pub fn in_mistral_format(config: &Config) -> &'static Family {
    if config.has_experts() { &mistral::MISTRAL_MOE } else { &mistral::MISTRAL }
}
