//! Element conversion, bit for bit what the reference computes.
//!
//! The reference turns every source that is neither F16 nor F32 into F32 first (torch), then into
//! the target (numpy's `astype` for F16, `gguf-py/gguf/quants.py` for BF16). The roundings are
//! the usual ones (nearest, ties to even); what NaNs become is not, and is spelled out here.

use half::{bf16, f16};

use crate::dtype::{Dtype, GgmlType};

/// Whether elements of `from` can be converted at all.
pub fn supports(from: Dtype) -> bool {
    matches!(from, Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

/// Converts little-endian elements of `from` in `src` to `to` in `dst`.
///
/// # Panics
/// If `from` is not [supported](supports) or the lengths are not those of the same number of elements.
pub fn convert(from: Dtype, to: GgmlType, src: &[u8], dst: &mut [u8]) {
    assert_eq!(src.len() as u64 / from.size() * to.bytes(1), dst.len() as u64, "source and target lengths");
    match (from, to) {
        (Dtype::F32, GgmlType::F32) | (Dtype::F16, GgmlType::F16) => dst.copy_from_slice(src),
        (Dtype::BF16, GgmlType::BF16) => each(src, dst, quiet_bf16),
        (Dtype::F32, GgmlType::F16) => each(src, dst, |b| f32_to_f16(u32::from_le_bytes(b)).to_le_bytes()),
        (Dtype::F32, GgmlType::BF16) => each(src, dst, |b| f32_to_bf16(u32::from_le_bytes(b)).to_le_bytes()),
        (Dtype::F16, GgmlType::F32) => each(src, dst, |b| f16_to_f32(u16::from_le_bytes(b)).to_le_bytes()),
        (Dtype::F16, GgmlType::BF16) => {
            each(src, dst, |b| f32_to_bf16(f16_to_f32(u16::from_le_bytes(b))).to_le_bytes());
        }
        (Dtype::BF16, GgmlType::F32) => each(src, dst, |b| bf16_to_f32(u16::from_le_bytes(b)).to_le_bytes()),
        (Dtype::BF16, GgmlType::F16) => {
            each(src, dst, |b| f32_to_f16(bf16_to_f32(u16::from_le_bytes(b))).to_le_bytes());
        }
        _ => unreachable!("callers ask `supports` first"),
    }
}

fn each<const S: usize, const D: usize>(src: &[u8], dst: &mut [u8], f: impl Fn([u8; S]) -> [u8; D]) {
    for (d, s) in dst.as_chunks_mut().0.iter_mut().zip(src.as_chunks().0) {
        *d = f(*s);
    }
}

/// numpy's conversion: round to nearest even; of a NaN the upper payload bits are kept as they are,
/// and one bit is set if none is left (otherwise it would become an infinity).
fn f32_to_f16(bits: u32) -> u16 {
    if bits & 0x7fff_ffff <= 0x7f80_0000 {
        return f16::from_f32(f32::from_bits(bits)).to_bits();
    }
    let sign = (bits >> 16) as u16 & 0x8000;
    let payload = (bits >> 13) as u16 & 0x03ff;
    sign | 0x7c00 | payload.max(1)
}

/// `quants.py`: NaNs are made quiet and truncated, everything else rounds to nearest even.
fn f32_to_bf16(bits: u32) -> u16 {
    if bits & 0x7fff_ffff > 0x7f80_0000 {
        return (bits >> 16) as u16 | 0x0040;
    }
    bf16::from_f32(f32::from_bits(bits)).to_bits()
}

/// numpy's conversion: exact; NaN payloads are kept, signalling ones stay signalling.
fn f16_to_f32(bits: u16) -> u32 {
    if bits & 0x7fff <= 0x7c00 {
        return f16::from_bits(bits).to_f32().to_bits();
    }
    u32::from(bits & 0x8000) << 16 | 0x7f80_0000 | u32::from(bits & 0x03ff) << 13
}

/// Exact: a BF16 is the upper half of an F32.
fn bf16_to_f32(bits: u16) -> u32 {
    u32::from(bits) << 16
}

/// BF16 to BF16 goes through F32 in the reference, which makes NaNs quiet.
fn quiet_bf16(bytes: [u8; 2]) -> [u8; 2] {
    let bits = u16::from_le_bytes(bytes);
    let quiet = if bits & 0x7fff > 0x7f80 { 0x0040 } else { 0 };
    (bits | quiet).to_le_bytes()
}
