//! Nemotron-H, whose layers are of four kinds.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::layers::{self, FULL, LINEAR};
use crate::config::values::{Object, Refusal, null, number};
use crate::json::Value;

pub(super) const NEMOTRON_H: Hooks = Hooks {
    before: &[old_names, layer_kinds, prediction_kinds],
    validate_layers: |_, config| known_layers(config),
    ..PLAIN
};

const MOE: &str = "moe";
const MLP: &str = "mlp";

fn old_names(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    for (old, new) in [
        ("mamba_n_groups", "n_groups"),
        ("mamba_d_conv", "conv_kernel"),
        ("mamba_expand", "expand"),
        ("mamba_dt_min", "time_step_min"),
        ("mamba_dt_max", "time_step_max"),
        ("mamba_dt_limit", "time_step_limit"),
        ("mamba_dt_init_floor", "time_step_floor"),
        ("mamba_conv_bias", "use_conv_bias"),
        ("mamba_chunk_size", "chunk_size"),
    ] {
        if let Some(value) = extra.shift_remove(old) {
            config.insert(new.into(), value);
        }
    }
    Ok(())
}

fn layer_kinds(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    let pattern = extra.shift_remove("hybrid_override_pattern");
    if null(config, "layers_block_type") {
        let kinds = match pattern {
            Some(pattern) => from_pattern(&pattern)?,
            None => [LINEAR, MOE, FULL, MLP].into_iter().collect(),
        };
        config.insert("layers_block_type".into(), kinds);
    }
    extra.shift_remove("num_hidden_layers");
    Ok(())
}

/// The kinds of layers that predict further tokens.
fn prediction_kinds(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    let default: Value = [FULL, MOE].into_iter().collect();
    if null(config, "mtp_layers_block_type") {
        config.insert("mtp_layers_block_type".into(), default.clone());
    }
    layers::rename(config.get_mut("mtp_layers_block_type"));
    if let Some(pattern) = extra.shift_remove("mtp_hybrid_override_pattern")
        && config.get("mtp_layers_block_type") == Some(&default)
    {
        config.insert("mtp_layers_block_type".into(), from_pattern(&pattern)?);
    }
    Ok(())
}

/// The kinds of layers by the letters that old files have for them.
fn from_pattern(pattern: &Value) -> Result<Value, Refusal> {
    let letters = pattern.as_str().ok_or("hybrid_override_pattern is not a string")?;
    let kinds = letters.chars().map(|c| match c {
        'M' => Ok(LINEAR.into()),
        'E' => Ok(MOE.into()),
        '*' => Ok(FULL.into()),
        '-' => Ok(MLP.into()),
        other => Err(format!("hybrid_override_pattern has a {other:?}")),
    });
    kinds.collect::<Result<Vec<Value>, Refusal>>().map(Value::Array)
}

/// Layers are counted by this list, so that no number can disagree.
fn known_layers(config: &Object) -> Result<(), Refusal> {
    let predicts = config.get("num_nextn_predict_layers").and_then(number).is_some_and(|n| n > 0.0);
    for (key, needed) in [("layers_block_type", true), ("mtp_layers_block_type", predicts)] {
        let kinds = config.get(key).and_then(Value::as_array);
        let known = |kind: &Value| kind.as_str().is_some_and(|k| [FULL, LINEAR, MOE, MLP].contains(&k));
        if needed && !kinds.is_some_and(|kinds| kinds.iter().all(known)) {
            return Err(format!("{key} is not a list of known kinds of layers"));
        }
    }
    Ok(())
}
