//! Step 3.5 and 3.7 (`Step35Model` of the reference).

use std::f64::consts::TAU;

use crate::arch::builder::Builder;
use crate::arch::powf::BASES;
use crate::arch::{Family, Input, Keys, Mtp, TEXT, bare, keys, mtp, names, rope};
use crate::config::Config;
use crate::error::Result;
use crate::gguf::Value;
use crate::json::{Value as Json, json};
use crate::tensor::TensorExpr;

pub(super) const STEP35: Family = Family {
    names: &["Step3p5ForCausalLM", "Step3p7ForConditionalGeneration"],
    arch: "step35",
    tensors: names::STEP35,
    mtp: true,
    // transformers has a class, whose settings go by names that neither the reference nor llama.cpp know.
    settings: bare,
    layers: mtp::layers,
    keys: key_values,
    rename: |input, name| {
        let bias = name.ends_with(".moe.router_bias");
        let name = mtp::rename(input, &if bias { format!("{name}.bias") } else { name.to_owned() })?;
        Some(match mtp::predicts(input, &name) {
            true => name.replace(".transformer.", ".").replace("shared_head.output", "shared_head.head"),
            false => name,
        })
    },
    generate: factors,
    emit: |_, builder, mut tensor| {
        if tensor.name.ends_with("norm.weight") {
            tensor.expr = tensor.expr.plus(1.0);
        }
        let matrices = ["self_attn.g_proj", "moe.gate", "moe.up_proj", "moe.gate_proj", "moe.down_proj"];
        if matrices.iter().any(|matrix| tensor.name.ends_with(&format!(".{matrix}.weight"))) {
            tensor.expr = tensor.expr.squeeze();
        }
        builder.add(tensor)
    },
    ..TEXT
};

const SLIDES: &str = "sliding_attention";

/// Settings of the kinds of layers, one for each layer, those for prediction among them.
struct Layers {
    slides: Vec<bool>,
}

impl Layers {
    /// # Errors
    /// If kinds of layers and the parts of heads that they rotate do not go together as llama.cpp has them.
    fn new(input: &Input) -> Result<Self> {
        let config = input.config;
        let count = input.layers as usize;
        let mut slides: Vec<bool> =
            config.strings("layer_types")?.unwrap_or_default().iter().map(|kind| *kind == SLIDES).collect();
        slides.resize(count, false);
        let given = config.map().get("partial_rotary_factors").and_then(Json::as_array);
        let mut parts: Vec<_> = given.into_iter().flatten().map(Json::as_f64).collect();
        parts.resize(count, Some(0.5));
        if !slides.iter().zip(parts).all(|(slides, part)| part == Some(if *slides { 1.0 } else { 0.5 })) {
            let problem =
                "partial_rotary_factors: expected 1.0 for layers with a sliding window and 0.5 for others";
            return Err(config.unsupported(problem));
        }
        Ok(Self { slides })
    }

    fn heads(&self, config: &Config, all: &str, key: &str, other: &Config) -> Result<Value> {
        let own = keys::signed(config, all)?;
        let sliding = if other.get(&[key]).is_some() { keys::signed(other, key)? } else { own };
        Ok(Value::I32s(self.slides.iter().map(|slides| if *slides { sliding } else { own }).collect()))
    }
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let thetas = config.map().get("rope_theta").and_then(Json::as_array).map(Vec::as_slice);
    let rope = match thetas {
        None => input.rope.clone(),
        Some([full, sliding, ..]) => {
            let sliding = json!({"rope_theta": sliding});
            input.rope.replaced("rope_theta", full.clone()).replaced(SLIDES, sliding)
        }
        Some(_) => return Err(config.invalid("rope_theta: expected two numbers or more")),
    };
    keys::common_with(input, config, &rope, keys)?;
    let layers = Layers::new(input)?;
    let other = config.optional_section("attention_other_setting")?;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.set(
        "attention.head_count",
        layers.heads(config, "num_attention_heads", "num_attention_heads", &other)?,
    );
    keys.set(
        "attention.head_count_kv",
        layers.heads(config, "num_attention_groups", "num_attention_groups", &other)?,
    );
    keys.set_u32("attention.sliding_window", get("sliding_window")?);
    keys.set_bools("attention.sliding_window_pattern", layers.slides);
    keys.set_u32("attention.value_length", get("head_dim")?);
    keys.set_u32("expert_count", get("moe_num_experts")?);
    keys.set_u32("expert_used_count", get("moe_top_k")?);
    keys.set_u32("expert_feed_forward_length", get("moe_intermediate_size")?);
    keys.set_u32("expert_shared_feed_forward_length", get("share_expert_dim")?);
    keys.set_f32("expert_weights_scale", config.f32(&["moe_router_scaling_factor"])?);
    keys.set_bool("expert_weights_norm", config.bool(&["norm_expert_weight"])?);
    keys.set_u32("leading_dense_block_count", Some(first_sparse(config)?));
    keys.set_u32("moe_every_n_layers", Some(config.u32(&["moe_every_n_layer"])?.unwrap_or(1)));
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(config.f32(&["rms_norm_eps"])?.unwrap_or(1e-5)));
    limits(input, keys, "swiglu_clamp_exp", "swiglu_limits")?;
    limits(input, keys, "swiglu_clamp_shexp", "swiglu_limits_shared")?;
    let more = keys::nonzero(config, &["num_nextn_predict_layers"])?;
    keys.set_u32("nextn_predict_layers", more.filter(|_| input.options.mtp != Mtp::Drop));
    Ok(())
}

/// The first layer with experts, of a list of their numbers.
fn first_sparse(config: &Config) -> Result<u32> {
    let Some(Json::String(list)) = config.map().get("moe_layers_enum") else { return Ok(0) };
    if list.trim().is_empty() {
        return Ok(0);
    }
    let numbers = list.trim().split(',').map(|number| number.trim().parse::<u32>().ok());
    let numbers: Option<Vec<u32>> = numbers.collect();
    let first = numbers.and_then(|numbers| numbers.into_iter().min());
    first
        .ok_or_else(|| config.invalid("moe_layers_enum: expected numbers of layers with commas between them"))
}

/// What is largest in feed-forward layers; 0 where nothing is.
fn limits(input: &Input, keys: &mut Keys, key: &str, setting: &str) -> Result<()> {
    let config = input.config;
    let Some((_, given)) = config.get(&[setting]) else { return Ok(()) };
    #[allow(clippy::cast_possible_truncation)]
    let number = |limit: &Json| if limit.is_null() { Some(0.0) } else { limit.as_f64().map(|n| n as f32) };
    let limits = given.as_array().and_then(|limits| limits.iter().map(number).collect::<Option<Vec<f32>>>());
    let mut limits =
        limits.ok_or_else(|| config.invalid(format!("{setting}: expected a list of numbers")))?;
    limits.resize(input.layers as usize, 0.0);
    keys.set(key, Value::F32s(limits));
    Ok(())
}

/// Llama 3's factors, for the part of each head that full attention rotates; 1 for the rest.
fn factors(input: &Input, builder: &mut Builder) -> Result<()> {
    let config = input.config;
    let full = keys::full_attention(&input.rope)?;
    if !full.str(&["rope_type"])?.is_some_and(|kind| kind.eq_ignore_ascii_case("llama3")) {
        return Ok(());
    }
    let size = rope::dimension_count(input)?;
    let kinds = config.strings("layer_types")?.unwrap_or_default();
    let parts = config.map().get("partial_rotary_factors").and_then(Json::as_array);
    let mut both = kinds.iter().zip(parts.into_iter().flatten()).take(input.layers as usize);
    let part = both.find(|(kind, _)| **kind == "full_attention").and_then(|(_, part)| part.as_f64());
    let part =
        part.ok_or_else(|| config.invalid("layer_types and partial_rotary_factors: no full attention"))?;
    let theta = match config.map().get("rope_theta") {
        Some(Json::Array(each)) => each.first().and_then(Json::as_f64),
        None => Some(10_000.0),
        Some(theta) => theta.as_f64(),
    };
    let theta = theta.filter(|theta| BASES.contains(theta));
    let theta =
        theta.ok_or_else(|| config.invalid("rope_theta: expected a positive number or a list of them"))?;
    let get = |key: &str, default: f64| {
        let number = if full.map().contains_key(key) { full.require_f64(&[key])? } else { default };
        let positive = Some(number).filter(|number| BASES.contains(number));
        positive.ok_or_else(|| full.invalid(format!("{key}: expected a positive number that is not absurd")))
    };
    let (factor, context) = (get("factor", 8.0)?, get("original_max_position_embeddings", 8192.0)?.trunc());
    let (low, high) = (get("low_freq_factor", 1.0)?, get("high_freq_factor", 4.0)?);
    if size > rope::LARGEST_HEAD {
        return Err(
            config.invalid(format!("head_dim: expected at most {}, found {size}", rope::LARGEST_HEAD))
        );
    }
    let scaled = |frequency: f32| {
        let wavelength = TAU / f64::from(frequency);
        if wavelength < context / high {
            return 1.0;
        }
        if wavelength > context / low {
            return factor;
        }
        let smooth = (context / wavelength - low) / (high - low);
        1.0 / ((1.0 - smooth) / factor + smooth)
    };
    #[allow(clippy::cast_possible_truncation)]
    let mut factors: Vec<f32> = rope::frequencies(theta, keys::fraction(input, size, part)?)
        .into_iter()
        .map(|frequency| scaled(frequency) as f32)
        .collect();
    factors.resize(factors.len().max(size as usize / 2), 1.0);
    builder.add_as("rope_freqs.weight".into(), None, TensorExpr::values(factors))
}
