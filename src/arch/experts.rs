//! Mixture-of-experts weights: checkpoints hold one matrix per expert, GGUF one stack per layer.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::tensor::TensorExpr;

use super::tensors::Tensor;

/// How a family names its experts; `{bid}` is the layer, `{xid}` the expert, `{matrix}` the matrix.
pub(super) struct ExpertNames {
    /// One expert's matrix in the checkpoint.
    pub one: &'static str,
    /// The checkpoint name a stack of all experts' matrices would have.
    pub stack: &'static str,
    /// The matrices, in the order in which their stacks are written.
    pub matrices: &'static [&'static str],
}

/// The names most families use.
pub(super) const NAMES: ExpertNames = ExpertNames {
    one: "model.layers.{bid}.mlp.experts.{xid}.{matrix}.weight",
    stack: "model.layers.{bid}.mlp.experts.{matrix}.weight",
    matrices: &["down_proj", "gate_proj", "up_proj"],
};

/// Experts' matrices seen so far, by layer and kind of expert, until a layer has all of a kind.
#[derive(Default)]
pub(super) struct Experts {
    waiting: BTreeMap<(u64, &'static str), IndexMap<String, TensorExpr>>,
}

impl Experts {
    /// What is missing, if a layer is still waiting.
    pub(super) fn leftover(&self) -> Option<String> {
        let ((layer, _), waiting) = self.waiting.iter().find(|(_, waiting)| !waiting.is_empty())?;
        let (name, _) = waiting.first()?;
        let count = waiting.len();
        Some(format!(
            "experts of layer {layer} are incomplete: {count} tensors are left over, among them {name}"
        ))
    }

    /// Takes one matrix of one expert. The one that completes a layer's `count` experts gives the stacks, by the names
    /// they would have in the checkpoint.
    ///
    /// # Errors
    /// What `invalid` makes of what is wrong, if an expert is missing among as many tensors as there should be, or shapes
    /// differ.
    pub(super) fn stacks(
        &mut self,
        tensor: Tensor,
        count: u32,
        names: &ExpertNames,
        invalid: impl FnOnce(String) -> Error,
    ) -> Result<Vec<Tensor>> {
        let stacks = self.take(tensor, count, names).map_err(invalid)?;
        let stacked = |(name, layer, experts): (String, u64, Vec<TensorExpr>)| {
            let expr = TensorExpr::stack(experts).map_err(|error| error.of_output(&name))?;
            Ok(Tensor { name, layer: Some(layer), expr })
        };
        stacks.into_iter().map(stacked).collect()
    }

    /// For each stack its name, the layer, and the experts' matrices in order.
    fn take(
        &mut self,
        tensor: Tensor,
        count: u32,
        names: &ExpertNames,
    ) -> Result<Vec<(String, u64, Vec<TensorExpr>)>, String> {
        let Some(layer) = tensor.layer else {
            return Err(format!("{}: an expert outside of any layer", tensor.name));
        };
        if count == 0 {
            return Err(format!("{}: an expert in a model of 0 experts", tensor.name));
        }
        let waiting = self.waiting.entry((layer, names.stack)).or_default();
        waiting.insert(tensor.name, tensor.expr);
        if (waiting.len() as u64) < u64::from(count) * names.matrices.len() as u64 {
            return Ok(Vec::new());
        }
        let stack = |matrix: &&str| {
            let filled =
                |template: &str| template.replace("{bid}", &layer.to_string()).replace("{matrix}", matrix);
            let one = filled(names.one);
            let mut experts: Vec<TensorExpr> = Vec::new();
            for expert in 0..count {
                let name = one.replace("{xid}", &expert.to_string());
                let Some(expr) = waiting.swap_remove(&name) else {
                    return Err(format!("{name} is missing (there are {count} experts)"));
                };
                if let Some(first) = experts.first().filter(|first| first.shape() != expr.shape()) {
                    let (expected, found) = (first.shape(), expr.shape());
                    return Err(format!("{name}: expected shape {expected:?}, found {found:?}"));
                }
                experts.push(expr);
            }
            Ok((filled(names.stack), layer, experts))
        };
        let stacks = names.matrices.iter().map(stack).collect();
        if waiting.is_empty() {
            // An empty map keeps its memory, and there is one for each layer.
            self.waiting.remove(&(layer, names.stack));
        }
        stacks
    }
}
