//! Falcon-H1: attention and Mamba 2 side by side in each layer (`FalconH1Model` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, keys, names};
use crate::config::Config;
use crate::error::Result;
use crate::json::Value;
use crate::tensor::TensorExpr;
use crate::vocab;

use super::granite_hybrid::require;
use super::mamba::{self, MAMBA2, Shape, epsilon};

pub(super) const FALCON_H1: Family = Family {
    names: &["FalconH1ForCausalLM"],
    arch: "falcon-h1",
    vocab: vocab::gpt2,
    tensors: names::FALCON_H1,
    keys: key_values,
    emit,
    ..MAMBA2
};

fn shape(config: &Config) -> Result<Shape> {
    Ok(Shape { inner: require(config, &["mamba_d_ssm"])?, groups: require(config, &["n_groups"])? })
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let Shape { inner, groups } = shape(config)?;
    let head = require(config, &["d_head"])?;
    if !inner.is_multiple_of(head) {
        let problem = format!("mamba_d_ssm: expected whole heads of {head}, found {inner}");
        return Err(config.invalid(problem));
    }
    if config.str(&["hidden_act"])?.is_some_and(|activation| activation != "silu") {
        return Err(config.unsupported("hidden_act: only silu can be converted"));
    }
    let or = |keys: &[&str], default: u32| {
        Ok::<_, crate::error::Error>(keys::nonzero(config, keys)?.unwrap_or(default))
    };
    let own_head = or(&["mamba_d_head", "head_dim"], 64)?;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.set_u32("context_length", Some(config.u32(&["max_position_embeddings"])?.unwrap_or(0)));
    keys.set_u32("embedding_length", Some(require(config, &["hidden_size", "d_model", "dim"])?));
    keys.set_u32("feed_forward_length", get("intermediate_size")?);
    keys.set_u32("attention.head_count", get("num_attention_heads")?);
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32(
        "ssm.conv_kernel",
        Some(or(&["conv_kernel", "d_conv", "mamba_conv_kernel", "mamba_d_conv"], 4)?),
    );
    keys.set_u32("ssm.inner_size", Some(inner));
    keys.set_u32(
        "ssm.state_size",
        Some(or(&["state_size", "d_state", "mamba_state_size", "mamba_d_state"], 128)?),
    );
    keys.set_u32("ssm.time_step_rank", Some(inner / own_head));
    keys.set_u32("ssm.group_count", Some(groups));
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(epsilon(input, 1e-5)?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    keys.set_u32("vocab_size", get("vocab_size")?);
    keys.set_u32("attention.head_count_kv", get("num_key_value_heads")?);
    let head = get("head_dim")?;
    keys.set_u32("attention.key_length", head);
    keys.set_u32("attention.value_length", head);
    keys.set_f32("rope.freq_base", Some(input.rope.require_f32(&["rope_theta"])?));
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let config = input.config;
    let mlp = |at: usize| Ok::<_, crate::error::Error>(vec![item(config, "mlp_multipliers", at)?]);
    let of = |keys: &[&str]| keys.iter().map(|key| config.require_f32(&[*key])).collect::<Result<Vec<_>>>();
    let has = |part: &str| tensor.name.contains(part);
    let multipliers = match () {
        () if has("down_proj") => mlp(1)?,
        () if has("gate_proj") => mlp(0)?,
        () if has("k_proj") => of(&["key_multiplier", "attention_in_multiplier"])?,
        () if has("q_proj") || has("v_proj") => of(&["attention_in_multiplier"])?,
        () if has("o_proj") => of(&["attention_out_multiplier"])?,
        () if has("out_proj") => of(&["ssm_out_multiplier"])?,
        () if has("in_proj") => of(&["ssm_in_multiplier"])?,
        () if has("lm_head") => of(&["lm_head_multiplier"])?,
        () if has("embed_tokens") => of(&["embedding_multiplier"])?,
        () => Vec::new(),
    };
    let parts = has("in_proj");
    tensor.expr = multipliers.into_iter().fold(tensor.expr, scaled);
    if parts {
        tensor.expr = by_part(config, builder, &tensor)?;
    }
    mamba::mamba2(builder, tensor, shape(config)?)
}

/// What is multiplied by exactly 1 stays as it is, and can be shared.
#[allow(clippy::float_cmp)]
fn scaled(expr: TensorExpr, multiplier: f32) -> TensorExpr {
    if multiplier == 1.0 { expr } else { expr.times(multiplier) }
}

fn item(config: &Config, key: &str, at: usize) -> Result<f32> {
    let number = config.map().get(key).and_then(Value::as_array).and_then(|list| list.get(at)?.as_f64());
    #[allow(clippy::cast_possible_truncation)]
    number
        .map(|number| number as f32)
        .ok_or_else(|| config.invalid(format!("{key}: expected at least {} numbers", at + 1)))
}

/// The rows that give gates, inputs, two projections of the state, and time steps have multipliers of their own.
fn by_part(config: &Config, builder: &Builder, tensor: &Tensor) -> Result<TensorExpr> {
    let Shape { inner, .. } = shape(config)?;
    let states = keys::times(
        config,
        config.require_u32(&["mamba_n_groups"])?,
        config.require_u32(&["mamba_d_state"])?,
    )?;
    let rows = tensor.expr.shape().first().copied().unwrap_or(0);
    let mut ends = vec![0];
    for size in [inner, inner, states, states] {
        ends.push(ends.last().copied().unwrap_or(0) + u64::from(size));
    }
    ends.push(rows);
    if !ends.is_sorted() {
        let problem = format!("expected more than 2 × {inner} and 2 × {states} rows, found {rows}");
        return Err(builder.invalid(format!("{}: {problem}", tensor.name)));
    }
    let parts = ends.windows(2).enumerate().map(|(at, ends)| {
        let part = tensor.expr.clone().rows(ends[0], ends[1])?;
        Ok(scaled(part, item(config, "ssm_multipliers", at)?))
    });
    TensorExpr::concat(parts.collect::<Result<_>>()?)
}
