//! The model that a draft model drafts for (`--target-model-dir`): its settings, and whose vocabulary it has.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use crate::config::Config;
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::source::ModelDir;
use crate::tensor::TensorExpr;
use crate::vocab::Route;

use super::builder::Builder;
use super::{Input, contents, lookup};

/// A model that others draft for. Its weights are not looked at.
#[derive(Clone, Debug)]
pub struct TargetModel {
    /// Its files.
    pub dir: ModelDir,
    /// Its `config.json` without the defaults of its class: the reference reads the file as it is.
    pub(super) config: Config,
}

impl TargetModel {
    /// Reads the configuration of the model in directory `root`.
    ///
    /// # Errors
    /// If that is no directory, or has no configuration that can be read.
    pub fn open(root: &Path) -> Result<Self> {
        let dir = ModelDir::open(root)?;
        let config = Config::load(&dir)?.bare()?;
        Ok(Self { dir, config })
    }

    /// How its vocabulary is read.
    ///
    /// # Errors
    /// If its architecture is not known.
    pub(super) fn vocabulary(&self) -> Result<Route> {
        Ok(lookup(self.config.architecture()?)?.vocab)
    }
}

/// The model that `input` drafts for.
///
/// # Errors
/// If none was named.
pub(super) fn target<'a>(input: &Input<'a>) -> Result<&'a TargetModel> {
    input.target.ok_or_else(|| {
        let problem = "the model drafts for another one, from which it has its vocabulary";
        Error::invalid(&input.checkpoint.dir, problem).hint("name that one with --target-model-dir")
    })
}

/// The settings of `config`, those of `transformer_layer_config` among them: `speculators` puts a draft's there.
///
/// # Errors
/// If they are no object, or the model's class is not known.
pub(super) fn unwrapped(config: &Config) -> Result<Cow<'_, Config>> {
    config.require_known_class()?;
    let inner = config.section("transformer_layer_config")?;
    if inner.map().is_empty() {
        return Ok(Cow::Borrowed(config));
    }
    let mut config = config.clone();
    inner.map().iter().for_each(|(key, value)| config.set(key.clone(), value.clone()));
    Ok(Cow::Owned(config))
}

/// Adds `d2t`, the token of the target's vocabulary, of `tokens`, that each of the draft's is. The checkpoint's tensor
/// `name` has how far each is from its own number.
///
/// # Errors
/// If a token is not in the vocabulary, or is there twice, or the tensor is not of small integers.
pub(super) fn add_target_tokens(input: &Input, builder: &mut Builder, name: &str, tokens: u32) -> Result<()> {
    let Some(expr) = input.tensors.get(name) else { return Ok(()) };
    let mut ids = contents::integers(input.checkpoint, name, expr)?;
    let mut seen = HashSet::with_capacity(ids.len());
    for (id, own) in ids.iter_mut().zip(0..) {
        *id = id.checked_add(own).filter(|id| (0..i64::from(tokens)).contains(id)).ok_or_else(|| {
            builder.invalid(format!("{name}: token {own} is none of the target's {tokens}"))
        })?;
        if !seen.insert(*id) {
            return Err(builder.invalid(format!("{name}: the target's token {id} is there twice")));
        }
    }
    builder.add_typed("d2t".to_owned(), TensorExpr::integers(ids), GgmlType::I64)
}
