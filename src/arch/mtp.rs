//! Layers for multi-token prediction that follow the model's own (`--mtp`, `--no-nextn`).

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::Result;

use super::tensors::general_name;
use super::{Input, Keys, Mtp, Options, keys};

const COUNT: [&str; 1] = ["num_nextn_predict_layers"];

/// What a file of prediction layers alone holds besides.
const SHARED: [&str; 3] = ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"];

/// Number of layers, those for prediction among them unless they are left out.
///
/// # Errors
/// As [`keys::layer_count`].
pub(super) fn layers(config: &Config, options: &Options, _: &Checkpoint) -> Result<u32> {
    let more = match options.mtp {
        Mtp::Drop => 0,
        Mtp::Keep | Mtp::Only => config.u32(&COUNT)?.unwrap_or(0),
    };
    keys::layers_and_more(config, more)
}

/// Leaves out the tensors that are not asked for.
pub(super) fn rename(input: &Input, name: &str) -> Option<String> {
    let kept = match input.options.mtp {
        Mtp::Keep => true,
        Mtp::Drop => !predicts(input, name),
        Mtp::Only => predicts(input, name) || SHARED.contains(&general_name(name).as_str()),
    };
    kept.then(|| name.to_owned())
}

/// Whether a tensor belongs to a layer for prediction.
pub(super) fn predicts(input: &Input, name: &str) -> bool {
    layer(&general_name(name)).is_some_and(|layer| layer >= main_layers(input))
}

/// Adds `nextn_predict_layers`, if the model says how many it has and they are not left out.
///
/// # Errors
/// If the number is none.
pub(super) fn count(input: &Input, keys: &mut Keys) -> Result<()> {
    if input.options.mtp != Mtp::Drop {
        keys.set_u32("nextn_predict_layers", input.config.u32(&COUNT)?);
    }
    Ok(())
}

/// Number of layers that are the model's own.
pub(super) fn main_layers(input: &Input) -> u64 {
    own_layers(input.config)
}

/// Number of layers that are the model's own, as its configuration says; no layer is beyond if it does not.
pub fn own_layers(config: &Config) -> u64 {
    let layers = config.u32(&["n_layers", "num_hidden_layers", "n_layer", "num_layers"]);
    layers.ok().flatten().map_or(u64::MAX, u64::from)
}

/// The layer of a tensor of `model.layers`; one that is no number to count with is beyond all.
pub(super) fn layer(name: &str) -> Option<u64> {
    let (layer, _) = name.strip_prefix("model.layers.")?.split_once('.')?;
    super::tensors::is_decimal(layer).then(|| layer.parse().unwrap_or(u64::MAX))
}
