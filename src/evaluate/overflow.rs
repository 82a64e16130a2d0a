//! Numbers that are too large for F16: how many became infinite.
//!
//! Looking for infinities in what was just converted, while it is in the first-level cache, costs next to nothing;
//! where there are some, what they were made from tells which were infinite before.

use crate::dtype::{Dtype, GgmlType};
use crate::kernels;

/// Elements that are converted and looked at at a time.
const BATCH: usize = 8192;

/// [`kernels::convert`], answering how many numbers became infinite that were not.
pub fn convert(from: Dtype, to: GgmlType, src: &[u8], dst: &mut [u8]) -> u64 {
    if to != GgmlType::F16 || !exceeds_f16(from) {
        kernels::convert(from, to, src, dst);
        return 0;
    }
    let size = from.size() as usize;
    let mut count = 0;
    for (src, dst) in src.chunks(BATCH * size).zip(dst.chunks_mut(BATCH * 2)) {
        kernels::convert(from, to, src, dst);
        if kernels::has_infinite_f16(dst) {
            let mut values = vec![0.0; dst.len() / 2];
            kernels::decode(from, src, &mut values);
            count += overflows(&values, dst);
        }
    }
    count
}

/// [`kernels::encode`], answering how many numbers became infinite that were not.
pub fn encode(to: GgmlType, values: &[f32], dst: &mut [u8]) -> u64 {
    kernels::encode(to, values, dst);
    if to == GgmlType::F16 && kernels::has_infinite_f16(dst) { overflows(values, dst) } else { 0 }
}

/// Whether there are numbers of this type beyond those of F16.
fn exceeds_f16(from: Dtype) -> bool {
    matches!(from, Dtype::BF16 | Dtype::F32 | Dtype::F64 | Dtype::I32 | Dtype::I64)
}

fn overflows(values: &[f32], halves: &[u8]) -> u64 {
    let pairs = values.iter().zip(halves.as_chunks().0);
    pairs.filter(|(value, half)| value.is_finite() && kernels::is_infinite_f16(**half)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 65520 is halfway between the largest F16, 65504, and the next that there would be; ties go to the latter,
    /// whose mantissa is even.
    #[test]
    fn only_what_was_finite_overflows() {
        let values = [65504.0f32, 65519.0, 65520.0, -1e30, f32::INFINITY, f32::NAN, 0.0];
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let mut halves = [0; 14];
        assert_eq!(convert(Dtype::F32, GgmlType::F16, &bytes, &mut halves), 2);
        assert_eq!(encode(GgmlType::F16, &values, &mut halves), 2);
        assert_eq!(convert(Dtype::F32, GgmlType::BF16, &bytes, &mut halves), 0);
    }

    #[test]
    fn batches_are_put_together() {
        let mut values = vec![1.0f32; 2 * BATCH + 5];
        (values[BATCH - 1], values[BATCH], values[2 * BATCH + 4]) = (1e6, -1e6, 1e6);
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let (mut halves, mut expected) = (vec![0; 2 * values.len()], vec![0; 2 * values.len()]);
        assert_eq!(convert(Dtype::F32, GgmlType::F16, &bytes, &mut halves), 3);
        kernels::convert(Dtype::F32, GgmlType::F16, &bytes, &mut expected);
        assert_eq!(halves, expected);
    }
}
