//! An adapter merged into its model, as PEFT's `merge_and_unload` does it: each matrix that has factors becomes
//! `W + scale · B · A`, computed in F32 as it is written. What the adapter holds as a whole (norms, biases, matrices that were
//! trained entirely) takes the place of what the model has.

use regex::{Regex, RegexBuilder};

use super::Input;
use super::adapter::{Contents, Pair, at, module};
use super::tensors::Tensors;
use crate::checkpoint::SourceTensor;
use crate::config::AdapterConfig;
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::json::{Map, Value};
use crate::tensor::{Factor, TensorExpr, Update};

/// Settings that make an adapter more than pairs of factors that are added, and what they do.
const NOT_ADDED: [(&str, &str); 6] = [
    ("use_dora", "DoRA scales the sum by magnitudes"),
    ("target_parameters", "factors for parameters that are no layers"),
    ("layer_replication", "the base model's layers are repeated"),
    ("alora_invocation_tokens", "it begins to work in the middle of a text"),
    ("invocation_string", "it begins to work in the middle of a text"),
    ("trainable_token_indices", "single rows of embeddings were trained"),
];

/// Beginnings of `init_lora_weights` that change the base model as well.
const CHANGES_BASE: [&str; 5] = ["pissa", "olora", "corda", "loftq", "lora_ga"];

/// Compiled patterns larger than this, in bytes, are no names of modules.
const LARGEST_PATTERN: usize = 1 << 16;

/// Adds the checkpoint's adapter to `input.tensors`, if there is one.
///
/// # Errors
/// If it cannot be added exactly, or does not fit the model.
pub(super) fn apply(input: &mut Input) -> Result<()> {
    let Some(adapter) = &input.checkpoint.adapter else { return Ok(()) };
    refuse(&adapter.config)?;
    let contents = Contents::of(input)?;
    let scales = Scales::new(&adapter.config)?;
    let mut merged: Tensors = Tensors::default();
    for (name, index) in contents.norms.iter().chain(&contents.others) {
        input.fp8.remove(name);
        let tensor = &input.checkpoint.tensors[*index];
        let old = known(input, name, tensor)?;
        if old.shape() != tensor.shape.as_slice() {
            let problem = format!(
                "expected shape {:?} as in the base model, found {:?}; was the vocabulary resized?",
                old.shape(),
                tensor.shape
            );
            return Err(at(input, tensor, problem));
        }
        merged.insert(name.clone(), TensorExpr::source(*index, &tensor.shape));
    }
    for (name, pair) in contents.pairs {
        let (a, _) = pair.both(input)?;
        let tensor = &input.checkpoint.tensors[a];
        let old = merged.get(&name).map_or_else(|| known(input, &name, tensor), Ok)?.clone();
        let new = updated(input, &name, old, pair, &scales)?;
        merged.insert(name, new);
    }
    input.tensors.extend(merged);
    Ok(())
}

/// Refuses what is not added, or not only.
fn refuse(config: &AdapterConfig) -> Result<()> {
    let settings = config.settings();
    let set = |key: &str| settings.map().get(key).is_some_and(Value::is_truthy);
    if let Some((key, why)) = NOT_ADDED.iter().find(|(key, _)| set(key)) {
        let problem = format!("{key}: the adapter cannot be merged here: {why}");
        return Err(settings.unsupported(problem).hint("merge it with PEFT, and convert what that saves"));
    }
    let init = settings.map().get("init_lora_weights").and_then(Value::as_str).unwrap_or_default();
    if CHANGES_BASE.iter().any(|start| init.to_lowercase().starts_with(start)) {
        let problem = format!(
            "init_lora_weights is {}, which changes the base model as well: the adapter cannot be merged into the original",
            quoted(init)
        );
        return Err(settings.unsupported(problem).hint("merge it with PEFT, and convert what that saves"));
    }
    Ok(())
}

/// The base model's tensor `name`, which the adapter's `tensor` is for.
fn known<'i>(input: &'i Input, name: &str, tensor: &SourceTensor) -> Result<&'i TensorExpr> {
    input.tensors.get(name).ok_or_else(|| {
        let error = at(input, tensor, format!("the base model has no tensor {}", quoted(name)));
        match name {
            "lm_head.weight" => error.hint("its embeddings are its output matrix, too (tie_word_embeddings)"),
            _ => error.hint("make sure that --base is the model the adapter was trained for"),
        }
    })
}

/// `old` and the product of `pair`.
fn updated(input: &Input, name: &str, old: TensorExpr, pair: Pair, scales: &Scales) -> Result<TensorExpr> {
    let (a, b) = pair.both(input)?;
    let [first, second] = [a, b].map(|index| &input.checkpoint.tensors[index]);
    let wrong = |problem: String| at(input, second, problem);
    let (&[rank, inputs], &[outputs, inner]) = (first.shape.as_slice(), second.shape.as_slice()) else {
        return Err(wrong(format!(
            "expected two matrices, found shapes {:?} and {:?}",
            first.shape, second.shape
        )));
    };
    if rank != inner || rank == 0 {
        let problem = format!(
            "factor A of shape {:?} and factor B of shape {:?} do not have one rank",
            first.shape, second.shape
        );
        return Err(wrong(problem));
    }
    // Embeddings, and layers of the Conv1D kind, have their inputs as rows.
    let turned = first.name.contains("lora_embedding") || scales.turned;
    let [straight, transposed] = [[outputs, inputs], [inputs, outputs]].map(|shape| old.shape() == shape);
    let rows = Factor { source: b, vector_step: inner, step: 1 };
    let columns = Factor { source: a, vector_step: 1, step: inputs };
    let (left, right) = match (straight, transposed) {
        (true, false) => (rows, columns),
        (false, true) => (columns, rows),
        (true, true) if turned => (columns, rows),
        (true, true) => (rows, columns),
        (false, false) => {
            let (product, shape) = ([outputs, inputs], old.shape());
            return Err(wrong(format!(
                "the product of the factors has shape {product:?}, {} has {shape:?}",
                quoted(name)
            )));
        }
    };
    let scale = scales.of(&module(&second.name), rank).map_err(|error| error.tensor(&second.name))?;
    let columns = old.shape()[1];
    old.updated(Update { left, right, rank, columns, scale }).map_err(|_| {
        let problem = format!("{} is quantized in a way that nothing can be added to", quoted(name));
        Error::unsupported(problem)
            .at(input.checkpoint.dir.path())
            .hint("name the original model with --base")
    })
}

/// What products are multiplied with.
struct Scales<'a> {
    config: &'a AdapterConfig,
    ranks: Vec<(Regex, f64)>,
    alphas: Vec<(Regex, f64)>,
    rank: Option<f64>,
    by_root: bool,
    /// Whether layers have their inputs as rows.
    turned: bool,
}

impl<'a> Scales<'a> {
    fn new(config: &'a AdapterConfig) -> Result<Self> {
        let settings = config.settings();
        Ok(Self {
            config,
            ranks: patterns(config, "rank_pattern")?,
            alphas: patterns(config, "alpha_pattern")?,
            rank: settings.f64(&["r"])?,
            by_root: config.by_root_of_rank()?,
            turned: config.inputs_are_rows()?,
        })
    }

    /// That of the layer `module`, whose factors have this rank.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "as PEFT computes it")]
    fn of(&self, module: &str, rank: u64) -> Result<f32> {
        let exception = |list: &[(Regex, f64)]| {
            list.iter().find(|(pattern, _)| pattern.is_match(module)).map(|(_, value)| *value)
        };
        let expected = exception(&self.ranks).or(self.rank);
        if let Some(expected) = expected.filter(|expected| *expected != rank as f64) {
            let problem =
                format!("{}: expected rank {expected} (r, rank_pattern), found {rank}", quoted(module));
            return Err(self.config.settings().invalid(problem));
        }
        let alpha = exception(&self.alphas).unwrap_or(self.config.alpha);
        let rank = rank as f64;
        Ok((alpha / if self.by_root { rank.sqrt() } else { rank }) as f32)
    }
}

/// The exceptions under `key`: a pattern is the end of a module's name, from a dot on, as a regular expression.
fn patterns(config: &AdapterConfig, key: &'static str) -> Result<Vec<(Regex, f64)>> {
    let exceptions: Map<String, Value> = config.exceptions(key)?;
    let compile = |(text, value): (&String, &Value)| {
        let pattern = RegexBuilder::new(&format!(r"^(.*\.)?({text})$")).size_limit(LARGEST_PATTERN).build();
        let number = value.as_f64().filter(|number| number.is_finite());
        match (pattern, number) {
            (Ok(pattern), Some(number)) => Ok((pattern, number)),
            (Err(_), _) => Err(config
                .settings()
                .invalid(format!("{key}: {} is no pattern that is understood", quoted(text)))),
            (_, None) => {
                Err(config.settings().invalid(format!("{key}: expected a number for {}", quoted(text))))
            }
        }
    };
    exceptions.iter().map(compile).collect()
}
