//! Checkpoints whose weights are quantized (`dequant_model` and `_generate_nvfp4_tensors` of the reference): each weight
//! becomes an expression of what is stored, and scales, zero points and the like disappear from the list.

mod method;
mod nvfp4;
mod packed;
mod scaled;
mod stored;

use crate::error::Result;

use super::Input;
use super::builder::Builder;
use super::options::FileType;
use method::Method;

/// What was found out about a model's quantization.
pub(super) struct Quantized {
    method: Method,
    repacked: nvfp4::Repacked,
}

/// Replaces quantized tensors in `input.tensors` by what they stand for.
///
/// # Errors
/// [`Error::Unsupported`](crate::error::Error::Unsupported) naming a method that cannot be read,
/// [`Error::Invalid`](crate::error::Error::Invalid) where scales and weights do not go together.
pub(super) fn dequantize(input: &mut Input) -> Result<Quantized> {
    let method = Method::read(input)?;
    let mut repacked = nvfp4::Repacked::default();
    if method.nvfp4 {
        repacked = nvfp4::take(input, &method)?;
    }
    let scale = |name: &str| name.ends_with(".weight_scale") || name.ends_with(".weight_scale_inv");
    if !method.nvfp4 || input.tensors.keys().any(|name| scale(name)) {
        scaled::dequantize(input, &method)?;
    }
    Ok(Quantized { method, repacked })
}

impl Quantized {
    /// Adds what is repacked. Answers the names of tensors that must not be multiplied by activations of four bits.
    ///
    /// # Errors
    /// If the architecture has no such tensors.
    pub(super) fn add(&mut self, input: &Input, builder: &mut Builder) -> Result<Vec<String>> {
        std::mem::take(&mut self.repacked).add(input, builder)
    }

    /// The type of the file, if what was asked for leaves it open.
    pub(super) fn file_type(&self) -> Option<FileType> {
        match self.method.name.as_deref() {
            _ if self.method.nvfp4 => Some(FileType::Nvfp4),
            Some("mxfp4") => Some(FileType::Mxfp4Moe),
            _ => None,
        }
    }
}
