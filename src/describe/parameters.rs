//! Parameters as the reference counts them for the size label.

use crate::metadata::ParameterCount;
use crate::tensor::OutputTensor;

/// Counts the elements of `tensors`: those of an expert tensor once per expert it is used for, i.e. divided by the
/// number of experts.
pub fn count(tensors: &[OutputTensor]) -> ParameterCount {
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
