//! Proves a plan sound before anything is written.

use super::{Action, Output, Pattern, Plan, Step};
use crate::dtype::Dtype;
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
    let at = Checker { block, sources, further: 0, in_pattern: false }.end(&output.steps, 0)?;
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

/// Checks steps, wherever they are.
#[derive(Clone, Copy)]
struct Checker {
    block: u64,
    sources: usize,
    /// How far on in the output the last repetition of all patterns around is.
    further: u64,
    in_pattern: bool,
}

impl Checker {
    /// Where `steps` end, which begin at byte `at`.
    fn end(self, steps: &[Step], mut at: u64) -> Result<u64, String> {
        for step in steps {
            if step.start != at || step.len == 0 {
                return Err(format!("step at {} of {} bytes, expected one at {at}", step.start, step.len));
            }
            at = step.start.checked_add(step.len).ok_or("a step ends beyond 2^64")?;
            let consistent = match &step.action {
                Action::Repeat(pattern) => self.pattern(step, pattern)?,
                _ => self.is_consistent(step).unwrap_or(false),
            };
            if !consistent {
                return Err(format!("step at {} contradicts itself: {:?}", step.start, step.action));
            }
        }
        Ok(at)
    }

    /// Whether the parts of a step fit together; none if they are beyond all numbers.
    fn is_consistent(self, step: &Step) -> Option<bool> {
        let last = |first: u64, elements: u64| first.checked_add(elements);
        Some(match &step.action {
            Action::Clone { file, offset } => {
                *file < self.sources && [step.start, step.len, *offset].iter().all(|n| n % self.block == 0)
            }
            Action::Copy { file, offset } => *file < self.sources && offset.checked_add(step.len).is_some(),
            Action::Gather { walk, first, quiet } => {
                let (size, len) = (walk.dtype.size(), self.further.checked_add(step.len)?);
                walk.file < self.sources
                    && step.len.is_multiple_of(size)
                    && self.further.is_multiple_of(size)
                    && last(*first, len / size)? <= walk.elements()
                    && walk.arithmetic.is_empty()
                    && (walk.dtype == Dtype::BF16 || !quiet)
            }
            Action::Encode { walk, first, to } => {
                let packed = if walk.is_packed() { 2 } else { 1 };
                let elements = step.len / to.type_size() * to.block_size() / packed;
                !self.in_pattern
                    && walk.file < self.sources
                    && step.len.is_multiple_of(to.type_size())
                    && last(*first, elements)? <= walk.elements()
            }
            Action::Bytes(bytes) => !self.in_pattern && bytes.len() as u64 == step.len,
            Action::Zero => !self.in_pattern,
            Action::Repeat(_) => false,
        })
    }

    /// Whether a pattern fills its step: each repetition begins where the one before ends, and its clones are whole blocks.
    fn pattern(self, step: &Step, pattern: &Pattern) -> Result<bool, String> {
        let strides = [pattern.stride, pattern.source_stride];
        if pattern.stride.checked_mul(pattern.count) != Some(step.len)
            || strides.iter().any(|stride| stride % self.block != 0)
        {
            return Ok(false);
        }
        let last = (pattern.count - 1).checked_mul(pattern.stride).and_then(|n| n.checked_add(self.further));
        let further = last.ok_or("a pattern ends beyond 2^64")?;
        let end = Self { further, in_pattern: true, ..self }.end(&pattern.steps, step.start)?;
        Ok(end == step.start + pattern.stride)
    }
}
