//! Refact (`RefactModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, names};
use crate::config::Config;
use crate::error::Result;

pub(super) const REFACT: Family = Family {
    names: &["GPTRefactForCausalLM"],
    arch: "refact",
    tensors: names::REFACT,
    keys: key_values,
    emit,
    ..TEXT
};

/// Two thirds of four times the width, rounded up to a multiple of 256.
fn feed_forward(config: &Config) -> Result<u32> {
    let width = f64::from(config.require_u32(&["n_embd"])?);
    let part = (2.0 * (4.0 * width) / 3.0).trunc();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in the range of 32 bits")]
    let part = (part <= f64::from(u32::MAX)).then_some(part as u32);
    let size = part.and_then(|part| part.checked_next_multiple_of(256));
    size.ok_or_else(|| config.invalid("n_embd is absurd"))
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.set_u32("context_length", get("n_positions")?);
    keys.set_u32("embedding_length", get("n_embd")?);
    keys.set_u32("feed_forward_length", Some(feed_forward(config)?));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("attention.head_count", get("n_head")?);
    keys.set_u32("attention.head_count_kv", Some(1));
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(config.require_f32(&["layer_norm_epsilon"])?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

/// Keys and values are in one matrix, of one head each, and gate and up are.
fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let config = input.config;
    let Some(layer) = tensor.layer else { return builder.add(tensor) };
    let (parts, rows) = match tensor.name.strip_prefix(&format!("transformer.h.{layer}.")) {
        Some("attn.kv.weight") => {
            let heads = config.require_u32(&["n_head"])?;
            let size = config.require_u32(&["n_embd"])?.checked_div(heads);
            let none = || config.invalid("n_head: expected at least 1, found 0");
            (["attn_k", "attn_v"], size.ok_or_else(none)?)
        }
        Some("mlp.gate_up_proj.weight") => (["ffn_gate", "ffn_up"], feed_forward(config)?),
        Some("attn.q.weight") => {
            return builder.add(Tensor { name: format!("blk.{layer}.attn_q.weight"), ..tensor });
        }
        _ => return builder.add(tensor),
    };
    let (rows, all) = (u64::from(rows), tensor.expr.shape().first().copied().unwrap_or(0));
    if rows > all {
        return Err(builder.invalid(format!("{}: expected more than {rows} rows, found {all}", tensor.name)));
    }
    for (part, (from, to)) in parts.into_iter().zip([(0, rows), (rows, all)]) {
        let expr = tensor.expr.clone().rows(from, to)?;
        builder.add(Tensor { name: format!("blk.{layer}.{part}.weight"), layer: tensor.layer, expr })?;
    }
    Ok(())
}
