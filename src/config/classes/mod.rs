//! What configuration classes of transformers do in code: settings they compute, values they refuse.
//!
//! Most classes only declare fields. The table names what the others do; it is in a file for each family,
//! composed of what they share (`derive`, `layers`, `rope`, `validate`).

mod apertus;
mod bert;
mod cohere;
mod deepseek;
mod deepseek4;
mod ernie;
mod exaone;
mod falcon;
mod gemma;
mod gemma4;
mod glm;
mod gpt;
mod granite;
mod hooks;
mod hunyuan;
mod internlm;
mod lfm2;
mod llama;
mod llama4;
mod mamba;
mod minicpm;
mod minimax;
mod mistral;
mod moe;
mod muse_glimmer;
mod nemotron;
mod nemotron_h;
mod olmo;
mod phi;
mod qwen;
mod qwen_moe;
mod qwen_vl;
mod sections;
mod smollm;
mod stablelm;
mod t5;
mod vision;

pub(super) use hooks::Hooks;

use hooks::PLAIN;

/// Classes by `model_type`.
const TABLE: &[(&str, &Hooks)] = &[
    ("afmoe", &moe::AFMOE),
    ("apertus", &apertus::APERTUS),
    ("arcee", &llama::ARCEE),
    ("bamba", &granite::BAMBA),
    ("bloom", &falcon::BLOOM),
    ("clip_vision_model", &vision::CLIP),
    ("cohere2", &cohere::COHERE2),
    ("cohere2_moe", &cohere::COHERE2_MOE),
    ("dbrx", &sections::DBRX),
    ("deepseek_v2", &deepseek::V2),
    ("deepseek_v3", &deepseek::V3),
    ("deepseek_v32", &deepseek::V32),
    ("deepseek_v4", &deepseek4::V4),
    ("dots1", &qwen::DOTS1),
    ("ernie4_5", &ernie::ERNIE4_5),
    ("ernie4_5_moe", &ernie::ERNIE4_5_MOE),
    ("eurobert", &bert::EUROBERT),
    ("exaone4", &exaone::EXAONE4),
    ("exaone4_5", &exaone::EXAONE4_5),
    ("exaone_moe", &exaone::EXAONE_MOE),
    ("falcon", &falcon::FALCON),
    ("falcon_mamba", &mamba::FALCON_MAMBA),
    ("gemma", &gemma::GEMMA),
    ("gemma2", &gemma::GEMMA2),
    ("gemma3_text", &gemma::GEMMA3),
    ("gemma3n_text", &gemma::GEMMA3N),
    ("gemma4_assistant", &gemma4::ASSISTANT),
    ("gemma4_text", &gemma4::GEMMA4),
    ("gemma4_unified_assistant", &gemma4::UNIFIED_ASSISTANT),
    ("gemma4_unified_text", &gemma4::GEMMA4),
    ("glm", &glm::GLM),
    ("glm4", &glm::GLM),
    ("glm4_moe", &glm::GLM4_MOE),
    ("glm4_moe_lite", &deepseek::GLM4_MOE_LITE),
    ("glm4v", &glm::GLM4V),
    ("glm4v_moe", &glm::GLM4V),
    ("glm4v_moe_text", &glm::GLM4V_MOE_TEXT),
    ("glm5_next", &deepseek::GLM5_NEXT),
    ("glm5_next_text", &deepseek::GLM5_NEXT_TEXT),
    ("glm_moe_dsa", &deepseek::GLM_MOE_DSA),
    ("glm_ocr", &glm::GLM4V),
    ("gpt_bigcode", &gpt::GPT_BIGCODE),
    ("gpt_neox", &gpt::GPT_NEOX),
    ("gpt_oss", &gpt::GPT_OSS),
    ("granite_swa", &granite::GRANITE_SWA),
    ("granitemoe_swa", &granite::GRANITE_SWA),
    ("granitemoehybrid", &granite::HYBRID),
    ("hrm_text", &sections::HRM_TEXT),
    ("hunyuan_vl", &hunyuan::HUNYUAN_VL),
    ("hunyuan_vl_text", &hunyuan::HUNYUAN_VL_TEXT),
    ("hy_v3", &hunyuan::HY_V3),
    ("hy_v4", &deepseek::HY_V4),
    ("internlm3", &internlm::INTERNLM3),
    ("internvl_vision", &vision::INTERNVL),
    ("iquestcoder", &llama::IQUESTCODER),
    ("jais2", &llama::LLAMA),
    ("jamba", &mamba::JAMBA),
    ("kimi_k25", &deepseek::KIMI_K25),
    ("kimi_linear", &deepseek::KIMI_LINEAR),
    ("laguna", &moe::LAGUNA),
    ("lfm2", &lfm2::LFM2),
    ("lfm2_moe", &lfm2::LFM2_MOE),
    ("lfm2_vl", &lfm2::LFM2_MOE),
    ("llama", &llama::LLAMA),
    ("llama4_text", &llama4::LLAMA4),
    ("llava", &llama::LLAVA),
    ("mamba", &mamba::MAMBA),
    ("mamba2", &mamba::MAMBA2),
    ("mellum", &moe::MELLUM),
    ("mimo_v2_flash", &moe::MIMO_V2),
    ("minicpm3", &minicpm::MINICPM3),
    ("minimax", &minimax::MINIMAX),
    ("minimax_m2", &minimax::MINIMAX_M2),
    ("ministral", &mistral::MINISTRAL),
    ("ministral3", &mistral::MINISTRAL3),
    ("mistral", &mistral::MISTRAL),
    ("mistral4", &mistral::MISTRAL4),
    ("modernbert", &bert::MODERNBERT),
    ("mpt", &sections::MPT),
    ("mt5", &t5::MT5),
    ("muse_glimmer_assistant", &muse_glimmer::ASSISTANT),
    ("muse_glimmer_text", &muse_glimmer::MUSE_GLIMMER),
    ("muse_glimmer_vision", &vision::MUSE_GLIMMER),
    ("nemotron", &nemotron::NEMOTRON),
    ("nemotron_h", &nemotron_h::NEMOTRON_H),
    ("nomic_bert", &bert::NOMIC_BERT),
    ("olmo3", &olmo::OLMO3),
    ("paddleocr_vl", &ernie::PADDLEOCR_VL),
    ("paddleocr_vl_text", &ernie::ERNIE4_5),
    ("phi", &phi::PHI),
    ("phi3", &phi::PHI3),
    ("phimoe", &phi::PHIMOE),
    ("pixtral", &vision::PIXTRAL),
    ("qwen2", &qwen::QWEN2),
    ("qwen2_5_omni_text", &qwen::QWEN2),
    ("qwen2_5_vl", &qwen_vl::QWEN2_VL),
    ("qwen2_5_vl_text", &qwen_vl::QWEN2_VL_TEXT),
    ("qwen2_moe", &qwen_moe::QWEN2_MOE),
    ("qwen2_vl", &qwen_vl::QWEN2_VL),
    ("qwen2_vl_text", &qwen_vl::QWEN2_VL_TEXT),
    ("qwen3", &qwen::QWEN2),
    ("qwen3_5_moe_text", &qwen::QWEN3_5),
    ("qwen3_5_text", &qwen::QWEN3_5),
    ("qwen3_moe", &qwen_moe::QWEN3_MOE),
    ("qwen3_next", &qwen_moe::QWEN3_NEXT),
    ("qwen3_omni_moe_text", &qwen_moe::QWEN3_OMNI_MOE_TEXT),
    ("qwen3_vl_moe_text", &qwen_moe::QWEN3_VL_MOE_TEXT),
    ("qwen4_exp_text", &qwen_moe::QWEN4_EXP_TEXT),
    ("seed_oss", &llama::SEED_OSS),
    ("smollm3", &smollm::SMOLLM3),
    ("stablelm", &stablelm::STABLELM),
    ("step3p5_vision", &vision::STEP3P5),
    ("t5", &t5::T5),
    ("umt5", &t5::MT5),
    ("voxtral", &mistral::VOXTRAL),
    ("youtu", &deepseek::YOUTU),
];

/// What the class of a `model_type` does.
pub(super) fn hooks(model_type: &str) -> &'static Hooks {
    TABLE.iter().find(|(name, _)| *name == model_type).map_or(&PLAIN, |(_, hooks)| hooks)
}

#[cfg(test)]
mod tests {
    use super::TABLE;
    use crate::config::generated::classes::CLASSES;

    #[test]
    fn table_has_each_class_once_and_only_classes_that_are_known() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        for (name, _) in TABLE {
            assert!(CLASSES.iter().any(|class| class.model_type == *name), "{name}");
        }
    }
}
