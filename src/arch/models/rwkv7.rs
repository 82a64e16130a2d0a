//! RWKV 7 and models that Qwen 2 was turned into with it (`Rwkv7Model`, `ARwkv7Model` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, names};
use crate::config::{Config, truthy};
use crate::error::Result;
use crate::tensor::TensorExpr;
use crate::vocab;

use super::mamba::CONTEXT;
use super::rwkv::with_suffix;

pub(super) const RWKV7: Family = Family {
    names: &["RWKV7ForCausalLM", "Rwkv7ForCausalLM"],
    arch: "rwkv7",
    vocab: vocab::rwkv,
    tensors: names::RWKV7,
    keys: key_values,
    rename: |_, name| Some(common_name(name)),
    emit,
    ..TEXT
};

pub(super) const ARWKV7: Family = Family {
    names: &["RwkvHybridForCausalLM"],
    arch: "arwkv7",
    vocab: vocab::qwen2,
    tensors: names::ARWKV7,
    keys: hybrid_keys,
    ..RWKV7
};

/// What the ranks of low-rank matrices are called: in configurations of RWKV's own and of flash-linear-attention's; and how
/// they follow from the model's width where they are null.
const RANKS: [(&str, &str, &str, f64, f64); 4] = [
    ("decay_lora_rank", "lora_rank_decay", "decay_low_rank_dim", 0.5, 1.8),
    ("iclr_lora_rank", "lora_rank_iclr", "a_low_rank_dim", 0.5, 1.8),
    ("value_residual_mix_lora_rank", "lora_rank_value_residual_mix", "v_low_rank_dim", 0.5, 1.3),
    ("gate_lora_rank", "lora_rank_gate", "gate_low_rank_dim", 0.8, 0.6),
];

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let has = |key: &str| config.map().contains_key(key);
    let own = has("head_size") && has("layer_norm_epsilon");
    let (head, epsilon) = if own { ("head_size", "layer_norm_epsilon") } else { ("head_dim", "norm_eps") };
    let width = config.require_u32(&["hidden_size"])?;
    keys.set_u32("context_length", Some(CONTEXT));
    keys.set_u32("embedding_length", Some(width));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_f32("attention.layer_norm_epsilon", Some(config.require_f32(&[epsilon])?));
    keys.set_u32("wkv.head_size", Some(config.require_u32(&[head])?));
    let own = RANKS.iter().all(|(_, own, ..)| has(own));
    for (key, first, second, exponent, factor) in RANKS {
        let rank = nullable(config, if own { first } else { second })?;
        keys.set_u32(
            &format!("attention.{key}"),
            Some(rank.unwrap_or_else(|| low_rank(width, exponent, factor))),
        );
    }
    let inner = match nullable(config, "intermediate_size")? {
        Some(inner) => inner,
        None => crate::arch::keys::times(config, 4, width)?,
    };
    keys.set_u32("feed_forward_length", Some(inner));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    keys.set_u32("attention.head_count", Some(0));
    Ok(())
}

/// A number that has to be there, but may be null.
fn nullable(config: &Config, key: &str) -> Result<Option<u32>> {
    match config.map().contains_key(key) {
        true => config.u32(&[key]),
        false => config.require_u32(&[key]).map(Some),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "far below 2^32")]
fn low_rank(width: u32, exponent: f64, factor: f64) -> u32 {
    (f64::from(width).powf(exponent) * factor / 32.0).round_ties_even().max(1.0) as u32 * 32
}

fn hybrid_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    if get("wkv_version")? != Some(7) {
        return Err(config.unsupported("wkv_version: only 7 can be converted"));
    }
    let gate = config.get(&["wkv_has_gate"]).ok_or_else(|| config.invalid("wkv_has_gate is missing"))?.1;
    keys.set_u32("context_length", Some(CONTEXT));
    keys.set_u32("embedding_length", get("hidden_size")?);
    keys.set_u32("block_count", Some(input.layers));
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(config.require_f32(&["rms_norm_eps"])?));
    keys.set_u32("wkv.head_size", get("head_size")?);
    let ranks = [64, 64, 32, if truthy(gate) { 128 } else { 0 }];
    for ((key, ..), rank) in RANKS.iter().zip(ranks) {
        keys.set_u32(&format!("attention.{key}"), Some(rank));
    }
    keys.set_u32("feed_forward_length", get("intermediate_size")?);
    keys.values.set_u32("general.file_type", input.ftype as u32);
    keys.set_u32("token_shift_count", Some(1));
    keys.set_u32("attention.head_count", Some(0));
    Ok(())
}

/// One name for what three programs call differently.
fn common_name(name: &str) -> String {
    [
        ("blocks", "layers"),
        ("ffn", "feed_forward"),
        ("self_attn", "attention"),
        ("attn", "attention"),
        ("time_mixer.", ""),
        ("feed_forward_norm", "ln2"),
        ("g_norm", "ln_x"),
    ]
    .iter()
    .fold(name.to_owned(), |name, (old, new)| name.replace(old, new))
}

/// Low-rank matrices, which RWKV's own models store the other way round.
const TURNED: [&str; 8] = ["w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2"];

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let linear = tensor.name.contains("_lora.lora");
    for (old, new) in [(".0.weight", "1.weight"), (".2.weight", "2.weight"), (".2.bias", "0.weight")] {
        tensor.name = tensor.name.replace(&format!("_lora.lora{old}"), new);
    }
    if tensor.layer == Some(0)
        && tensor.name.contains("attention.v")
        && !builder.resolve(&tensor.name)?.contains("value")
    {
        // The first layer has no layer before whose values it could use.
        return Ok(());
    }
    if let Some(layer) = tensor.layer.filter(|_| tensor.name.contains("attention.x_")) {
        return mix(input, builder, tensor, layer);
    }
    let (layer, expr) = (tensor.layer, tensor.expr.squeeze());
    let name = with_suffix(builder.resolve(&tensor.name)?);
    let turned = TURNED.iter().any(|part| name.ends_with(&format!("time_mix_{part}.weight")));
    let expr = if turned && !linear { expr.swap_axes(0, 1)? } else { expr };
    let expr = match name.contains("r_k") {
        true => expr.clone().reshape(&[expr.elements()])?,
        false => expr,
    };
    if layer == Some(0) && name.contains("time_mix_a") {
        // Readers want some.
        builder.add_as(name.replace("time_mix_a", "time_mix_v"), layer, expr.clone())?;
    }
    builder.add_as(name, layer, expr)
}

/// How far a layer looks at the token before, for each of what it computes: one tensor, or parts of one.
fn mix(input: &Input, builder: &mut Builder, tensor: Tensor, layer: u64) -> Result<()> {
    const MIXED: [&str; 6] = ["r", "w", "k", "v", "a", "g"];
    let gate = input.config.map().get("wkv_has_gate").is_none_or(truthy);
    let mixed = if gate { &MIXED[..] } else { &MIXED[..5] };
    let name = format!("blk.{layer}.time_mix_lerp_fused.weight");
    if tensor.name.contains("attention.x_x") {
        let count = mixed.len() as u64;
        let (elements, found) = (tensor.expr.elements(), tensor.expr.shape().to_vec());
        let expr = tensor.expr.reshape(&[count, 1, 1, elements / count]);
        let expr = expr.map_err(|_| {
            builder.invalid(format!("{}: expected {count} equal parts, found shape {found:?}", tensor.name))
        })?;
        return builder.add_as(name, Some(layer), expr);
    }
    let parts: Vec<_> = mixed.iter().map(|part| format!("model.layers.{layer}.attention.x_{part}")).collect();
    match builder.gather(&name, tensor, &parts) {
        Some(parts) => builder.add_as(name, Some(layer), TensorExpr::stack(parts)?),
        None => Ok(()),
    }
}
