//! Mamba, and Jamba, which has layers of it.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::values::{Object, Refusal, int};

pub(super) const MAMBA: Hooks = Hooks { before: &[inner_size, time_step_rank], ..PLAIN };

pub(super) const FALCON_MAMBA: Hooks = Hooks { before: &[mambapy, inner_size, time_step_rank], ..PLAIN };

pub(super) const MAMBA2: Hooks = Hooks { before: &[time_step_rank], validate: &[heads_fit], ..PLAIN };

pub(super) const JAMBA: Hooks = Hooks { before: &[mamba_dt_rank], validate: &[offsets], ..PLAIN };

fn mambapy(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    let mambapy = extra.shift_remove("use_falcon_mambapy").unwrap_or(false.into());
    config.insert("use_mambapy".into(), mambapy);
    Ok(())
}

fn inner_size(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let inner = int(config, "expand")?.checked_mul(int(config, "hidden_size")?);
    config.insert("intermediate_size".into(), inner.ok_or("expand is too large")?.into());
    Ok(())
}

fn time_step_rank(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    set_rank(config, "time_step_rank")
}

fn mamba_dt_rank(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    set_rank(config, "mamba_dt_rank")
}

/// The rank of time steps: a sixteenth of the width.
fn set_rank(config: &mut Object, key: &str) -> Result<(), Refusal> {
    if config.get(key).is_some_and(|rank| rank == "auto") {
        let hidden = int(config, "hidden_size")?;
        let rank = hidden.div_euclid(16) + i64::from(hidden.rem_euclid(16) != 0);
        config.insert(key.into(), rank.into());
    }
    Ok(())
}

fn heads_fit(config: &Object) -> Result<(), Refusal> {
    let get = |key: &str| int(config, key);
    let inner = get("hidden_size")?.checked_mul(get("expand")?);
    if inner.is_none() || inner != get("num_heads")?.checked_mul(get("head_dim")?) {
        return Err("num_heads * head_dim is not expand * hidden_size".into());
    }
    Ok(())
}

fn offsets(config: &Object) -> Result<(), Refusal> {
    for kind in ["attn", "expert"] {
        let (offset, period) = (format!("{kind}_layer_offset"), format!("{kind}_layer_period"));
        if int(config, &offset)? >= int(config, &period)? {
            return Err(format!("{offset} is not smaller than {period}"));
        }
    }
    Ok(())
}
