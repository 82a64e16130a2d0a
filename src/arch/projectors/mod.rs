//! What turns images and sound into what a language model reads: the encoders and projectors of larger models, which
//! llama.cpp wants in a file of their own (`--mmproj`).
//!
//! A [`Projector`] is to such a file what a `Family` is to a language model's. All of them are of one GGUF
//! architecture, `clip`.

mod batch_norm;
mod builder;
mod cogvlm;
mod conformer;
mod deepseek_ocr;
mod deepseek_v4;
mod dots3;
mod dots_ocr;
mod gemma3;
mod gemma3n;
mod gemma4;
mod granite4_vision;
mod granite_speech;
mod hunyuan_vl;
mod internvl;
mod janus;
mod keys;
mod kimi_k25;
mod kimi_vl;
mod lfm2_audio;
mod lfm2_vl;
mod ling3_vl;
mod llama4;
mod minicpmv;
mod minimax_m3;
mod muse_glimmer;
mod paddleocr;
mod patches;
mod phi4;
mod pixtral;
mod projector;
mod qkv;
mod qwen2_vl;
mod qwen3_vl;
mod smolvlm;
mod step3;
mod whisper;
mod youtu_vl;

use crate::error::{Error, Result};
use crate::input::quoted;

use super::names;

pub use projector::{Described, Projector};

use projector::{Input, PLAIN};

/// Every projector.
static PROJECTORS: &[Projector] = &[
    cogvlm::COGVLM,
    deepseek_ocr::DEEPSEEK_OCR,
    deepseek_ocr::DEEPSEEK_OCR2,
    deepseek_ocr::UNLIMITED_OCR,
    deepseek_v4::DEEPSEEK_V4,
    dots3::DOTS3_NOTE,
    dots_ocr::DOTS_OCR,
    gemma3::GEMMA3,
    gemma3n::GEMMA3N,
    gemma4::GEMMA4,
    gemma4::GEMMA4_UNIFIED,
    granite4_vision::GRANITE4_VISION,
    granite_speech::GRANITE_SPEECH,
    granite_speech::GRANITE_SPEECH_PLUS,
    hunyuan_vl::HUNYUAN_VL,
    internvl::INTERNVL,
    janus::JANUS,
    kimi_k25::GLM5V,
    kimi_k25::KIMI_K25,
    kimi_vl::KIMI_VL,
    lfm2_audio::LFM2_AUDIO,
    lfm2_vl::LFM2_VL,
    ling3_vl::LING3_VL,
    llama4::LLAMA4,
    minicpmv::MINICPMV4_6,
    minimax_m3::MINIMAX_M3,
    muse_glimmer::MUSE_GLIMMER,
    paddleocr::PADDLEOCR,
    phi4::PHI4,
    pixtral::LIGHTON_OCR,
    pixtral::LLAVA,
    qwen2_vl::EXAONE4_5,
    qwen2_vl::QWEN2_VL,
    qwen2_vl::SARASHINA2,
    qwen3_vl::GLM4V,
    qwen3_vl::GLM5_NEXT,
    qwen3_vl::QWEN3_VL,
    smolvlm::IDEFICS3,
    step3::STEP3,
    whisper::AUDIO_FLAMINGO3,
    whisper::GLM_ASR,
    whisper::MERALION2,
    whisper::QWEN2_AUDIO,
    whisper::ULTRAVOX,
    whisper::VOXTRAL,
    youtu_vl::YOUTU_VL,
];

/// The projector of the model whose class, or whose vision part's, is `architecture`.
///
/// # Errors
/// [`Error::Unsupported`] if there is none.
pub fn lookup_projector(architecture: &str) -> Result<&'static Projector> {
    if let Some(projector) = find(architecture) {
        return Ok(projector);
    }
    let problem = match knows_projector(architecture) {
        true => format!(
            "the projector of {architecture} is not supported yet, though llama.cpp's convert_hf_to_gguf.py knows it"
        ),
        false => format!("{} is not known to have a projector", quoted(architecture)),
    };
    Err(Error::unsupported(problem)
        .hint("--print-supported-models lists all")
        .hint("without --mmproj, the language model is converted"))
}

/// Whether the model whose class is `architecture` has a projector that can be converted.
pub fn has_projector(architecture: &str) -> bool {
    find(architecture).is_some()
}

/// Whether the model whose class is `architecture` has a projector, as far as the reference knows.
pub fn knows_projector(architecture: &str) -> bool {
    has_projector(architecture) || names::REFERENCE_PROJECTORS.contains(&architecture)
}

fn find(architecture: &str) -> Option<&'static Projector> {
    PROJECTORS.iter().find(|projector| projector.names.contains(&architecture))
}

/// The Hugging Face names of models whose projectors can be converted.
pub fn supported_projectors() -> impl Iterator<Item = &'static str> {
    PROJECTORS.iter().flat_map(|projector| projector.names.iter().copied())
}

/// The projector of models in Mistral's own format.
pub fn projector_in_mistral_format() -> &'static Projector {
    &pixtral::PIXTRAL
}
