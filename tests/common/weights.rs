//! Weights from a seed: the same bytes on every machine, and bits that make conversions round.
//!
//! Mostly ordinary values, mixed with ties of both 16-bit formats, subnormals, zeros, values beyond
//! F16, infinities and quiet NaNs. No signalling NaNs: what becomes of those is checked element by
//! element in `tests/kernels.rs`.

use serde::Deserialize;

/// Element type of a generated tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    I64,
    F64,
    F32,
    I32,
    /// Of codes, several to each: all bits are used.
    Words,
    Bf16,
    F16,
    I16,
    #[serde(rename = "f8_e8m0")]
    F8E8M0,
    #[serde(rename = "f8_e4m3")]
    F8E4M3,
    #[serde(rename = "f8_e5m2")]
    F8E5M2,
    I8,
    U8,
    Bool,
}

impl Dtype {
    /// The name safetensors headers use.
    pub fn name(self) -> &'static str {
        match self {
            Self::I64 => "I64",
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::I32 | Self::Words => "I32",
            Self::Bf16 => "BF16",
            Self::F16 => "F16",
            Self::I16 => "I16",
            Self::F8E8M0 => "F8_E8M0",
            Self::F8E4M3 => "F8_E4M3",
            Self::F8E5M2 => "F8_E5M2",
            Self::I8 => "I8",
            Self::U8 => "U8",
            Self::Bool => "BOOL",
        }
    }

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 | Self::Words => 4,
            Self::Bf16 | Self::F16 | Self::I16 => 2,
            Self::F8E8M0 | Self::F8E4M3 | Self::F8E5M2 | Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// Little-endian bytes of `elements` values; they depend on the seed and the tensor's name alone. With
/// `ordinary` there are only ordinary ones.
pub fn bytes(seed: u64, name: &str, dtype: Dtype, elements: usize, ordinary: bool) -> Vec<u8> {
    // FNV-1a, so that tensors of one checkpoint differ.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let mut state = seed ^ hash;
    let kind = if ordinary { 0xff << 56 } else { 0 };
    let mut random = || split_mix(&mut state) | kind;
    let mut element = || match dtype {
        Dtype::F64 => f64_bits(random()),
        Dtype::F32 => f32_bits(random()).into(),
        Dtype::Bf16 => bf16_bits(random()).into(),
        Dtype::F16 => f16_bits(random()).into(),
        Dtype::I16 | Dtype::I8 | Dtype::U8 | Dtype::Words => random(),
        Dtype::I64 | Dtype::I32 => random() % 100,
        Dtype::Bool => random() & 1,
        // Powers of two from 2^-15 to 2^16.
        Dtype::F8E8M0 => 112 + random() % 32,
        // Neither NaNs nor infinities, which are 0x7f, and from 0x7c on.
        Dtype::F8E4M3 => random() & 0xfe,
        Dtype::F8E5M2 => random() & 0xbf,
    };
    (0..elements).flat_map(|_| element().to_le_bytes().into_iter().take(dtype.size())).collect()
}

/// Little-endian bytes of `elements` values, which are `given` over and over.
pub fn given(dtype: Dtype, given: &[f64], elements: usize) -> Vec<u8> {
    let bytes = |x: &f64| match dtype {
        Dtype::F64 => x.to_le_bytes().to_vec(),
        Dtype::F32 => (*x as f32).to_le_bytes().to_vec(),
        Dtype::Bf16 => half::bf16::from_f64(*x).to_le_bytes().to_vec(),
        Dtype::F16 => half::f16::from_f64(*x).to_le_bytes().to_vec(),
        _ => (*x as i64).to_le_bytes()[..dtype.size()].to_vec(),
    };
    given.iter().cycle().take(elements).flat_map(bytes).collect()
}

/// Makes what is beyond 8, infinite or no number a value between 1 and 2, as weights are. What rounds stays.
pub fn bound(dtype: Dtype, data: &mut [u8]) {
    // The top of each element: how many bits of the fraction it holds, the exponents of 8 and of 1.
    let (size, fraction, eight, one) = match dtype {
        Dtype::F32 => (4, 7, 130, 127),
        Dtype::Bf16 => (2, 7, 130, 127),
        Dtype::F16 => (2, 10, 18, 15),
        _ => return,
    };
    for top in data.chunks_exact_mut(size).filter_map(|element| element.last_chunk_mut::<2>()) {
        let bits = u16::from_le_bytes(*top);
        let kept = bits & (0x8000 | ((1 << fraction) - 1));
        if (bits & 0x7fff) >> fraction >= eight {
            *top = (kept | one << fraction).to_le_bytes();
        }
    }
}

/// Makes integers of 64 bits those that rise by 0 to 2 at each step, as theirs say. Others stay as they are.
pub fn ascend(dtype: Dtype, data: &mut [u8]) {
    if dtype != Dtype::I64 {
        return;
    }
    let mut last = 0;
    for element in data.as_chunks_mut().0 {
        last += u64::from_le_bytes(*element) % 3;
        *element = last.to_le_bytes();
    }
}

/// Drops the sign of every element.
pub fn make_positive(dtype: Dtype, data: &mut [u8]) {
    let size = match dtype {
        Dtype::F32 => 4,
        Dtype::Bf16 | Dtype::F16 => 2,
        _ => return,
    };
    data.iter_mut().skip(size - 1).step_by(size).for_each(|top| *top &= 0x7f);
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// A value between 2^-14 and 8, one in four a tie in F32.
fn f64_bits(r: u64) -> u64 {
    let bits = r & 0x800f_ffff_ffff_ffff | (1009 + (r >> 52 & 0xf)) << 52;
    if r.is_multiple_of(4) { bits & !0x1fff_ffff | 0x1000_0000 } else { bits }
}

/// The top byte of `r` picks the kind of value, the rest its bits.
fn f32_bits(r: u64) -> u32 {
    const SPECIAL: [u32; 20] = [
        0x0000_0000, // 0
        0x8000_0000, // -0
        0x0000_0001, // smallest subnormal
        0x807f_ffff, // largest subnormal, negative
        0x3300_0000, // 2^-25: a tie between 0 and F16's smallest subnormal
        0x3300_0001, // just above it
        0x33c0_0000, // 1.5 × 2^-24: a tie between two F16 subnormals
        0x387f_e000, // a tie between F16's largest subnormal and its smallest normal
        0x477f_e000, // 65504, F16's largest
        0x477f_efff, // the largest that still rounds to it
        0x477f_f000, // 65520, the smallest that becomes F16's infinity
        0xc77f_f000,
        0x7f7f_7fff, // the largest that BF16 does not round to infinity
        0x7f7f_ffff, // the largest finite value
        0xff7f_ffff,
        0x7f80_0000, // infinity
        0xff80_0000,
        0x7fc0_0000, // the usual NaN
        0xffc0_0000,
        0x7fc1_2345, // a NaN with a payload
    ];
    let bits = r as u32;
    match r >> 56 {
        0..4 => SPECIAL[bits as usize % SPECIAL.len()],
        4..36 => ordinary_f32(bits) & !0x1fff | 0x1000, // a tie in F16
        36..68 => ordinary_f32(bits) & !0xffff | 0x8000, // a tie in BF16
        68..76 => finite(bits, 0x7f80_0000, 1 << 30),
        76..84 => bits & 0x807f_ffff | (99 + (r >> 32) as u32 % 16) << 23, // subnormal in F16
        _ => ordinary_f32(bits),
    }
}

/// Any finite value: infinities and NaNs lose the top bit of their exponent.
fn finite(bits: u32, exponent: u32, top: u32) -> u32 {
    if bits & exponent == exponent { bits & !top } else { bits }
}

/// A value between 2^-14 and 8.
fn ordinary_f32(bits: u32) -> u32 {
    bits & 0x807f_ffff | (113 + (bits >> 23 & 0xf)) << 23
}

fn bf16_bits(r: u64) -> u16 {
    const SPECIAL: [u16; 16] = [
        0x0000, 0x8000, // zeros
        0x0001, 0x807f, // subnormals
        0x3300, 0x3301, 0x33c0, // around F16's smallest subnormals
        0x477f, 0x4780, 0xc780, // around F16's largest
        0x7f7f, 0xff7f, // the largest
        0x7f80, 0xff80, // infinities
        0x7fc0, 0xffd5, // quiet NaNs
    ];
    let bits = r as u16;
    match r >> 56 {
        0..4 => SPECIAL[usize::from(bits) % SPECIAL.len()],
        4..12 => finite(bits.into(), 0x7f80, 1 << 14) as u16,
        12..28 => bits & 0x807f | (99 + (r >> 32) as u16 % 16) << 7, // subnormal in F16
        _ => bits & 0x807f | (113 + (bits >> 7 & 0xf)) << 7,         // 2^-14 to 8
    }
}

fn f16_bits(r: u64) -> u16 {
    const SPECIAL: [u16; 10] = [
        0x0000, 0x8000, // zeros
        0x0001, 0x83ff, // subnormals
        0x7bff, 0xfbff, // the largest
        0x7c00, 0xfc00, // infinities
        0x7e00, 0xfeaa, // quiet NaNs
    ];
    let bits = r as u16;
    match r >> 56 {
        0..4 => SPECIAL[usize::from(bits) % SPECIAL.len()],
        4..12 => bits & 0x83ff,                              // subnormal
        12..28 => bits & 0xbfff,                             // below 2
        _ => bits & 0x83ff | (1 + (bits >> 10 & 0xf)) << 10, // 2^-14 to 4
    }
}
