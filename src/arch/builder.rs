//! Collects a model's output tensors: names them, types them, and holds experts back until a layer's
//! are complete.

use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::input::quoted;
use crate::tensor::{OutputTensor, TensorExpr};

use super::adapter;
use super::experts::{ExpertNames, Experts};
use super::fuse::{Fused, Fusion};
use super::groups::Groups;
use super::outputs::Outputs;
use super::spelling::Spelling;
use super::stray;
use super::tensors::{self, Tensor};
use super::{Input, Keys};

/// The output tensors so far.
pub(super) struct Builder<'a> {
    input: &'a Input<'a>,
    spelling: Spelling,
    outputs: Outputs,
    experts: Experts,
    fusion: Fusion,
    groups: Groups,
    /// Tensors that wait for another to come ([`Builder::hold_expert`]).
    held: Vec<Tensor>,
    /// Key-values that come before all that describe the model ([`super::Model::early`]).
    pub early: Keys,
    /// The checkpoint's name of the tensor that is being converted.
    current: String,
}

impl<'a> Builder<'a> {
    pub(super) fn new(input: &'a Input) -> Self {
        let spelling = Spelling::new(input.family.tensors, input.layers);
        Self {
            input,
            fusion: Fusion::new(input, &spelling),
            spelling,
            outputs: Outputs::default(),
            experts: Experts::default(),
            groups: Groups::default(),
            held: Vec::new(),
            early: Keys { arch: input.family.arch, values: KeyValues::new() },
            current: String::new(),
        }
    }

    /// Says that what is added from now on comes from the checkpoint's tensor `name`.
    pub(super) fn begin(&mut self, name: &str) {
        name.clone_into(&mut self.current);
    }

    /// The GGUF name of the tensor that checkpoints call `name`.
    ///
    /// # Errors
    /// If the architecture has no such tensor.
    pub(super) fn resolve(&self, name: &str) -> Result<String> {
        self.spelling.resolve(name).ok_or_else(|| {
            let arch = self.input.family.arch;
            if let Some(stray) = stray::explain(name, self.input.layers) {
                return self.unsupported(stray.sentence(name)).tensor(name).hint(stray.advice);
            }
            self.unsupported(format!("architecture {arch} has no tensor {}", quoted(name)))
                .tensor(name)
                .hint("check that config.json names the right architecture")
        })
    }

    /// Adds a tensor under the GGUF name for its checkpoint name, or as a part of the one it is fused into.
    ///
    /// # Errors
    /// If the architecture has no such tensor, or has it already.
    pub(super) fn add(&mut self, tensor: Tensor) -> Result<()> {
        let name = self.resolve(&tensor.name)?;
        match self.fusion.take(&name, tensor.expr) {
            Fused::Alone(expr) => self.add_as(name, tensor.layer, expr),
            Fused::Waiting => Ok(()),
            Fused::Whole(name, parts, axis) => {
                let whole = TensorExpr::concat_along(axis, parts).map_err(|e| e.of_output(&name))?;
                self.add_as(name, tensor.layer, whole)
            }
        }
    }

    /// Takes one matrix of one expert. When it completes a layer's `count` experts, adds their stacks.
    ///
    /// # Errors
    /// If an expert is missing among as many tensors as there should be, or shapes differ.
    pub(super) fn add_expert(&mut self, tensor: Tensor, count: u32, names: &ExpertNames) -> Result<()> {
        let stacks = self.experts.take(tensor, count, names).map_err(|problem| self.invalid(problem))?;
        for (name, layer, experts) in stacks {
            let expr = TensorExpr::stack(experts).map_err(|e| e.of_output(&name))?;
            self.add(Tensor { name, layer: Some(layer), expr })?;
        }
        Ok(())
    }

    /// [`Builder::add_expert`] that keeps the stacks until [`Builder::release`].
    ///
    /// # Errors
    /// As [`Builder::add_expert`].
    pub(super) fn hold_expert(&mut self, tensor: Tensor, count: u32, names: &ExpertNames) -> Result<()> {
        let stacks = self.experts.take(tensor, count, names).map_err(|problem| self.invalid(problem))?;
        for (name, layer, experts) in stacks {
            let expr = TensorExpr::stack(experts).map_err(|e| e.of_output(&name))?;
            self.held.push(Tensor { name, layer: Some(layer), expr });
        }
        Ok(())
    }

    /// Adds what was held back, in the order of layers.
    ///
    /// # Errors
    /// As [`Builder::add`].
    pub(super) fn release(&mut self) -> Result<()> {
        let mut held = std::mem::take(&mut self.held);
        held.sort_by_key(|tensor| tensor.layer);
        held.into_iter().try_for_each(|tensor| self.add(tensor))
    }

    /// Takes one of `parts`, tensors that become the one called `whole` in the GGUF. The last of them gives all, in order.
    pub(super) fn gather(
        &mut self,
        whole: &str,
        tensor: Tensor,
        parts: &[String],
    ) -> Option<Vec<TensorExpr>> {
        self.groups.take(whole, (tensor.name, tensor.expr), parts)
    }

    /// Adds a tensor under GGUF name `name`.
    ///
    /// # Errors
    /// If there is one of that name already, or no GGUF reader would take the shape.
    pub(super) fn add_as(&mut self, name: String, layer: Option<u64>, expr: TensorExpr) -> Result<()> {
        let parts = match self.input.adapter {
            true => adapter::parts(name, expr)?,
            false => vec![(name, expr)],
        };
        parts.into_iter().try_for_each(|(name, expr)| {
            let ggml_type = self.ggml_type(&name, layer, expr.shape());
            self.add_typed(name, expr, ggml_type)
        })
    }

    fn ggml_type(&self, name: &str, layer: Option<u64>, shape: &[u64]) -> GgmlType {
        let quantized = self.input.options.fp8_as_q8 && self.input.fp8.contains(&self.current);
        let forced = match (self.input.family.ggml_type)(self.input, &self.current, name) {
            None if quantized && shape.len() >= 2 => Some(GgmlType::Q8_0),
            forced => forced,
        };
        tensors::ggml_type(name, layer, shape, forced, self.input.ftype)
    }

    /// How many tensors were added.
    pub(super) fn count(&self) -> usize {
        self.outputs.count()
    }

    /// Adds a tensor under GGUF name `name`, of type `ggml_type` without regard to what was asked for.
    ///
    /// # Errors
    /// As [`Builder::add_as`].
    pub(super) fn add_typed(&mut self, name: String, expr: TensorExpr, ggml_type: GgmlType) -> Result<()> {
        self.outputs.add(self.input.checkpoint, name, expr, ggml_type)
    }

    /// An error about the checkpoint.
    pub(super) fn invalid(&self, problem: impl Into<String>) -> Error {
        Error::invalid(&self.input.checkpoint.dir, problem)
    }

    fn unsupported(&self, problem: String) -> Error {
        Error::unsupported(problem).at(self.input.checkpoint.dir.path())
    }

    /// The tensors in order, and what was found out on the way.
    ///
    /// # Errors
    /// If a layer's experts are incomplete.
    pub(super) fn finish(self) -> Result<(Vec<OutputTensor>, Keys)> {
        if let Some(left) = self.experts.leftover() {
            return Err(self.invalid(left));
        }
        if let Some(whole) = self.fusion.leftover().or(self.groups.leftover()) {
            let whole = quoted(whole);
            return Err(
                self.invalid(format!("{whole} cannot be put together: some of its parts are missing"))
            );
        }
        Ok((self.outputs.into_tensors(), self.early))
    }
}
