//! MiniCPM 3.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::values::{Object, Refusal, int, null};
use crate::config::{rope, validate};

pub(super) const MINICPM3: Hooks =
    Hooks { before: &[sizes, scales], validate: &[validate::heads_fit], ..PLAIN };

fn sizes(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let rotated = int(config, "qk_rope_head_dim")?;
    let both = int(config, "qk_nope_head_dim")?.checked_add(rotated).ok_or("qk_nope_head_dim is absurd")?;
    config.insert("head_dim".into(), rotated.into());
    config.insert("qk_head_dim".into(), both.into());
    if null(config, "v_head_dim") {
        let size = rope::head_size(config)?;
        config.insert("v_head_dim".into(), size.into());
    }
    Ok(())
}

fn scales(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "scale_depth") {
        #[allow(clippy::cast_precision_loss)]
        let depth = (int(config, "num_hidden_layers")? as f64).sqrt();
        config.insert("scale_depth".into(), depth.into());
    }
    if null(config, "dim_model_base") {
        let width = int(config, "hidden_size")?;
        config.insert("dim_model_base".into(), width.into());
    }
    Ok(())
}
