//! Key-values that all text models share (`TextModel.set_gguf_parameters` of the reference).

use crate::config::{Config, Counts};
use crate::error::Result;
use crate::gguf::Value;
use crate::input::quoted;

use super::{Input, Keys};

/// What llama.cpp can load (`LLAMA_MAX_LAYERS`).
pub(super) const MOST_LAYERS: u32 = 512;

/// How experts are weighed, `expert_gating_func` (`ExpertGatingFuncType` of gguf-py).
pub(super) const SOFTMAX: u32 = 1;
pub(super) const SIGMOID: u32 = 2;
const SQRT_SOFTPLUS: u32 = 4;

/// Number of layers of the model.
///
/// # Errors
/// If there is none, or llama.cpp has no room for so many.
pub(super) fn layer_count(config: &Config) -> Result<u32> {
    layers_and_more(config, 0)
}

/// Number of layers of a model that has `more` than its configuration counts.
///
/// # Errors
/// As [`layer_count`].
pub(super) fn layers_and_more(config: &Config, more: u32) -> Result<u32> {
    let layers = config.require_u32(&["n_layers", "num_hidden_layers", "n_layer", "num_layers"])?;
    bounded_layers(config, u64::from(layers) + u64::from(more))
}

/// A number of layers that llama.cpp has room for.
///
/// # Errors
/// If it is not.
pub(super) fn bounded_layers(config: &Config, layers: u64) -> Result<u32> {
    let most = u64::from(MOST_LAYERS);
    u32::try_from(layers).ok().filter(|_| layers <= most).ok_or_else(|| {
        config.invalid(format!("num_hidden_layers: expected at most {MOST_LAYERS}, found {layers}"))
    })
}

/// Adds the keys all text models have.
///
/// # Errors
/// If a value in the config has the wrong type or makes no sense.
pub(super) fn common(input: &Input, keys: &mut Keys) -> Result<()> {
    common_of(input, input.config, keys)
}

/// [`common`] for a family that corrects the model's settings first.
///
/// # Errors
/// As [`common`].
pub(super) fn common_of(input: &Input, config: &Config, keys: &mut Keys) -> Result<()> {
    common_with(input, config, &input.rope, keys)
}

/// [`common`] for a family that corrects the model's settings, and those of rope, first.
///
/// # Errors
/// As [`common`].
pub(super) fn common_with(input: &Input, config: &Config, rope: &Config, keys: &mut Keys) -> Result<()> {
    keys.set("block_count", Value::U32(input.layers));
    let context = [
        "max_position_embeddings",
        "n_ctx",
        "n_positions",
        "max_length",
        "max_sequence_length",
        "model_max_length",
    ];
    keys.set_u32("context_length", config.u32(&context)?);
    keys.set_u32("embedding_length", config.u32(&["hidden_size", "n_embd", "dim"])?);
    let feed_forward = [
        "prefix_dense_intermediate_size",
        "dense_intermediate_size",
        "intermediate_size",
        "n_inner",
        "hidden_dim",
    ];
    counts(keys, "feed_forward_length", config.u32_or_list(&feed_forward)?);
    let heads = config.u32_or_list(&["num_attention_heads", "n_head", "n_heads"])?;
    if heads == Some(Counts::One(0)) {
        return Err(config.invalid("num_attention_heads: expected at least 1, found 0"));
    }
    counts(keys, "attention.head_count", heads);
    counts(keys, "attention.head_count_kv", config.u32_or_list(&["num_key_value_heads", "n_kv_heads"])?);
    if config.map().get("is_causal") == Some(&crate::json::Value::Bool(false)) {
        keys.set("attention.causal", Value::Bool(false));
    }
    rotation(rope, keys)?;
    keys.set_f32("attention.layer_norm_rms_epsilon", config.f32(&["rms_norm_eps", "norm_eps"])?);
    let epsilon = config.f32(&["layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"])?;
    keys.set_f32("attention.layer_norm_epsilon", epsilon);
    experts(config, keys)?;
    let head_dim = config.u32(&["head_dim"])?;
    keys.set_u32("attention.key_length", head_dim);
    keys.set_u32("attention.value_length", head_dim);
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

/// Sets `ARCH.key` if there is a value; the reference's writer leaves empty lists out.
pub(super) fn counts(keys: &mut Keys, key: &str, value: Option<Counts>) {
    match value {
        Some(Counts::One(value)) => keys.set(key, Value::U32(value)),
        Some(Counts::Each(values)) if !values.is_empty() => keys.set(key, Value::I32s(values)),
        Some(Counts::Each(_)) | None => {}
    }
}

/// A number that counts only if it is there and not 0.
pub(super) fn nonzero(config: &Config, keys: &[&str]) -> Result<Option<u32>> {
    Ok(config.u32(keys)?.filter(|number| *number != 0))
}

/// A number that has to go into a list, where GGUF's numbers are signed.
pub(super) fn signed(config: &Config, key: &str) -> Result<i32> {
    let number = config.require_u32(&[key])?;
    i32::try_from(number)
        .map_err(|_| config.invalid(format!("{key}: expected at most {}, found {number}", i32::MAX)))
}

/// `factor` × `size`, which the configuration must not make absurd.
pub(super) fn times(config: &Config, factor: u32, size: u32) -> Result<u32> {
    let problem = || config.invalid(format!("{factor} times a size of {size} does not fit 32 bits"));
    factor.checked_mul(size).ok_or_else(problem)
}

/// Adds `attention.sliding_window_pattern`: which of the layers in `layer_types` have a sliding window.
///
/// # Errors
/// If `layer_types` is there and no list of names.
pub(super) fn sliding_pattern(config: &Config, keys: &mut Keys) -> Result<()> {
    if let Some(kinds) = config.strings("layer_types")? {
        let slides = kinds.iter().map(|kind| *kind == "sliding_attention").collect();
        keys.set_bools("attention.sliding_window_pattern", slides);
    }
    Ok(())
}

/// The part of `dimensions` that is rotated, by `partial_rotary_factor`.
///
/// # Errors
/// If the factor is missing, no number, or not between 0 and 1.
pub(super) fn rotated_part(input: &Input, dimensions: u32) -> Result<u32> {
    fraction(input, dimensions, input.rope.require_f64(&["partial_rotary_factor"])?)
}

/// The part of `dimensions` that is rotated, by `partial_rotary_factor`, or `default` where that is missing.
///
/// # Errors
/// If the factor is no number, or not between 0 and 1.
pub(super) fn rotated(input: &Input, dimensions: u32, default: f64) -> Result<u32> {
    fraction(input, dimensions, input.rope.f64(&["partial_rotary_factor"])?.unwrap_or(default))
}

/// `factor` of `dimensions`, rounded down.
///
/// # Errors
/// If the factor is not between 0 and 1.
pub(super) fn fraction(input: &Input, dimensions: u32, factor: f64) -> Result<u32> {
    if !(0.0..=1.0).contains(&factor) {
        let problem = format!("expected a part of each head from 0 to 1 that is rotated, found {factor}");
        return Err(input.config.invalid(problem));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most `dimensions`")]
    Ok((f64::from(dimensions) * factor) as u32)
}

fn rotation(rope: &Config, keys: &mut Keys) -> Result<()> {
    let full = full_attention(rope)?;
    let kind = full.str(&["rope_type"])?;
    let scaled = matches!(kind, Some("linear" | "yarn")) && full.get(&["factor"]).is_some();
    match kind {
        Some(kind @ ("linear" | "yarn")) if scaled => {
            keys.set("rope.scaling.type", Value::String(kind.into()));
            keys.set_f32("rope.scaling.factor", full.f32(&["factor"])?);
            if kind == "yarn" {
                let original = full.require_u32(&["original_max_position_embeddings"])?;
                keys.set_u32("rope.scaling.original_context_length", Some(original));
                keys.set_f32("rope.scaling.yarn_ext_factor", full.f32(&["extrapolation_factor"])?);
                keys.set_f32(
                    "rope.scaling.yarn_attn_factor",
                    full.f32(&["attention_factor", "attn_factor"])?,
                );
                keys.set_f32("rope.scaling.yarn_beta_fast", full.f32(&["beta_fast"])?);
                keys.set_f32("rope.scaling.yarn_beta_slow", full.f32(&["beta_slow"])?);
            }
        }
        Some("su" | "longrope") => keys.set("rope.scaling.type", Value::String("longrope".into())),
        Some("default" | "dynamic") | None => {}
        Some(kind) if kind.eq_ignore_ascii_case("llama3") => {}
        Some(kind) => tracing::warn!("unknown rope type {} is ignored", quoted(kind)),
    }
    if let Some(sections) = rope.map().get("mrope_section") {
        keys.set("rope.dimension_sections", Value::I32s(mrope_sections(sections, rope)?));
    }
    keys.set_f32("rope.freq_base", full.f32(&["rope_theta"])?);
    keys.set_f32("rope.freq_base_swa", rope.section("sliding_attention")?.f32(&["rope_theta"])?);
    Ok(())
}

/// The settings of layers with full attention, where settings differ between kinds of layers.
///
/// # Errors
/// If they are not an object.
pub(super) fn full_attention(rope: &Config) -> Result<Config> {
    if rope.map().contains_key("full_attention") { rope.section("full_attention") } else { Ok(rope.clone()) }
}

/// The first four of `mrope_section`, filled up with zeros.
fn mrope_sections(value: &crate::json::Value, rope: &Config) -> Result<Vec<i32>> {
    let number = |v: &crate::json::Value| i32::try_from(v.as_i64()?).ok();
    let sections = value.as_array().and_then(|items| items.iter().map(number).collect::<Option<Vec<_>>>());
    let Some(mut sections) = sections else {
        return Err(rope.invalid("rope_parameters.mrope_section: expected a list of integers"));
    };
    sections.resize(4, 0);
    Ok(sections)
}

fn experts(config: &Config, keys: &mut Keys) -> Result<()> {
    keys.set_u32("expert_count", config.u32(&["num_local_experts", "num_experts", "n_routed_experts"])?);
    let used = ["num_experts_per_tok", "num_experts_per_token", "top_k_experts"];
    counts(keys, "expert_used_count", config.u32_or_list(&used)?);
    keys.set_u32("expert_group_count", config.u32(&["n_group"])?);
    keys.set_u32("expert_group_used_count", config.u32(&["topk_group"])?);
    let gating = [
        "score_function",
        "scoring_func",
        "score_func",
        "moe_router_activation",
        "moe_router_activation_func",
        "expert_selection_fn",
    ];
    if let Some(function) = config.str(&gating)? {
        let number = match function {
            "softmax" => SOFTMAX,
            "sigmoid" => SIGMOID,
            "sqrtsoftplus" => SQRT_SOFTPLUS,
            other => {
                return Err(config.unsupported(format!("unknown expert gating function {}", quoted(other))));
            }
        };
        keys.set_u32("expert_gating_func", Some(number));
    }
    Ok(())
}
