//! How far two stretches of a tensor are apart.

use crate::dtype::{Dtype, GgmlType};
use crate::ggml_types::TypeInfo;
use crate::kernels;

/// The difference of two stretches of bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distance {
    /// How many bytes differ.
    pub bytes: u64,
    /// The first byte of the tensor that does.
    pub first: Option<u64>,
    /// The largest difference of two numbers; NaN if one of two is no number and the other is. None if nothing differs in value, or
    /// the type's numbers are not read.
    pub largest: Option<f64>,
}

impl Distance {
    /// Adds what differs between `a` and `b`, as long as each other, which are bytes of a tensor from byte `at` on.
    pub fn add(&mut self, type_id: u32, at: u64, a: &[u8], b: &[u8]) {
        let mut differing = a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b).map(|(i, _)| i as u64);
        let Some(first) = differing.next() else { return };
        self.merge(&Self { bytes: 1 + differing.count() as u64, first: Some(at + first), largest: None });
        let size = TypeInfo::of(type_id).filter(|known| known.block == 1).map_or(0, |known| known.bytes);
        if let Some(skip) = size.checked_sub(1).map(|_| (size - at % size) % size) {
            let cut = |bytes: &[u8]| values(type_id, bytes.get(skip as usize..).unwrap_or_default());
            let largest = cut(a).into_iter().zip(cut(b)).map(|(a, b)| apart(a, b)).reduce(larger);
            self.largest = [self.largest, largest].into_iter().flatten().reduce(larger);
        }
    }

    /// Adds what was found elsewhere in the tensor.
    pub fn merge(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.largest = [self.largest, other.largest].into_iter().flatten().reduce(larger);
    }
}

/// The larger of two differences, NaN being the largest.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

fn apart(a: f64, b: f64) -> f64 {
    if a == b || a.is_nan() && b.is_nan() { 0.0 } else { (a - b).abs() }
}

/// The numbers that `bytes` are, as far as the type has numbers that stand alone.
fn values(type_id: u32, bytes: &[u8]) -> Vec<f64> {
    fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)).collect()
    }
    let float = GgmlType::ALL.into_iter().find(|t| *t as u32 == type_id).and_then(GgmlType::same_bits);
    if let Some(dtype @ (Dtype::F32 | Dtype::F16 | Dtype::BF16)) = float {
        let count = bytes.len() / dtype.size() as usize;
        let mut floats = vec![0.0; count];
        kernels::decode(dtype, &bytes[..count * dtype.size() as usize], &mut floats);
        return floats.into_iter().map(f64::from).collect();
    }
    match TypeInfo::of(type_id).map(|known| known.name) {
        Some("I8") => each(bytes, |b| f64::from(i8::from_le_bytes(b))),
        Some("I16") => each(bytes, |b| f64::from(i16::from_le_bytes(b))),
        Some("I32") => each(bytes, |b| f64::from(i32::from_le_bytes(b))),
        Some("I64") => each(bytes, |b| i64::from_le_bytes(b) as f64),
        Some("F64") => each(bytes, f64::from_le_bytes),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(type_id: u32, at: u64, a: &[u8], b: &[u8]) -> Distance {
        let mut distance = Distance::default();
        distance.add(type_id, at, a, b);
        distance
    }

    #[test]
    fn numbers_are_as_far_apart_as_they_are() {
        let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        let (a, b) = (bytes(&[1.0, -2.0, 3.0]), bytes(&[1.0, 2.0, 3.0]));
        assert_eq!(distance(0, 8, &a, &b), Distance { bytes: 1, first: Some(15), largest: Some(4.0) });
        // From the middle of a number on: only whole ones are compared.
        assert_eq!(distance(0, 2, &a[2..], &b[2..]).largest, Some(4.0));
        assert_eq!(distance(0, 0, &a, &a), Distance::default());
        assert_eq!(distance(24, 0, &[0, 127], &[255, 128]).largest, Some(255.0));
        assert_eq!(distance(12, 0, &[0, 1], &[0, 2]), Distance { bytes: 1, first: Some(1), largest: None });
        assert!(
            distance(0, 0, &bytes(&[f32::NAN, 1.0]), &bytes(&[0.0, 3.0])).largest.is_some_and(f64::is_nan)
        );
        assert_eq!(distance(0, 0, &bytes(&[0.0]), &bytes(&[-0.0])).largest, Some(0.0));
    }
}
