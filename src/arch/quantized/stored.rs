//! The tensors that quantized weights are put together from, taken out of the list and looked at.

use crate::arch::tensors::Tensors;
use crate::arch::{Input, contents, tensors};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::tensor::{List, TensorExpr};

/// A tensor of the checkpoint, as it is.
pub(super) struct Stored<'i> {
    pub name: String,
    pub source: usize,
    pub dtype: Dtype,
    pub shape: &'i [u64],
    expr: &'i TensorExpr,
}

/// Tensor `name`, if there is one.
///
/// # Errors
/// If it is not as it is in the checkpoint.
pub(super) fn find<'i>(input: &'i Input, name: String) -> Result<Option<Stored<'i>>> {
    let Some(expr) = input.tensors.get(&name) else { return Ok(None) };
    let tensor = tensors::source(input.checkpoint, expr);
    match (expr.whole_source(), tensor) {
        (Some(source), Some(tensor)) => {
            Ok(Some(Stored { name, source, dtype: tensor.dtype, shape: expr.shape(), expr }))
        }
        _ => Err(invalid(input, &name, "expected a tensor as it was stored")),
    }
}

/// Tensor `name`, which quantized weights go without in no case.
///
/// # Errors
/// As [`find`]; also if there is none.
pub(super) fn require<'i>(input: &'i Input, name: String) -> Result<Stored<'i>> {
    let missing =
        invalid(input, &name, "is missing: the weights beside it are quantized, and cannot be read without");
    find(input, name)?.ok_or(missing)
}

impl Stored<'_> {
    /// Refuses it unless it has one of the types and this shape.
    ///
    /// # Errors
    /// With what was expected and what was found.
    pub fn expect(&self, input: &Input, dtypes: &[Dtype], shape: &[u64], why: &str) -> Result<()> {
        if dtypes.contains(&self.dtype) && self.shape == shape {
            return Ok(());
        }
        let names: Vec<&str> = dtypes.iter().map(|dtype| dtype.name()).collect();
        let problem = format!(
            "expected {} of shape {shape:?} ({why}), found {} {:?}",
            names.join(" or "),
            self.dtype.name(),
            self.shape
        );
        Err(invalid(input, &self.name, &problem))
    }

    /// Its elements, which are few.
    ///
    /// # Errors
    /// If they are many, or cannot be read.
    pub fn values(&self, input: &Input) -> Result<Vec<f32>> {
        contents::floats(input.checkpoint, &self.name, self.expr)
    }
}

/// Types of scales.
pub(super) const FLOATS: [Dtype; 3] = [Dtype::F16, Dtype::BF16, Dtype::F32];

/// An error about tensor `name`.
pub(super) fn invalid(input: &Input, name: &str, problem: &str) -> Error {
    Error::invalid(&input.checkpoint.dir, format!("{}: {problem}", quoted(name))).tensor(name)
}

/// How neighbours along an axis go together in groups: so many of them, or as a list says.
pub(super) enum Groups {
    Even(u64),
    Listed(List<usize>),
}

impl Groups {
    /// The `groups` of `list`, which names one for each position.
    ///
    /// # Errors
    /// If it cannot be read, or names one that there is not.
    pub fn read(input: &Input, list: &Stored, groups: u64) -> Result<Self> {
        let numbers = list.values(input)?;
        let sound = |number: &f32| *number >= 0.0 && (*number as u64) < groups;
        if let Some(at) = numbers.iter().position(|number| !sound(number)) {
            let problem = format!("expected numbers of {groups} groups, found {} at {at}", numbers[at]);
            return Err(invalid(input, &list.name, &problem));
        }
        let len = numbers.iter().position(|number| *number != 0.0).unwrap_or(numbers.len()).max(1);
        let even = numbers.iter().enumerate().all(|(at, number)| *number as usize == at / len);
        Ok(if even {
            Self::Even(len as u64)
        } else {
            Self::Listed(List { source: list.source, blocks: groups })
        })
    }

    /// Neighbours that go together, as far as these do.
    pub fn len(&self) -> u64 {
        if let Self::Even(len) = self { *len } else { 1 }
    }

    /// The list.
    pub fn list(&self) -> Option<List<usize>> {
        if let Self::Listed(list) = self { Some(list.clone()) } else { None }
    }
}

/// Puts `made` at the end of the list, and leaves out what has one of `parts` instead of the `weight` in their names.
pub(super) fn replace(input: &mut Input, made: Tensors, parts: &[&str]) {
    let used = |name: &str| {
        let weight = parts.iter().find_map(|part| Some(format!("{}weight", name.strip_suffix(part)?)));
        weight.is_some_and(|weight| made.contains_key(&weight))
    };
    input.tensors.retain(|name, _| !used(name));
    for (name, expr) in made {
        input.tensors.insert(name, expr);
    }
}
