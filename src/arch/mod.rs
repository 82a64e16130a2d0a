//! What a GGUF must contain: for each architecture, the key-values and the output tensors, each a lazy
//! [`TensorExpr`](crate::tensor::TensorExpr). Knows nothing of file offsets, buffers or reflinks.
//!
//! A family of architectures is one file and one line in `models`: a [`Family`] names the Hugging Face classes
//! it serves, the GGUF tensors it has, and a few functions. What families share lies here, in `keys`, `experts`,
//! `rope`, `tensors` and `pooling`.

mod adapter;
mod builder;
mod contents;
mod draft;
mod experts;
mod family;
mod fuse;
mod generated;
mod groups;
mod keys;
mod merge;
mod models;
mod mtp;
mod mxfp4;
mod options;
mod outputs;
mod pooling;
mod powf;
mod projectors;
mod quantile;
mod quantized;
mod rope;
mod spelling;
mod stray;
mod tensors;

use crate::error::{Error, Result};
use crate::input::quoted;

pub(crate) use adapter::{FACTOR_A, FACTOR_B};
pub use draft::TargetModel;
pub use family::{Family, Model, Modules};
pub use models::in_mistral_format;
pub use mtp::own_layers;
pub use options::{FileType, Mtp, Options, OutType};
pub use projectors::{
    Described, Projector, has_projector, knows_projector, lookup_projector, projector_in_mistral_format,
    supported_projectors,
};

use family::{Input, Keys, TEXT, bare};
use generated::names;
use models::FAMILIES;

/// The family that converts `architecture`.
///
/// # Errors
/// [`Error::Unsupported`] if there is none, with the nearest name there is.
pub fn lookup(architecture: &str) -> Result<&'static Family> {
    if let Some(family) = FAMILIES.iter().find(|f| f.names.contains(&architecture)) {
        return Ok(family);
    }
    let shown = quoted(architecture);
    let near =
        supported().map(|(name, _)| (strsim::damerau_levenshtein(name, shown.trim_matches('"')), name)).min();
    let (problem, report) = match names::REFERENCE_ARCHITECTURES.contains(&architecture) {
        true => (
            format!(
                "architecture {architecture} is not supported yet, though llama.cpp's convert_hf_to_gguf.py knows it"
            ),
            "if you need it, please report its name to ggraft",
        ),
        false => (
            format!("architecture {shown} is not supported"),
            "if llama.cpp's convert_hf_to_gguf.py converts this model, please report the architecture's name to ggraft; \
             if it does not, llama.cpp has to learn it first",
        ),
    };
    let error = match near {
        Some((distance, name)) if distance <= 4 => {
            Error::unsupported(problem).hint(format!("did you mean {name}?"))
        }
        Some((_, name)) => Error::unsupported(problem).hint(format!("the nearest that is: {name}")),
        None => Error::unsupported(problem),
    };
    Err(error.hint("--print-supported-models lists all").hint(report))
}

/// The family that converts the draft which is part of models of class `architecture`.
///
/// # Errors
/// [`Error::Unsupported`] if they have none.
pub fn lookup_draft(architecture: &str) -> Result<&'static Family> {
    match architecture {
        "DeepseekV4ForCausalLM" => lookup("DeepseekV4DSparkModel"),
        other => Err(Error::unsupported(format!(
            "--dspark: only DeepseekV4ForCausalLM has such a draft, this is {}",
            quoted(other)
        ))),
    }
}

/// The Hugging Face names that can be converted, each with its GGUF architecture.
pub fn supported() -> impl Iterator<Item = (&'static str, &'static str)> {
    FAMILIES.iter().flat_map(|f| f.names.iter().map(|name| (*name, f.arch)))
}
