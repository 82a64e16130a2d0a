//! Granite with sliding windows or Mamba layers, and Bamba.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::derive::floor_div;
use crate::config::layers::{self, LINEAR, SLIDING};
use crate::config::values::{Object, Refusal, int, null};

pub(super) const GRANITE_SWA: Hooks = Hooks {
    layer_types: Some(|config, _| layers::full_every(config, 4, SLIDING, 0)),
    after: theta_by_layer,
    ..PLAIN
};

pub(super) const BAMBA: Hooks =
    Hooks { before: &[half_rotated, mamba_head], validate: &[mamba_heads_fit], ..PLAIN };

pub(super) const HYBRID: Hooks = Hooks {
    before: &[mamba_head],
    layer_types: Some(|config, _| layers::uniform(config, LINEAR)),
    validate: &[mamba_heads_fit],
    ..PLAIN
};

fn theta_by_layer(config: &mut Object) -> Result<(), Refusal> {
    if null(config, "layer_rope_theta") {
        let theta = config.get("rope_parameters").and_then(|rope| rope.get("rope_theta")).cloned();
        let theta =
            theta.filter(|theta| theta.as_f64().is_some()).ok_or("rope_parameters have no rope_theta")?;
        let count = layers::depth(config)?;
        config.insert("layer_rope_theta".into(), vec![theta; count].into());
    }
    Ok(())
}

/// Half of each head is rotated, whatever the file says.
fn half_rotated(_: &Class, _: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    extra.insert("partial_rotary_factor".into(), 0.5.into());
    Ok(())
}

/// The size of a Mamba head.
fn mamba_head(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if config.get("mamba_d_head").is_some_and(|size| size == "auto") {
        let inner = int(config, "mamba_expand")?.checked_mul(int(config, "hidden_size")?);
        let size = inner.and_then(|inner| floor_div(inner, int(config, "mamba_n_heads").ok()?));
        config.insert("mamba_d_head".into(), size.ok_or("mamba_n_heads is 0")?.into());
    }
    Ok(())
}

fn mamba_heads_fit(config: &Object) -> Result<(), Refusal> {
    let get = |key: &str| int(config, key);
    let inner = get("mamba_expand")?.checked_mul(get("hidden_size")?).ok_or("mamba_expand is too large")?;
    let heads = get("mamba_n_heads")?;
    if inner.checked_rem(heads) != Some(0) || get("mamba_d_head")?.checked_mul(heads) != Some(inner) {
        return Err("mamba_n_heads of mamba_d_head are not mamba_expand * hidden_size".into());
    }
    Ok(())
}
