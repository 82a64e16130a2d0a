//! Element types: what safetensors stores ([`Dtype`], and integers of fewer bits by [`Packing`]) and what GGUF stores
//! ([`GgmlType`]).

use crate::ggml_types::TypeInfo;

/// Element type of a safetensors tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Dtype {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F8E4M3,
    F8E5M2,
    F16,
    BF16,
    F32,
    F64,
    F8E8M0,
    /// This one and those below can be moved, but not converted.
    F4,
    F6E2M3,
    F6E3M2,
    F8E4M3Fnuz,
    F8E5M2Fnuz,
    C64,
}

impl Dtype {
    /// Every dtype with the name safetensors headers use for it.
    const NAMES: [(Self, &'static str); 22] = [
        (Self::Bool, "BOOL"),
        (Self::U8, "U8"),
        (Self::I8, "I8"),
        (Self::U16, "U16"),
        (Self::I16, "I16"),
        (Self::U32, "U32"),
        (Self::I32, "I32"),
        (Self::U64, "U64"),
        (Self::I64, "I64"),
        (Self::F8E4M3, "F8_E4M3"),
        (Self::F8E5M2, "F8_E5M2"),
        (Self::F16, "F16"),
        (Self::BF16, "BF16"),
        (Self::F32, "F32"),
        (Self::F64, "F64"),
        (Self::F4, "F4"),
        (Self::F6E2M3, "F6_E2M3"),
        (Self::F6E3M2, "F6_E3M2"),
        (Self::F8E8M0, "F8_E8M0"),
        (Self::F8E4M3Fnuz, "F8_E4M3FNUZ"),
        (Self::F8E5M2Fnuz, "F8_E5M2FNUZ"),
        (Self::C64, "C64"),
    ];

    /// The dtype a safetensors header calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(d, _)| *d)
    }

    /// The name safetensors headers use.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(d, _)| *d == self).map_or("?", |(_, n)| n)
    }

    /// Whether elements can be read, and not only moved with their neighbours.
    pub fn is_readable(self) -> bool {
        use Dtype::{C64, F4, F6E2M3, F6E3M2, F8E4M3Fnuz, F8E5M2Fnuz};
        !matches!(self, F4 | F6E2M3 | F6E3M2 | F8E4M3Fnuz | F8E5M2Fnuz | C64)
    }

    /// Bits per element.
    pub fn bits(self) -> u64 {
        match self {
            Self::F4 => 4,
            Self::F6E2M3 | Self::F6E3M2 => 6,
            Self::Bool | Self::U8 | Self::I8 | Self::F8E4M3 | Self::F8E5M2 => 8,
            Self::F8E8M0 | Self::F8E4M3Fnuz | Self::F8E5M2Fnuz => 8,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 16,
            Self::U32 | Self::I32 | Self::F32 => 32,
            Self::U64 | Self::I64 | Self::F64 | Self::C64 => 64,
        }
    }

    /// Bytes per element, of those with less than one byte: one.
    pub fn size(self) -> u64 {
        self.bits().div_ceil(8)
    }
}

/// How unsigned integers of few bits lie in little-endian words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Bits of each, 1 to 8.
    pub bits: u32,
    /// Bytes of a word, 1 to 4. Bits that are left over in it, the highest, are not used.
    pub word: u32,
    /// Whether the first is in the highest bits instead of the lowest. Then none are left over.
    pub high_first: bool,
}

impl Packing {
    /// Integers of `bits` bits in words of 32 bits, from the lowest bits on.
    pub const fn words(bits: u32) -> Self {
        Self { bits, word: 4, high_first: false }
    }

    /// Integers of `bits` bits in bytes, from the lowest bits on.
    pub const fn bytes(bits: u32) -> Self {
        Self { bits, word: 1, high_first: false }
    }

    /// How many are in a word.
    pub fn per_word(self) -> u64 {
        u64::from(8 * self.word / self.bits)
    }
}

/// Tensor type of a GGUF file; the discriminants are ggml's (`enum ggml_type` in ggml.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, non_camel_case_types)]
#[repr(u32)]
pub enum GgmlType {
    F32 = 0,
    F16 = 1,
    Q8_0 = 8,
    I32 = 26,
    I64 = 27,
    BF16 = 30,
    TQ1_0 = 34,
    TQ2_0 = 35,
    MXFP4 = 39,
    NVFP4 = 40,
}

impl GgmlType {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::F32,
        Self::F16,
        Self::Q8_0,
        Self::I32,
        Self::I64,
        Self::BF16,
        Self::TQ1_0,
        Self::TQ2_0,
        Self::MXFP4,
        Self::NVFP4,
    ];

    /// Whether values are only moved into it, from sources that have it already.
    pub fn is_repacked(self) -> bool {
        matches!(self, Self::MXFP4 | Self::NVFP4)
    }

    /// What is known of the type.
    pub fn info(self) -> &'static TypeInfo {
        match self {
            Self::F32 => const { TypeInfo::known(Self::F32 as u32) },
            Self::F16 => const { TypeInfo::known(Self::F16 as u32) },
            Self::Q8_0 => const { TypeInfo::known(Self::Q8_0 as u32) },
            Self::I32 => const { TypeInfo::known(Self::I32 as u32) },
            Self::I64 => const { TypeInfo::known(Self::I64 as u32) },
            Self::BF16 => const { TypeInfo::known(Self::BF16 as u32) },
            Self::TQ1_0 => const { TypeInfo::known(Self::TQ1_0 as u32) },
            Self::TQ2_0 => const { TypeInfo::known(Self::TQ2_0 as u32) },
            Self::MXFP4 => const { TypeInfo::known(Self::MXFP4 as u32) },
            Self::NVFP4 => const { TypeInfo::known(Self::NVFP4 as u32) },
        }
    }

    /// Elements per block; rows are a whole number of blocks.
    pub fn block_size(self) -> u64 {
        self.info().block
    }

    /// Bytes per block.
    pub fn type_size(self) -> u64 {
        self.info().bytes
    }

    /// Bytes of a tensor of `elements` elements, which are a whole number of blocks.
    pub fn bytes(self, elements: u64) -> u64 {
        elements / self.block_size() * self.type_size()
    }

    /// The name llama.cpp prints.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The source dtype with the same bits, if there is one.
    pub fn same_bits(self) -> Option<Dtype> {
        match self {
            Self::F32 => Some(Dtype::F32),
            Self::F16 => Some(Dtype::F16),
            Self::BF16 => Some(Dtype::BF16),
            Self::I32 => Some(Dtype::I32),
            Self::I64 => Some(Dtype::I64),
            Self::Q8_0 | Self::TQ1_0 | Self::TQ2_0 | Self::MXFP4 | Self::NVFP4 => None,
        }
    }
}
