//! What turns images and sound into what a language model reads: the encoders and projectors of larger models, which
//! llama.cpp wants in a file of their own (`--mmproj`).
//!
//! A [`Projector`] is to such a file what a `Family` is to a language model's. All of them are of one GGUF
//! architecture, `clip`.

mod builder;
mod gemma3;
mod internvl;
mod keys;
mod pixtral;
mod projector;
mod qkv;
mod qwen2_vl;
mod qwen3_vl;
mod smolvlm;

use crate::error::{Error, Result};
use crate::input::quoted;

use super::names;

pub use projector::{Described, Projector};

use projector::PLAIN;

/// Every projector.
static PROJECTORS: &[Projector] = &[
    gemma3::GEMMA3,
    internvl::INTERNVL,
    pixtral::LIGHTON_OCR,
    pixtral::LLAVA,
    qwen2_vl::EXAONE4_5,
    qwen2_vl::QWEN2_VL,
    qwen2_vl::SARASHINA2,
    qwen3_vl::GLM4V,
    qwen3_vl::GLM5_NEXT,
    qwen3_vl::QWEN3_VL,
    smolvlm::IDEFICS3,
];

/// The projector of the model whose class, or whose vision part's, is `architecture`.
///
/// # Errors
/// [`Error::Unsupported`] if there is none.
pub fn lookup_projector(architecture: &str) -> Result<&'static Projector> {
    if let Some(projector) = find(architecture) {
        return Ok(projector);
    }
    let problem = match names::REFERENCE_PROJECTORS.contains(&architecture) {
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
