//! Nemotron-H: each layer is one of Mamba 2, of attention, of a plain MLP, or of experts; Puzzle varies the
//! experts from layer to layer (`NemotronHModel`, `NemotronHPuzzleModel` of the reference).

use crate::json::Value as Json;
use crate::vocab::{Padding, gpt2, padded};

use crate::arch::builder::Builder;
use crate::arch::experts::ExpertNames;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, Mtp, Options, TEXT, keys, names};
use crate::checkpoint::Checkpoint;
use crate::config::{Config, truthy};
use crate::error::Result;
use crate::gguf::Value;

use super::granite;
use super::granite_hybrid::{self, hybrid_keys, per_layer, require};
use super::llama;
use super::mamba::{self, Shape};

pub(super) const NEMOTRON_H: Family = Family {
    names: &["NemotronHForCausalLM"],
    arch: "nemotron_h",
    vocab: |kv, files, config| gpt2(kv, files, &padded(Padding::To(8), files, config)?),
    tensors: names::NEMOTRON_H,
    mtp: true,
    settings: TEXT.settings,
    layers,
    variant,
    keys: key_values,
    rename,
    emit,
    ..granite_hybrid::GRANITE_HYBRID
};

static NEMOTRON_H_MOE: Family =
    Family { names: &[], arch: "nemotron_h_moe", tensors: names::NEMOTRON_H_MOE, ..NEMOTRON_H };

pub(super) const NEMOTRON_H_PUZZLE: Family = Family {
    names: &["NemotronHPuzzleForCausalLM"],
    arch: "nemotron_h_moe",
    tensors: names::NEMOTRON_H_MOE,
    mtp: false,
    layers: |config, _, _| keys::bounded_layers(config, block_configs(config)?.len() as u64),
    variant: |input| {
        llama::refuse_drafts(input)?;
        Ok(None)
    },
    keys: puzzle_keys,
    rename: |input, name| if name.starts_with("mtp.") { None } else { rename(input, name) },
    emit: |input, builder, mut tensor| {
        if let Some(name) = tensor.name.strip_prefix("model.") {
            tensor.name = format!("backbone.{name}");
        }
        emit(input, builder, tensor)
    },
    ..NEMOTRON_H
};

const EXPERTS: ExpertNames = ExpertNames {
    one: "backbone.layers.{bid}.mixer.experts.{xid}.{matrix}.weight",
    stack: "model.layers.{bid}.mlp.experts.{matrix}.weight",
    matrices: &["down_proj", "up_proj"],
};

/// Puzzle's experts, layer by layer.
fn block_configs(config: &Config) -> Result<&Vec<Json>> {
    let list = config.map().get("block_configs").and_then(Json::as_array);
    list.ok_or_else(|| config.invalid("block_configs: expected a list of the layers' settings"))
}

fn is_puzzle(config: &Config) -> bool {
    config.architecture().is_ok_and(|name| NEMOTRON_H_PUZZLE.names.contains(&name))
}

fn has_experts(config: &Config) -> bool {
    let own = |map: &crate::json::Map<String, Json>| map.contains_key("num_experts_per_tok");
    own(config.map()) || config.map().get("llm_config").and_then(Json::as_object).is_some_and(own)
}

/// Layers without those for multi-token prediction.
fn trunk(config: &Config) -> Result<u32> {
    match config.get(&["layers_block_type"]) {
        Some((_, Json::Array(layers))) => keys::bounded_layers(config, layers.len() as u64),
        _ => keys::layer_count(config),
    }
}

/// The layer for multi-token prediction, if there is one. Puzzle's is another, and left out.
fn prediction_layer(config: &Config, options: &Options) -> Result<Option<u32>> {
    if is_puzzle(config) || !has_experts(config) || options.mtp == Mtp::Drop {
        return Ok(None);
    }
    match config.u32(&["num_nextn_predict_layers"])? {
        None | Some(0) => Ok(None),
        Some(1) => Ok(Some(trunk(config)?)),
        Some(count) => {
            Err(config
                .unsupported(format!("num_nextn_predict_layers: only 1 can be converted, found {count}")))
        }
    }
}

fn layers(config: &Config, options: &Options, _: &Checkpoint) -> Result<u32> {
    let last = prediction_layer(config, options)?.map_or_else(|| trunk(config), |layer| Ok(layer + 1))?;
    keys::bounded_layers(config, last.into())
}

fn variant(input: &Input) -> Result<Option<&'static Family>> {
    llama::refuse_drafts(input)?;
    if input.options.mtp == Mtp::Only && prediction_layer(input.config, input.options)?.is_none() {
        return Err(input.config.unsupported("--mtp: the model has no layers for multi-token prediction"));
    }
    Ok(has_experts(input.config).then_some(&NEMOTRON_H_MOE))
}

/// Whether each layer is one of Mamba, of attention, or of the MLP or experts.
struct Layers {
    states: Vec<bool>,
    attention: Vec<bool>,
    mlp: Vec<bool>,
}

impl Layers {
    fn of(input: &Input) -> Result<Self> {
        let config = input.config;
        let prediction = prediction_layer(config, input.options)?;
        let count = input.layers as usize - usize::from(prediction.is_some());
        let puzzle = is_puzzle(config);
        let given = |key: &str| config.map().get(key).filter(|pattern| truthy(pattern));
        let kinds: Vec<char> = match (given("hybrid_override_pattern"), given("layers_block_type")) {
            (Some(Json::String(pattern)), _) => pattern.chars().take(count + 1).collect(),
            (Some(Json::Array(kinds)), _) => letters(kinds),
            (None, _) if puzzle => {
                let kind = |layer: &Json| layer.get("block_type").map_or('?', letter);
                block_configs(config)?.iter().map(kind).collect()
            }
            (None, Some(Json::Array(kinds))) => letters(kinds),
            (None, None) => vec!['?'; count],
            _ => return Err(config.invalid("hybrid_override_pattern: expected a string, or a list of names")),
        };
        if kinds.len() != count {
            return Err(config.invalid(format!(
                "hybrid_override_pattern/layers_block_type: expected {count} layers, found {}",
                kinds.len()
            )));
        }
        let mlp = if has_experts(config) || puzzle { 'E' } else { '-' };
        let which = |letter: char, predicts: bool| -> Vec<bool> {
            let trunk = kinds.iter().map(|kind| *kind == letter);
            trunk.chain(prediction.map(|_| predicts)).collect()
        };
        Ok(Self { states: which('M', false), attention: which('*', true), mlp: which(mlp, true) })
    }
}

fn letters(kinds: &[Json]) -> Vec<char> {
    kinds.iter().map(letter).collect()
}

fn letter(kind: &Json) -> char {
    match kind.as_str() {
        Some("mamba" | "linear_attention") => 'M',
        Some("attention" | "full_attention") => '*',
        Some("moe") => 'E',
        _ => '?',
    }
}

fn sizes(input: &Input) -> Result<Shape> {
    let config = input.config;
    let head = require(config, &["mamba_head_dim", "hidden_size", "d_model"])?;
    let inner = keys::times(config, require(config, &["num_heads"])?, head)?;
    Ok(Shape { inner, groups: require(config, &["n_groups", "num_groups"])? })
}

/// The keys that all have, and the layers.
fn trunk_keys(input: &Input, keys: &mut Keys) -> Result<Layers> {
    let config = input.config;
    let layers = Layers::of(input)?;
    let rotates = !layers.states.contains(&true);
    hybrid_keys(input, keys, sizes(input)?, &layers.attention, rotates)?;
    let head = match config.map().contains_key("head_dim") {
        true => config.require_u32(&["head_dim"])?,
        false => config.require_u32(&["attention_head_dim"])?,
    };
    keys.set_u32("attention.key_length", Some(head));
    keys.set_u32("attention.value_length", Some(head));
    Ok(layers)
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let layers = trunk_keys(input, keys)?;
    if !has_experts(config) {
        let length = require(config, &["intermediate_size", "n_inner", "hidden_dim"])?;
        keys.set("feed_forward_length", Value::I32s(per_layer(config, &layers.mlp, length)?));
        return Ok(());
    }
    let length = config.require_u32(&["moe_intermediate_size"])?;
    keys.set("feed_forward_length", Value::I32s(per_layer(config, &layers.mlp, length)?));
    keys.set_u32("expert_used_count", Some(config.require_u32(&["num_experts_per_tok"])?));
    keys.set_u32("expert_feed_forward_length", Some(length));
    expert_keys(config, keys)?;
    keys.set_u32("moe_latent_size", config.u32(&["moe_latent_size"])?);
    if prediction_layer(config, input.options)?.is_some() {
        keys.set_u32("nextn_predict_layers", Some(1));
    }
    Ok(())
}

fn expert_keys(config: &Config, keys: &mut Keys) -> Result<()> {
    let shared = config.require_u32(&["moe_shared_expert_intermediate_size"])?;
    keys.set_u32("expert_shared_feed_forward_length", Some(shared));
    keys.set_u32("expert_count", Some(config.require_u32(&["n_routed_experts"])?));
    keys.set_u32("expert_shared_count", Some(config.require_u32(&["n_shared_experts"])?));
    let Some(norm) = config.flag("norm_topk_prob")? else {
        return Err(config.invalid("norm_topk_prob: expected a boolean, found nothing"));
    };
    keys.set("expert_weights_norm", Value::Bool(norm));
    keys.set_f32("expert_weights_scale", Some(config.require_f32(&["routed_scaling_factor"])?));
    keys.set_u32("expert_group_count", Some(config.require_u32(&["n_group"])?));
    Ok(())
}

fn puzzle_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    trunk_keys(input, keys)?;
    let each = |key: &str| -> Result<Value> {
        let number = |layer: &Json| match layer.get(key).filter(|number| truthy(number)) {
            None => Some(0),
            Some(number) => number.as_i64().and_then(|number| i32::try_from(number).ok()),
        };
        let numbers: Option<Vec<i32>> = block_configs(config)?.iter().map(number).collect();
        let numbers = numbers.ok_or_else(|| config.invalid(format!("block_configs: {key} is no number")))?;
        Ok(Value::I32s(numbers))
    };
    keys.set("feed_forward_length", each("moe_intermediate_size")?);
    keys.set("expert_feed_forward_length", each("moe_intermediate_size")?);
    keys.set("expert_used_count", each("num_experts_per_tok")?);
    expert_keys(config, keys)?;
    keys.set_u32("moe_latent_size", Some(config.require_u32(&["moe_latent_size"])?));
    Ok(())
}

/// What a draft model shares with the model it drafts for.
const SHARED: [&str; 10] = [
    "backbone.embeddings.weight",
    "backbone.norm_f.weight",
    "lm_head.weight",
    "lm_head.weight_scale",
    "lm_head.weight_scale_2",
    "lm_head.weight_scale_inv",
    "lm_head.input_scale",
    "lm_head.input_global_scale",
    "lm_head.weight_global_scale",
    "lm_head.weight_packed",
];

fn rename(input: &Input, name: &str) -> Option<String> {
    let predicts = name.starts_with("mtp.");
    match input.options.mtp {
        Mtp::Drop if predicts => return None,
        Mtp::Only if !predicts && !SHARED.contains(&name) => return None,
        _ => {}
    }
    let name = match name.strip_prefix("model.layers.").filter(|_| name.contains(".mixer.")) {
        Some(layer) => format!("backbone.layers.{layer}"),
        None => name.to_owned(),
    };
    granite::rename(&mamba::rename2(&name))
}

/// Puts a tensor of the prediction layer, whose two halves are numbered by themselves, behind the others.
fn place_prediction(mut tensor: Tensor, layer: u32) -> Tensor {
    let rest = ["mtp.layers.0.", "mtp.layers.1."].into_iter().find_map(|half| tensor.name.strip_prefix(half));
    let Some(rest) = rest else {
        return tensor;
    };
    let special = match tensor.name.as_str() {
        "mtp.layers.0.enorm.weight" => Some("enorm"),
        "mtp.layers.0.hnorm.weight" => Some("hnorm"),
        "mtp.layers.0.eh_proj.weight" => Some("eh_proj"),
        "mtp.layers.1.norm.weight" => Some("post_attention_layernorm"),
        "mtp.layers.1.final_layernorm.weight" => Some("shared_head.norm"),
        _ => None,
    };
    tensor.name = match special {
        Some(part) => format!("model.layers.{layer}.{part}.weight"),
        None => format!("backbone.layers.{layer}.{rest}"),
    };
    tensor.layer = Some(layer.into());
    tensor
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let config = input.config;
    // The type of a tensor follows from the number in its name, be it the prediction layer's own.
    let numbered = tensor.layer;
    if let Some(layer) = prediction_layer(config, input.options)? {
        tensor = place_prediction(tensor, layer);
    }
    if tensor.layer.is_some()
        && (is_puzzle(config) || has_experts(config))
        && tensor.name.contains("mixer.experts")
    {
        return builder.add_expert(tensor, config.require_u32(&["n_routed_experts"])?, &EXPERTS);
    }
    let layers = Layers::of(input)?;
    let is = |layers: &[bool]| {
        let layer = tensor.layer.and_then(|layer| usize::try_from(layer).ok());
        layer.and_then(|layer| layers.get(layer)) == Some(&true)
    };
    let (states, attention) = (is(&layers.states), is(&layers.attention));
    tensor.layer = numbered;
    if states {
        let mut sizes = sizes(input)?;
        if is_puzzle(config) || has_experts(config) {
            // The norm's length is its own, whatever the numbers say.
            sizes.inner = u32::try_from(tensor.expr.elements()).unwrap_or(u32::MAX);
        }
        mamba::mamba2(builder, tensor, sizes)
    } else if attention {
        granite::split_fused(input, builder, tensor)
    } else {
        builder.add(tensor)
    }
}
