//! Adapters: pairs of low-rank factors, each under the name of the matrix that their product is added to
//! (`convert_lora_to_gguf.py` of the reference).
//!
//! A pair goes through its family like the matrix itself. What comes out is written as its two factors.

use indexmap::IndexMap;

use super::Input;
use super::tensors::{self, Tensors};
use crate::checkpoint::SourceTensor;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::source::ModelDir;
use crate::tensor::TensorExpr;

/// What the names end with of the factors that have the columns, and the rows.
pub(crate) const FACTOR_A: &str = ".lora_a";
pub(crate) const FACTOR_B: &str = ".lora_b";

/// What PEFT puts before the names of the base model's tensors.
const PREFIX: &str = "base_model.model.";

/// What the names of the factors of a matrix have in place of `.weight`.
const HALVES: [(&str, Half); 4] = [
    (".lora_A.weight", Half::A),
    (".lora_B.weight", Half::B),
    (".lora_embedding_A", Half::A),
    (".lora_embedding_B", Half::B),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    A,
    B,
}

/// What an adapter holds, by the names that families know, each as places in the checkpoint.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Norms, which take the place of the base model's.
    pub norms: IndexMap<String, usize>,
    /// Factors, by which half of a pair comes first.
    pub pairs: IndexMap<String, Pair>,
    /// What is neither.
    pub others: IndexMap<String, usize>,
}

/// The factors of a matrix, as far as they were found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pair {
    a: Option<usize>,
    b: Option<usize>,
}

impl Contents {
    /// What the adapter of `input` holds for the text model.
    ///
    /// # Errors
    /// If two tensors have one place.
    pub(super) fn of(input: &Input) -> Result<Self> {
        let mut contents = Self::default();
        for (index, tensor) in input.checkpoint.adapter_tensors() {
            let Some(name) = tensors::own_name(input, &base_name(&tensor.name)) else { continue };
            let before = match half(&tensor.name) {
                Some(half) => {
                    let pair = contents.pairs.entry(name).or_default();
                    let place = if half == Half::A { &mut pair.a } else { &mut pair.b };
                    place.replace(index)
                }
                // The base model's own matrix, which some trainers save along.
                None if tensor.name.contains(".base_layer.weight") => None,
                None if tensor.name.contains("_layernorm") || tensor.name.contains(".norm") => {
                    contents.norms.insert(name, index)
                }
                // A bias that was trained beside factors is still that of the layer inside.
                None => contents.others.insert(name.replace(".base_layer.", "."), index),
            };
            if before.is_some() {
                return Err(at(input, tensor, "another tensor of the adapter has its place"));
            }
        }
        Ok(contents)
    }
}

impl Pair {
    /// Where its factors are, A first.
    ///
    /// # Errors
    /// If one is missing.
    pub(super) fn both(self, input: &Input) -> Result<(usize, usize)> {
        let lonely = |index: usize, missing: &str| {
            let problem = format!("expected the factor {missing} beside it, which is missing");
            Err(at(input, &input.checkpoint.tensors[index], problem))
        };
        match (self.a, self.b) {
            (Some(a), Some(b)) => Ok((a, b)),
            (Some(a), None) => lonely(a, "B"),
            (None, Some(b)) => lonely(b, "A"),
            (None, None) => Err(Error::Internal("a pair of nothing".into())),
        }
    }

    /// Its product. Factors of two types are computed with in F32.
    fn product(self, input: &Input) -> Result<TensorExpr> {
        let (a, b) = self.both(input)?;
        let [first, second] = [a, b].map(|index| &input.checkpoint.tensors[index]);
        let mut rows = TensorExpr::source(b, &second.shape);
        if second.dtype == Dtype::F16 && first.dtype != Dtype::F16 {
            rows = rows.widen();
        }
        TensorExpr::product(TensorExpr::source(a, &first.shape), rows).map_err(|_| {
            let problem = format!(
                "factor A of shape {:?} and factor B of shape {:?} do not have one rank",
                first.shape, second.shape
            );
            at(input, second, problem)
        })
    }
}

/// The adapter's tensors by the names that families know: norms, then pairs.
///
/// # Errors
/// If a factor is missing or does not fit the other, or the adapter has more than factors and norms.
pub(super) fn tensors(input: &Input) -> Result<Tensors> {
    let contents = Contents::of(input)?;
    let tensor = |index: usize| &input.checkpoint.tensors[index];
    if let Some(index) = contents.others.values().next() {
        return Err(no_factor(input, tensor(*index)));
    }
    let norms = contents.norms.into_iter();
    let mut found: Tensors =
        norms.map(|(name, index)| (name, TensorExpr::source(index, &tensor(index).shape))).collect();
    for (name, pair) in contents.pairs {
        let product = pair.product(input)?;
        if found.insert(name, product).is_some() {
            let (_, b) = pair.both(input)?;
            return Err(at(input, tensor(b), "another tensor of the adapter has its place"));
        }
    }
    Ok(found)
}

/// What is written of the GGUF tensor `name`: a norm as it is, of a product its factors.
///
/// # Errors
/// If it is neither.
pub(super) fn parts(name: String, expr: TensorExpr) -> Result<Vec<(String, TensorExpr)>> {
    if name.contains("_norm") {
        return match expr.factors()? {
            None if expr.shape().len() == 1 => Ok(vec![(name, expr)]),
            _ => Err(Error::unsupported(format!("expected a vector, for {name} is a norm"))),
        };
    }
    let Some((mut a, b)) = expr.factors()? else {
        return Err(Error::unsupported(format!("expected the factors of a matrix, which {name} is")));
    };
    // llama.cpp looks up rows of it, as of the embeddings themselves.
    if name.contains("token_embd.weight") {
        a = a.swap_axes(0, 1)?;
    }
    Ok(vec![(format!("{name}{FACTOR_A}"), a), (format!("{name}{FACTOR_B}"), b)])
}

/// `error`, found in what the adapter has for `name`, unless it knows its place.
pub(super) fn place(input: &Input, name: &str, expr: &TensorExpr, error: Error) -> Error {
    match error {
        Error::Unsupported(problem) if problem.file.is_none() => {
            let source = tensors::source(input.checkpoint, expr);
            let file = source.and_then(|source| input.checkpoint.files.get(source.file));
            let path = file.map_or(input.checkpoint.dir.path(), |file| &file.path);
            let problem = format!("{}: {}", quoted(name), problem.message);
            let hint = "ggraft lora --merge writes the model with the adapter in it";
            Error::unsupported(problem).at(path).tensor(name).hint(hint)
        }
        other => tensors::place(input.checkpoint, name, expr, other),
    }
}

/// What to say of factors for an output matrix that the base model does not have, for its embeddings are used instead.
pub(super) fn ignored_output(dir: &ModelDir) -> Error {
    Error::unsupported(
        "the adapter changes lm_head, and the base model has none of its own: its embeddings are used",
    )
    .at(dir.path())
    .hint("train an adapter without it, or untie the base model's embeddings first")
}

/// What to say of a tensor that is neither a factor nor a norm.
fn no_factor(input: &Input, tensor: &SourceTensor) -> Error {
    let is = |part: &str| tensor.name.contains(part);
    let whole = is("embed_tokens.weight") || is("lm_head.weight") || is("modules_to_save");
    let (what, hint) = if is("lora_magnitude_vector") {
        (
            "a magnitude of DoRA, which llama.cpp's adapters do not have",
            "merge the adapter with PEFT, and convert that",
        )
    } else if whole {
        (
            "a whole matrix (modules_to_save, or embeddings for new tokens), which llama.cpp's adapters cannot hold",
            "ggraft lora --merge writes the model with the adapter in it",
        )
    } else if is(".lora_A.") || is(".lora_B.") {
        (
            "a factor by another name than PEFT's save_pretrained gives it",
            "save the adapter with save_pretrained",
        )
    } else {
        (
            "neither a factor (lora_A, lora_B) nor a norm",
            "ggraft lora --merge takes whole tensors of the base model's shape",
        )
    };
    let problem = format!("tensor {} is {what}", quoted(&tensor.name));
    let path = input.checkpoint.files.get(tensor.file).map_or(input.checkpoint.dir.path(), |file| &file.path);
    Error::unsupported(problem).at(path).tensor(&tensor.name).hint(hint)
}

/// The name of the base model's tensor that the adapter's tensor `name` is for.
fn base_name(name: &str) -> String {
    HALVES.iter().fold(name.replace(PREFIX, ""), |name, (ending, _)| name.replace(ending, ".weight"))
}

/// The module of the base model that the adapter's tensor `name` is for.
pub(super) fn module(name: &str) -> String {
    let base = base_name(name);
    base.strip_suffix(".weight").map(str::to_owned).unwrap_or(base)
}

/// Which factor the tensor `name` is.
fn half(name: &str) -> Option<Half> {
    HALVES.iter().find(|(ending, _)| name.contains(ending)).map(|(_, half)| *half)
}

/// An error about the adapter's `tensor`.
pub(super) fn at(input: &Input, tensor: &SourceTensor, problem: impl Into<String>) -> Error {
    let path = input.checkpoint.files.get(tensor.file).map_or(input.checkpoint.dir.path(), |file| &file.path);
    let problem = format!("tensor {}: {}", quoted(&tensor.name), problem.into());
    Error::invalid(path, problem).tensor(&tensor.name)
}
