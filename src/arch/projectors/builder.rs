//! Collects a projector's output tensors: names and types them.

use crate::arch::experts::{ExpertNames, Experts};
use crate::arch::outputs::Outputs;
use crate::arch::spelling::Spelling;
use crate::arch::tensors::{self, Tensor};
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::tensor::{OutputTensor, TensorExpr};

use super::Input;
use super::keys;

/// The output tensors so far.
pub(super) struct Builder<'a> {
    input: &'a Input<'a>,
    spelling: Spelling,
    outputs: Outputs,
    experts: Experts,
    /// The name of the tensor that is being converted.
    current: String,
}

impl<'a> Builder<'a> {
    pub(super) fn new(input: &'a Input, known: &[&str]) -> Self {
        let spelling = Spelling::new(known, input.layers);
        Self {
            input,
            spelling,
            outputs: Outputs::default(),
            experts: Experts::default(),
            current: String::new(),
        }
    }

    /// Says that what is added from now on comes from the tensor `name`.
    pub(super) fn begin(&mut self, name: &str) {
        name.clone_into(&mut self.current);
    }

    /// The GGUF name of the tensor that checkpoints call `name`.
    ///
    /// # Errors
    /// If projectors have no such tensor.
    pub(super) fn resolve(&self, name: &str) -> Result<String> {
        self.resolve_with(name, &[".weight", ".bias"])
    }

    /// [`Builder::resolve`] of a name with one of `suffixes`, or none.
    ///
    /// # Errors
    /// As [`Builder::resolve`].
    pub(super) fn resolve_with(&self, name: &str, suffixes: &[&str]) -> Result<String> {
        self.spelling.resolve_with(name, suffixes).ok_or_else(|| {
            let problem =
                format!("a projector of {} layers has no tensor {}", self.input.layers, quoted(name));
            let error = Error::unsupported(problem).at(self.input.checkpoint.dir.path());
            error.tensor(name).hint("check that config.json names the right architecture")
        })
    }

    /// Adds a tensor under the GGUF name for its checkpoint name.
    ///
    /// # Errors
    /// If projectors have no such tensor, or there is one of that name already.
    pub(super) fn add(&mut self, tensor: Tensor) -> Result<()> {
        let name = self.resolve(&tensor.name)?;
        self.add_as(name, tensor.layer, tensor.expr)
    }

    /// [`Builder::add`] of a tensor by another name.
    pub(super) fn add_named(&mut self, name: String, layer: Option<u64>, expr: TensorExpr) -> Result<()> {
        self.add(Tensor { name, layer, expr })
    }

    /// Takes one matrix of one expert. When it completes a layer's `count` experts, adds their stacks.
    ///
    /// # Errors
    /// If an expert is missing among as many tensors as there should be, or shapes differ.
    pub(super) fn add_expert(&mut self, tensor: Tensor, count: u32, names: &ExpertNames) -> Result<()> {
        let stacks = self.experts.take(tensor, count, names).map_err(|problem| self.invalid(problem))?;
        for (name, layer, experts) in stacks {
            let expr = TensorExpr::stack(experts).map_err(|e| e.of_output(&name))?;
            self.add_named(name, Some(layer), expr)?;
        }
        Ok(())
    }

    /// Adds a tensor under GGUF name `name`.
    ///
    /// # Errors
    /// If there is one of that name already, or no GGUF reader would take the shape.
    pub(super) fn add_as(
        &mut self,
        name: impl Into<String>,
        layer: Option<u64>,
        expr: TensorExpr,
    ) -> Result<()> {
        let (name, input) = (name.into(), self.input);
        let forced = (input.projector.ggml_type)(input, &self.current, &name);
        let forced = forced.or_else(|| keys::common_type(input, &name));
        let ggml_type = tensors::ggml_type(&name, layer, expr.shape(), forced, input.ftype);
        self.outputs.add(input.checkpoint, name, expr, ggml_type)
    }

    /// Adds a tensor under GGUF name `name`, of type `ggml_type` without regard to what was asked for.
    ///
    /// # Errors
    /// As [`Builder::add_as`].
    #[allow(dead_code)]
    pub(super) fn add_typed(&mut self, name: String, expr: TensorExpr, ggml_type: GgmlType) -> Result<()> {
        self.outputs.add(self.input.checkpoint, name, expr, ggml_type)
    }

    /// What is said of a tensor that the projector has no use for.
    pub(super) fn unknown(&self, name: &str) -> Error {
        self.invalid(format!("{} is not a tensor that this projector has", quoted(name)))
    }

    /// An error about the checkpoint.
    pub(super) fn invalid(&self, problem: impl Into<String>) -> Error {
        Error::invalid(&self.input.checkpoint.dir, problem)
    }

    /// The tensors in order.
    ///
    /// # Errors
    /// If a layer's experts are incomplete.
    pub(super) fn finish(self) -> Result<Vec<OutputTensor>> {
        match self.experts.leftover() {
            Some(left) => Err(self.invalid(left)),
            None => Ok(self.outputs.into_tensors()),
        }
    }
}
