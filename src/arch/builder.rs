//! Collects a model's output tensors: names them, types them, and holds experts back until a layer's
//! are complete.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::input::quoted;
use crate::tensor::{OutputTensor, TensorExpr};

use super::experts::Experts;
use super::spelling::Spelling;
use super::tensors::ggml_type;
use super::{FileType, Input};

/// `GGML_MAX_DIMS`.
const MOST_DIMENSIONS: usize = 4;

/// A tensor on its way from the checkpoint to the GGUF.
pub(super) struct Tensor {
    /// Its name in the checkpoint.
    pub name: String,
    /// The first number in that name, which is nearly always the block's.
    pub block: Option<u64>,
    pub expr: TensorExpr,
}

/// The output tensors so far.
pub(super) struct Builder {
    /// The model directory, for messages.
    dir: PathBuf,
    spelling: Spelling,
    ftype: FileType,
    arch: &'static str,
    tensors: Vec<OutputTensor>,
    names: HashSet<String>,
    pub experts: Experts,
}

impl Builder {
    pub(super) fn new(input: &Input) -> Self {
        Self {
            dir: input.checkpoint.dir.clone(),
            spelling: Spelling::new(input.family.tensors, input.blocks),
            ftype: input.ftype,
            arch: input.family.arch,
            tensors: Vec::new(),
            names: HashSet::new(),
            experts: Experts::default(),
        }
    }

    /// Adds a tensor under the GGUF name for its checkpoint name.
    ///
    /// # Errors
    /// If the architecture has no such tensor, or has it already.
    pub(super) fn add(&mut self, tensor: Tensor) -> Result<()> {
        let Some(name) = self.spelling.resolve(&tensor.name) else {
            return Err(self.unsupported(format!(
                "tensor {} is none that architecture {} has; does config.json name the right one?",
                quoted(&tensor.name),
                self.arch
            )));
        };
        self.add_as(name, tensor.block, tensor.expr)
    }

    /// Adds a tensor under GGUF name `name`.
    ///
    /// # Errors
    /// If there is one of that name already, or no GGUF reader would take the shape.
    pub(super) fn add_as(&mut self, name: String, block: Option<u64>, expr: TensorExpr) -> Result<()> {
        if !self.names.insert(name.clone()) {
            return Err(self.invalid(format!("two tensors would both become {name}")));
        }
        let shape = expr.shape();
        if shape.contains(&0) {
            return Err(self.invalid(format!("{name} would have no elements, its shape is {shape:?}")));
        }
        if shape.len() > MOST_DIMENSIONS {
            return Err(self.unsupported(format!(
                "{name} would have {} dimensions, GGUF tensors have at most {MOST_DIMENSIONS}",
                shape.len()
            )));
        }
        let ggml_type = ggml_type(&name, block, expr.shape(), self.ftype);
        self.tensors.push(OutputTensor { name, expr, ggml_type });
        Ok(())
    }

    /// An error about the checkpoint.
    pub(super) fn invalid(&self, problem: impl Into<String>) -> Error {
        Error::invalid(&self.dir, problem)
    }

    fn unsupported(&self, problem: String) -> Error {
        Error::Unsupported(format!("{}: {problem}", self.dir.display()))
    }

    /// The tensors in order.
    ///
    /// # Errors
    /// If a layer's experts are incomplete.
    pub(super) fn finish(self) -> Result<Vec<OutputTensor>> {
        if let Some(left) = self.experts.leftover() {
            return Err(self.invalid(left));
        }
        Ok(self.tensors)
    }
}
