//! The kernels compiled for the instructions every x86-64 processor has, and once more for AVX2, which makes
//! them two to four times as fast. The code is the same, compilers vectorize it, and results do not differ.

// The one place in this crate that needs it: calling code compiled for instructions whose presence was
// checked when the program ran.
#![allow(unsafe_code)]

use super::{convert_here, decode_here, encode_here};
use crate::dtype::{Dtype, GgmlType};

/// A set of instructions that the kernels exist for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Private, because it says that this processor has it.
    avx2: bool,
}

impl Cpu {
    /// What every processor has.
    pub const PORTABLE: Self = Self { avx2: false };

    /// The most this processor has.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        return Self { avx2: is_x86_feature_detected!("avx2") };
        #[cfg(not(target_arch = "x86_64"))]
        Self::PORTABLE
    }

    /// See [`super::convert`].
    pub fn convert(self, from: Dtype, to: GgmlType, src: &[u8], dst: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: the processor has AVX2: only `best` sets this.
            return unsafe { avx2::convert(from, to, src, dst) };
        }
        convert_here(from, to, src, dst);
    }

    pub(super) fn decode(self, from: Dtype, src: &[u8], dst: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: as above.
            return unsafe { avx2::decode(from, src, dst) };
        }
        decode_here(from, src, dst);
    }

    pub(super) fn encode(self, to: GgmlType, src: &[f32], dst: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: as above.
            return unsafe { avx2::encode(to, src, dst) };
        }
        encode_here(to, src, dst);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Dtype, GgmlType, convert_here, decode_here, encode_here};

    #[target_feature(enable = "avx2")]
    pub fn convert(from: Dtype, to: GgmlType, src: &[u8], dst: &mut [u8]) {
        convert_here(from, to, src, dst);
    }

    #[target_feature(enable = "avx2")]
    pub fn decode(from: Dtype, src: &[u8], dst: &mut [f32]) {
        decode_here(from, src, dst);
    }

    #[target_feature(enable = "avx2")]
    pub fn encode(to: GgmlType, src: &[f32], dst: &mut [u8]) {
        encode_here(to, src, dst);
    }
}
