//! Parameters as the reference counts them for the size label.

use crate::arch::{FACTOR_A, FACTOR_B};
use crate::metadata::ParameterCount;
use crate::tensor::OutputTensor;

/// Counts the elements of `tensors`: those of an expert tensor once per expert it is used for, i.e. divided by the
/// number of experts. A pair of an adapter's factors counts as what it is the product of.
pub fn count(tensors: &[OutputTensor]) -> ParameterCount {
    if has_stray_factor(tensors) {
        return ParameterCount::default();
    }
    let mut count = ParameterCount::default();
    let (mut experts, mut expert_tensors) = (0, 0);
    let mut columns = None;
    for tensor in tensors {
        let mut shape = tensor.expr.shape().to_vec();
        if tensor.name.ends_with(FACTOR_A) {
            count.of_adapter = true;
            columns = shape.last().copied();
            continue;
        }
        if let (true, Some(columns), Some(last)) =
            (tensor.name.ends_with(FACTOR_B), columns, shape.last_mut())
        {
            *last = columns;
        }
        let size = shape.iter().fold(1, |n: u64, len| n.saturating_mul(*len));
        count.total = count.total.saturating_add(size);
        match shape.as_slice() {
            [.., experts_here, rows, _] if tensor.name.contains("_exps.") => {
                let here = if tensor.name.contains(".bias") { *rows } else { *experts_here };
                count.expert = count.expert.saturating_add(size.checked_div(here).unwrap_or_default());
                experts += here;
                expert_tensors += 1;
            }
            _ => count.shared = count.shared.saturating_add(size),
        }
    }
    count.expert_count = u64::checked_div(experts, expert_tensors).unwrap_or_default();
    count
}

/// Whether the second factor of a product (`.lora_b`) comes otherwise than right after the first. The reference then counts nothing.
fn has_stray_factor(tensors: &[OutputTensor]) -> bool {
    let mut first = None;
    tensors.iter().any(|tensor| {
        if let Some(stem) = tensor.name.strip_suffix(".lora_a") {
            first = Some(stem);
        }
        tensor.name.strip_suffix(".lora_b").is_some_and(|stem| first != Some(stem))
    })
}
