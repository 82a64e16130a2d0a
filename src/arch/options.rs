//! What can be asked for: element types, and which layers.

use crate::dtype::GgmlType;

/// What to make of a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The element type.
    pub out: OutType,
    /// Q8_0 for matrices that are FP8 in the checkpoint.
    pub fp8_as_q8: bool,
    /// One matrix for query, key and value, where the architecture knows it.
    pub fuse_qkv: bool,
    /// One stack for the experts' gate and up matrices, where the architecture knows it.
    pub fuse_gate_up_exps: bool,
    /// Which layers.
    pub mtp: Mtp,
    /// The model's own draft instead of the model ([`super::lookup_draft`]).
    pub dspark: bool,
    /// The dense layers that sentence-transformers puts after the model, too.
    pub dense_modules: bool,
    /// Only the key-values are wanted. The tensors are not looked at, and need not be any that can be converted.
    pub vocab_only: bool,
}

/// The element type asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum OutType {
    F32,
    F16,
    Bf16,
    Q8_0,
    Tq1_0,
    Tq2_0,
    /// That of the first matrix that is bf16 or f16; f16 if there is none.
    #[default]
    Auto,
}

impl OutType {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::F32, Self::F16, Self::Bf16, Self::Q8_0, Self::Tq1_0, Self::Tq2_0, Self::Auto];

    /// The type of the file; none where the checkpoint decides.
    pub fn file_type(self) -> Option<FileType> {
        match self {
            Self::F32 => Some(FileType::F32),
            Self::F16 => Some(FileType::F16),
            Self::Bf16 => Some(FileType::Bf16),
            Self::Q8_0 => Some(FileType::Q8_0),
            Self::Tq1_0 => Some(FileType::Tq1_0),
            Self::Tq2_0 => Some(FileType::Tq2_0),
            Self::Auto => None,
        }
    }
}

/// What becomes of layers for multi-token prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mtp {
    /// They are layers like others.
    #[default]
    Keep,
    /// They are all that is written.
    Only,
    /// They are left out.
    Drop,
}

/// The predominant element type of a file; the discriminants are llama.cpp's (`enum llama_ftype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(u32)]
pub enum FileType {
    F32 = 0,
    F16 = 1,
    Q8_0 = 7,
    Bf16 = 32,
    Tq1_0 = 36,
    Tq2_0 = 37,
    Mxfp4Moe = 38,
    Nvfp4 = 39,
}

impl FileType {
    /// The name the reference puts in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mxfp4Moe => "MXFP4_MOE",
            other => other.ggml_type().name(),
        }
    }

    pub(super) fn ggml_type(self) -> GgmlType {
        match self {
            Self::F32 => GgmlType::F32,
            Self::F16 => GgmlType::F16,
            Self::Q8_0 => GgmlType::Q8_0,
            Self::Bf16 => GgmlType::BF16,
            Self::Mxfp4Moe => GgmlType::MXFP4,
            Self::Nvfp4 => GgmlType::NVFP4,
            Self::Tq1_0 => GgmlType::TQ1_0,
            Self::Tq2_0 => GgmlType::TQ2_0,
        }
    }
}
