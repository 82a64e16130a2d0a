//! Proves a plan sound before anything is written.

use super::{Action, Output, Plan};
use crate::error::{Error, Result};

impl Plan {
    /// Checks what readers and the writer rely on: every byte of every output is covered exactly
    /// once, tensors lie where the header says (contiguous up to padding), clones are whole blocks.
    ///
    /// # Errors
    /// [`Error::Internal`] naming the first violation.
    pub fn check(&self) -> Result<()> {
        self.outputs.iter().try_for_each(|output| {
            check_output(output, self.block, self.sources.len())
                .map_err(|problem| Error::Internal(format!("plan for {}: {problem}", output.path.display())))
        })
    }
}

fn check_output(output: &Output, block: u64, sources: usize) -> Result<(), String> {
    let mut at = 0u64;
    for step in &output.steps {
        if step.start != at || step.len == 0 {
            return Err(format!("step at {} of {} bytes, expected one at {at}", step.start, step.len));
        }
        at = step.start.checked_add(step.len).ok_or("a step ends beyond 2^64")?;
        let consistent = match &step.action {
            Action::Clone { file, offset } => {
                *file < sources && [step.start, step.len, *offset].iter().all(|n| n % block == 0)
            }
            Action::Copy { walk, first } => {
                walk.file < sources
                    && step.len % walk.dtype.size() == 0
                    && first + step.len / walk.dtype.size() <= walk.elements()
            }
            Action::Encode { walk, first, to } => {
                let packed = if walk.is_packed() { 2 } else { 1 };
                walk.file < sources
                    && step.len % to.type_size() == 0
                    && first + step.len / to.type_size() * to.block_size() / packed <= walk.elements()
            }
            Action::Bytes(bytes) => bytes.len() as u64 == step.len,
            Action::Zero => true,
        };
        if !consistent {
            return Err(format!("step at {} contradicts itself: {:?}", step.start, step.action));
        }
    }
    if at != output.len {
        return Err(format!("steps end at {at}, the file at {}", output.len));
    }
    let mut expected = output.data_start;
    for tensor in &output.tensors {
        if tensor.offset != expected || !expected.is_multiple_of(output.alignment) {
            return Err(format!(
                "tensor {} at {}, readers expect it at {expected}",
                tensor.name, tensor.offset
            ));
        }
        expected += tensor.len.next_multiple_of(output.alignment);
    }
    if expected != output.len {
        return Err(format!("tensors end at {expected}, the file at {}", output.len));
    }
    Ok(())
}
