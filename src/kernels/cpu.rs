//! Which kernels this processor can run: those for the instructions that every processor has, or the ones of
//! [`avx2`](super::avx2), which are two to six times as fast. Results do not differ.

// Calling code compiled for instructions whose presence was checked when the program ran.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::{
    add_products_here, convert_here, decode_here, encode_here, has_infinite_f16_here, multiply_here,
    quiet_bf16_here, scale_f8_e4m3_here, unpack_here,
};
use crate::dtype::{Dtype, GgmlType, Packing};

/// A set of instructions that the kernels exist for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Private, because it says that this processor has them: AVX2 and F16C.
    avx2: bool,
}

impl Cpu {
    /// What every processor has.
    pub const PORTABLE: Self = Self { avx2: false };

    /// The most this processor has.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        return Self { avx2: is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") };
        #[cfg(not(target_arch = "x86_64"))]
        Self::PORTABLE
    }

    /// See [`super::convert`].
    pub fn convert(self, from: Dtype, to: GgmlType, src: &[u8], dst: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: the processor has AVX2 and F16C: only `best` sets this.
            return unsafe { avx2::convert(from, to, src, dst) };
        }
        let decode = |src: &[u8], dst: &mut [f32]| decode_here(from, src, dst);
        convert_here(from, to, src, dst, decode, |src, dst| encode_here(to, src, dst));
    }

    /// See [`super::quiet_bf16`].
    pub fn quiet_bf16(self, elements: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: as above.
            return unsafe { avx2::quiet_bf16(elements) };
        }
        quiet_bf16_here(elements);
    }

    /// See [`super::has_infinite_f16`].
    pub fn has_infinite_f16(self, elements: &[u8]) -> bool {
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: as above.
            return unsafe { avx2::has_infinite_f16(elements) };
        }
        has_infinite_f16_here(elements)
    }

    /// See [`super::unpack`].
    pub fn unpack(self, packing: Packing, src: &[u8], skip: usize, dst: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: as above.
            return unsafe { avx2::unpack(packing, src, skip, dst) };
        }
        unpack_here(packing, src, skip, dst);
    }

    pub(super) fn multiply(self, values: &mut [f32], factor: f32) {
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: as above.
            return unsafe { avx2::multiply(values, factor) };
        }
        multiply_here(values, factor);
    }

    /// See [`super::add_products`].
    pub fn add_products(self, sums: &mut [f32], factors: &[f32], matrix: &[f32], stride: usize) {
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: as above.
            return unsafe { avx2::add_products(sums, factors, matrix, stride) };
        }
        add_products_here(sums, factors, matrix, stride);
    }

    /// See [`super::scale_f8_e4m3`].
    pub fn scale_f8_e4m3(self, src: &[u8], factor: f32, dst: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: as above.
            return unsafe { avx2::scale_f8_e4m3(src, factor, dst) };
        }
        scale_f8_e4m3_here(src, factor, dst);
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
