//! What each range of the files should hold: the model's tensors, where the files have them.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Difference;
use crate::checkpoint::Checkpoint;
use crate::dtype::GgmlType;
use crate::error::Result;
use crate::gguf::{Gguf, StoredTensor};
use crate::plan::{Action, NO_SOURCE, Output, Placed, Step, steps_of};
use crate::tensor::OutputTensor;

/// An output for each of `files`, whose steps cover its tensors and what is between and behind them: zeros. Tensors that
/// cannot be compared are added to `differences`.
///
/// # Errors
/// If a tensor of the model cannot be read.
pub fn outputs(
    files: &[(PathBuf, Gguf)],
    checkpoint: &Checkpoint,
    tensors: Vec<OutputTensor>,
    differences: &mut Vec<Difference>,
) -> Result<Vec<Output>> {
    let mut expected: HashMap<String, OutputTensor> =
        tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    let mut outputs = Vec::with_capacity(files.len());
    for (path, gguf) in files {
        let mut output = Output {
            path: path.clone(),
            len: gguf.len,
            data_start: gguf.data_start,
            alignment: gguf.alignment,
            tensors: Vec::with_capacity(gguf.tensors.len()),
            steps: Vec::new(),
            like: None,
        };
        let mut at = gguf.data_start;
        for stored in &gguf.tensors {
            zeros(&mut output, at, stored.offset);
            at = stored.offset + stored.len.unwrap_or(0);
            add(&mut output, stored, expected.remove(&stored.name), checkpoint, differences)?;
        }
        zeros(&mut output, at, gguf.len);
        outputs.push(output);
    }
    let mut missing: Vec<String> = expected.into_keys().collect();
    missing.sort_unstable();
    differences
        .extend(missing.into_iter().map(|name| Difference::Tensor { name, problem: "is missing".into() }));
    Ok(outputs)
}

fn add(
    output: &mut Output,
    stored: &StoredTensor,
    expected: Option<OutputTensor>,
    checkpoint: &Checkpoint,
    differences: &mut Vec<Difference>,
) -> Result<()> {
    let len = stored.len.unwrap_or(0);
    let skip = |output: &mut Output| {
        let action = Action::Clone { file: NO_SOURCE, offset: 0 };
        if len > 0 {
            output.steps.push(Step { start: stored.offset, len, action, reason: None });
        }
    };
    let mut differs = |output: &mut Output, problem: String| {
        differences.push(Difference::Tensor { name: stored.name.clone(), problem });
        skip(output);
        Ok(())
    };
    let Some(mut tensor) = expected else { return differs(output, "the model makes no such tensor".into()) };
    if tensor.expr.shape() != stored.shape {
        let problem = format!("expected shape {:?}, found {:?}", tensor.expr.shape(), stored.shape);
        return differs(output, problem);
    }
    let Some(found) = GgmlType::ALL.into_iter().find(|t| *t as u32 == stored.type_id) else {
        let problem = format!("is of type {}, which cannot be computed from the model", stored.type_id);
        return differs(output, problem);
    };
    // The type is a choice, save where blocks of codes are only moved.
    let packed = (found.is_repacked() || tensor.ggml_type.is_repacked()) && found != tensor.ggml_type;
    if packed {
        return differs(output, format!("expected type {}, found {}", tensor.ggml_type.name(), found.name()));
    }
    tensor.ggml_type = found;
    let placed = Placed {
        name: stored.name.clone(),
        shape: stored.shape.clone(),
        dtype: found.name(),
        offset: stored.offset,
        len,
    };
    output.tensors.push(placed);
    output.steps.extend(steps_of(&tensor, checkpoint, stored.offset)?);
    Ok(())
}

fn zeros(output: &mut Output, start: u64, end: u64) {
    if end > start {
        output.steps.push(Step { start, len: end - start, action: Action::Zero, reason: None });
    }
}
