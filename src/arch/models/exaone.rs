//! Exaone (`ExaoneModel`, `Exaone4Model`, `Exaone4_5_TextModel`, `ExaoneMoEModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::NAMES;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, mtp, names, rope};
use crate::error::{Error, Result};
use crate::gguf::Value;
use crate::json::Value as Json;

pub(super) const EXAONE: Family = Family {
    names: &["ExaoneForCausalLM"],
    arch: "exaone",
    tensors: names::EXAONE,
    keys: first_keys,
    generate: rope::llama3_factors,
    ..TEXT
};

pub(super) const EXAONE4: Family = Family {
    names: &["Exaone4ForCausalLM"],
    arch: "exaone4",
    tensors: names::EXAONE4,
    keys: keys4,
    generate: |input, builder| rope::llama3_factors_or(input, builder, 16.0),
    ..TEXT
};

pub(super) const EXAONE4_5: Family = Family {
    names: &["Exaone4_5_ForConditionalGeneration"],
    layers: |config, _, _| keys::layers_and_more(config, keys::nonzero(config, &PREDICT)?.unwrap_or(0)),
    keys: |input, keys| {
        keys4(input, keys)?;
        keys.set_u32("nextn_predict_layers", keys::nonzero(input.config, &PREDICT)?);
        Ok(())
    },
    emit: |input, builder, tensor| match tensor.name.strip_prefix("mtp.") {
        // Without layers for prediction, what belongs to them is left out.
        Some(_) if u64::from(input.layers) == mtp::main_layers(input) => Ok(()),
        Some(rest) if tensor.name.contains(".layers.") => {
            let shared = input.config.bool(&["mtp_share_layers"])?.unwrap_or(false);
            prediction_layer(input, builder, &tensor, rest, shared)
        }
        Some(rest) => match prediction_name(rest) {
            Some((name, suffix)) => each_prediction_layer(input, builder, &tensor, name, suffix),
            None => Ok(()),
        },
        None => builder.add(tensor),
    },
    ..EXAONE4
};

pub(super) const EXAONE_MOE: Family = Family {
    names: &["ExaoneMoEForCausalLM", "ExaoneMoeForCausalLM"],
    arch: "exaone-moe",
    tensors: names::EXAONE_MOE,
    layers: |config, _, _| keys::layers_and_more(config, config.u32(&PREDICT)?.unwrap_or(0)),
    keys: moe_keys,
    emit: moe,
    ..EXAONE4
};

const PREDICT: [&str; 1] = ["num_nextn_predict_layers"];

fn first_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    if input.config.str(&["activation_function"])? != Some("silu") {
        return Err(input.config.unsupported("activation_function: only silu can be converted"));
    }
    let rotated = keys::rotated(input, rope::width_per_head(input)?, 1.0)?;
    keys.set_u32("rope.dimension_count", Some(rotated));
    Ok(())
}

fn keys4(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    let Some(window) = config.u32(&["sliding_window"])? else { return Ok(()) };
    keys.set_u32("attention.sliding_window", Some(window));
    if config.map().contains_key("layer_types") {
        return keys::sliding_pattern(config, keys);
    }
    let layers = config.require_u32(&["num_hidden_layers"])?.min(input.layers);
    let slides: Vec<bool> = match config.map().get("sliding_window_pattern") {
        Some(Json::String(pattern)) if pattern.is_empty() => {
            return Err(config.invalid("sliding_window_pattern is empty"));
        }
        Some(Json::String(pattern)) => {
            pattern.chars().map(|kind| kind == 'L').cycle().take(layers as usize).collect()
        }
        Some(Json::Int(0)) => return Err(config.invalid("sliding_window_pattern is 0")),
        Some(Json::Int(period)) => (1..=i64::from(layers)).map(|layer| layer % period != 0).collect(),
        _ => Vec::new(),
    };
    keys.set_bools("attention.sliding_window_pattern", slides);
    Ok(())
}

fn moe_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys4(input, keys)?;
    let config = input.config;
    let length = config.require_u32(&["moe_intermediate_size"])?;
    let shared = config.require_u32(&["num_shared_experts"])?;
    keys.set_u32("expert_feed_forward_length", Some(length));
    keys.set_u32("expert_shared_count", Some(shared));
    keys.set_u32("expert_shared_feed_forward_length", Some(keys::times(config, shared, length)?));
    keys.set_f32("expert_weights_scale", Some(config.require_f32(&["routed_scaling_factor"])?));
    keys.set_bool("expert_weights_norm", config.flag("norm_topk_prob")?);
    let dense = config.u32(&["first_k_dense_replace", "first_last_k_dense_replace"])?.unwrap_or(0);
    keys.set_u32("leading_dense_block_count", Some(dense));
    keys.set_u32("nextn_predict_layers", Some(config.u32(&PREDICT)?.unwrap_or(0)));
    keys.set("rope.scaling.type", Value::String("none".into()));
    Ok(())
}

fn moe(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if let Some(rest) = tensor.name.strip_prefix("mtp.") {
        if tensor.name.contains("layers.") {
            return prediction_layer(input, builder, &tensor, rest, false);
        }
        let Some((name, suffix)) = prediction_name(rest) else {
            return Err(Error::unsupported(format!("tensor {} is none that can be converted", tensor.name)));
        };
        return each_prediction_layer(input, builder, &tensor, name, suffix);
    }
    if tensor.name.contains("mlp.experts") {
        let count = input.config.require_u32(&["num_local_experts", "num_experts"])?;
        return builder.add_expert(tensor, count, &NAMES);
    }
    builder.add(tensor)
}

/// What a tensor that all layers for prediction share is called in each, and what follows that.
fn prediction_name(rest: &str) -> Option<(&'static str, &str)> {
    let (stem, suffix) = rest.rsplit_once('.')?;
    let name = match stem {
        "fc" => "eh_proj",
        "pre_fc_norm_embedding" => "enorm",
        "pre_fc_norm_hidden" => "hnorm",
        "norm" => "shared_head.norm",
        _ => return None,
    };
    Some((name, suffix))
}

/// The layers for prediction follow the model's own.
fn prediction_layers(input: &Input) -> std::ops::Range<u64> {
    mtp::main_layers(input)..u64::from(input.layers)
}

fn each_prediction_layer(
    input: &Input,
    builder: &mut Builder,
    tensor: &Tensor,
    name: &str,
    suffix: &str,
) -> Result<()> {
    for layer in prediction_layers(input) {
        let name = format!("model.layers.{layer}.{name}.{suffix}");
        builder.add(Tensor { name, layer: tensor.layer, expr: tensor.expr.clone() })?;
    }
    Ok(())
}

/// `mtp.layers.N.`…, which is the N-th after the model's own, or each of them if they share one.
fn prediction_layer(
    input: &Input,
    builder: &mut Builder,
    tensor: &Tensor,
    rest: &str,
    shared: bool,
) -> Result<()> {
    let number = tensor.layer.unwrap_or(0);
    let name = |layer: u64| match rest.strip_prefix(&format!("layers.{number}")) {
        Some(rest) => format!("model.layers.{layer}{rest}"),
        None => tensor.name.clone(),
    };
    let own = mtp::main_layers(input).saturating_add(number);
    let layers = if shared { prediction_layers(input) } else { own..own.saturating_add(1) };
    for layer in layers {
        builder.add(Tensor { name: name(layer), layer: tensor.layer, expr: tensor.expr.clone() })?;
    }
    Ok(())
}
