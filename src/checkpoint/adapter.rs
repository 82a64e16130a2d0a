//! The weights of an adapter, as PEFT saves them: one file, `adapter_model.safetensors` or `adapter_model.bin`.

use std::collections::HashSet;
use std::ops::Range;

use super::budget::Budget;
use super::header::Entry;
use super::{Checkpoint, SourceTensor, safetensors, torch};
use crate::config::AdapterConfig;
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::source::ModelDir;

const SAFETENSORS: &str = "adapter_model.safetensors";
const TORCH: &str = "adapter_model.bin";

/// Low-rank factors and more, trained for a model.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// What is said of it.
    pub config: AdapterConfig,
    /// Its part of [`Checkpoint::tensors`]; they come after those of the model itself.
    pub tensors: Range<usize>,
}

impl Checkpoint {
    /// The adapter's tensors with their places in [`Checkpoint::tensors`]; none if there is no adapter.
    pub fn adapter_tensors(&self) -> impl Iterator<Item = (usize, &SourceTensor)> {
        let range = self.adapter.as_ref().map_or(0..0, |adapter| adapter.tensors.clone());
        range.clone().zip(self.tensors.get(range).unwrap_or_default())
    }

    /// Indexes the weights of the adapter in `dir` behind the tensors that are there, in the order in which they lie in
    /// their file, or in which it names them: that of the reference.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; also if there are none.
    pub fn add_adapter(&mut self, dir: &ModelDir, config: AdapterConfig) -> Result<()> {
        let start = self.tensors.len();
        if dir.exists(SAFETENSORS)? {
            let source = dir.file(SAFETENSORS)?;
            let mut file = safetensors::read(&source)?;
            file.tensors.sort_by_key(|t| (t.begin, t.end));
            check(dir, &file.tensors)?;
            self.add(source, file.data_start, file.data_start, file.tensors);
        } else if dir.exists(TORCH)? {
            let source = dir.file(TORCH)?;
            let file = torch::read(&source)?;
            check(dir, &file.tensors)?;
            self.add_torch(source, file);
        } else {
            let problem = format!("no weights of an adapter here: expected {SAFETENSORS} or {TORCH}");
            return Err(Error::invalid(dir.path(), problem));
        }
        self.adapter = Some(Adapter { config, tensors: start..self.tensors.len() });
        Ok(())
    }
}

/// No more than can be kept, and no name twice.
fn check(dir: &ModelDir, tensors: &[Entry]) -> Result<()> {
    let (mut budget, mut names) = (Budget::default(), HashSet::new());
    for tensor in tensors {
        let taken = budget.take(&tensor.name, tensor.shape.len());
        taken.map_err(|problem| Error::invalid(dir, problem))?;
        if !names.insert(tensor.name.as_str()) {
            let problem = format!("tensor {} is there twice", quoted(&tensor.name));
            return Err(Error::invalid(dir, problem).tensor(&tensor.name));
        }
    }
    match tensors.is_empty() {
        true => Err(Error::invalid(dir, "the adapter has no tensors")),
        false => Ok(()),
    }
}
