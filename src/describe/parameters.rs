//! Parameters as the reference counts them for the size label.

use crate::metadata::ParameterCount;
use crate::tensor::OutputTensor;

/// Counts the elements of `tensors`: those of an expert tensor once per expert it is used for, i.e. divided by the
/// number of experts.
pub fn count(tensors: &[OutputTensor]) -> ParameterCount {
    if has_stray_factor(tensors) {
        return ParameterCount::default();
    }
    let mut count = ParameterCount::default();
    let (mut experts, mut expert_tensors) = (0, 0);
    for tensor in tensors {
        let size = tensor.expr.elements();
        count.total += size;
        match tensor.expr.shape() {
            [.., experts_here, rows, _] if tensor.name.contains("_exps.") => {
                let here = if tensor.name.contains(".bias") { *rows } else { *experts_here };
                count.expert += size.checked_div(here).unwrap_or_default();
                experts += here;
                expert_tensors += 1;
            }
            _ => count.shared += size,
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
