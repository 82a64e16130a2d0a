//! Checkpoints whose weights are quantized (`dequant_model` and `_generate_nvfp4_tensors` of the reference): each weight
//! becomes an expression of what is stored, and scales, zero points and the like disappear from the list.

mod awq;
mod bitsandbytes;
mod method;
mod mlx;
mod nvfp4;
mod packed;
mod scaled;
mod stored;
mod unsupported;

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
        by_method(input, &method)?;
    }
    Ok(Quantized { method, repacked })
}

/// Replaces what is quantized by the method that the model names, or that of MLX, which has none.
fn by_method(input: &mut Input, method: &Method) -> Result<()> {
    if (input.family.dequantize)(input)? {
        return Ok(());
    }
    if let Some(settings) = mlx::settings(input)?.filter(|_| method.name.is_none()) {
        return mlx::dequantize(input, &settings);
    }
    let config = &method.config;
    match method.name.as_deref() {
        None => Ok(()),
        Some(name) if input.family.packed.contains(&name) => Ok(()),
        Some("awq") => awq::dequantize(input, config),
        Some("bitnet") => packed::bitnet(input),
        Some("bitsandbytes") => bitsandbytes::dequantize(input),
        Some("compressed-tensors") if method.nvfp4_compressed => Ok(()),
        Some("compressed-tensors") => scaled::compressed_tensors(input, config),
        Some("fp8") => scaled::fp8(input, config),
        Some("gptq") => packed::gptq(input, config),
        Some("modelopt") => scaled::modelopt(input),
        Some(name) => Err(unsupported::method(input, method, name)),
    }
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
