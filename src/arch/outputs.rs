//! The output tensors of a model as they come: no two of one name, none that a reader of GGUF would not take.

use hashbrown::HashSet;

use crate::checkpoint::Checkpoint;
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::tensor::{OutputTensor, TensorExpr};

/// `GGML_MAX_DIMS`.
const MOST_DIMENSIONS: usize = 4;

/// The output tensors so far.
#[derive(Default)]
pub(super) struct Outputs {
    tensors: Vec<OutputTensor>,
    names: HashSet<String>,
}

impl Outputs {
    /// Adds a tensor under GGUF name `name`.
    ///
    /// # Errors
    /// If there is one of that name already, or no GGUF reader would take the shape.
    pub(super) fn add(
        &mut self,
        checkpoint: &Checkpoint,
        name: String,
        expr: TensorExpr,
        ggml_type: GgmlType,
    ) -> Result<()> {
        let invalid = |problem| Err(Error::invalid(&checkpoint.dir, problem));
        if !self.names.insert(name.clone()) {
            return invalid(format!("two tensors would both become {name}"));
        }
        let shape = expr.shape();
        if shape.contains(&0) {
            return invalid(format!("{name} would have no elements, its shape is {shape:?}"));
        }
        if shape.len() > MOST_DIMENSIONS {
            let problem = format!(
                "{name} would have {} dimensions, GGUF tensors have at most {MOST_DIMENSIONS}",
                shape.len()
            );
            return Err(Error::unsupported(problem).at(checkpoint.dir.path()));
        }
        self.tensors.push(OutputTensor { name, expr, ggml_type });
        Ok(())
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.tensors.len()
    }

    /// The tensors in order.
    pub(super) fn into_tensors(self) -> Vec<OutputTensor> {
        self.tensors
    }
}
