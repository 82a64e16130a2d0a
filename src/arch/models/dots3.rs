//! Dots 3: layers with a sliding window have latent attention of other sizes than the rest, which look only at what an
//! indexer selects (`Dots3NoteModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::{Tensor, general_name};
use crate::arch::{Family, Input, Keys, Mtp, bare, keys, mtp, names};
use crate::checkpoint::Checkpoint;
use crate::config::{Config, truthy};
use crate::error::Result;
use crate::json::Value as Json;
use crate::vocab::bpe;

use super::deepseek::{DEEPSEEK2, indexer_keys, latent, latent_keys_of, own, split_latent};

pub(super) const DOTS3: Family = Family {
    names: &["Dots3NoteForCausalLM", "Dots3NoteForConditionalGeneration", "Dots3NoteTextForCausalLM"],
    arch: "dots3note",
    // A turn of the assistant ends with a token of its own.
    vocab: |kv, files, config| bpe::add(kv, files, config, &[("eot", "<|endofassistant|>")]),
    tensors: names::DOTS3NOTE,
    mtp: true,
    // The class in transformers takes the settings of the sliding window apart; the reference needs them as they are.
    settings: bare,
    layers: |config, options, checkpoint| {
        let predicts = options.mtp != Mtp::Drop && has_prediction(checkpoint);
        keys::layers_and_more(config, predicts.into())
    },
    variant: |_| Ok(None),
    keys: key_values,
    rename,
    emit,
    ..DEEPSEEK2
};

/// The prediction layer's embedding, which tells that there is one.
const EMBEDDING: &str = "model.mtp.embed_tokens.weight";
/// What a file of prediction layers alone holds besides.
const SHARED: [&str; 3] = ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"];

fn has_prediction(checkpoint: &Checkpoint) -> bool {
    checkpoint.own_tensors().iter().any(|tensor| general_name(&tensor.name) == EMBEDDING)
}

fn rename(input: &Input, name: &str) -> Option<String> {
    if !own(name) || ["vision_encoder.", "audio_encoder."].iter().any(|part| name.starts_with(part)) {
        return None;
    }
    let general = general_name(name);
    let predicts = general.starts_with("model.mtp.") || mtp::predicts(input, name);
    let kept = match input.options.mtp {
        Mtp::Keep => true,
        Mtp::Drop => !predicts,
        Mtp::Only => predicts || SHARED.contains(&general.as_str()),
    };
    kept.then(|| name.to_owned())
}

/// Whether a layer has a sliding window; the one for prediction has.
fn slides(config: &Config, layer: u64) -> Result<bool> {
    if layer >= mtp::own_layers(config) {
        return Ok(true);
    }
    let kinds = config.map().get("layer_types").and_then(Json::as_array);
    let kind = kinds.and_then(|kinds| kinds.get(usize::try_from(layer).ok()?));
    let kind = kind.ok_or_else(|| config.invalid("layer_types: expected a kind for each layer"))?;
    Ok(kind.as_str() == Some("sliding_attention"))
}

/// Refuses what llama.cpp cannot run.
fn check(config: &Config) -> Result<()> {
    let get = |key: &str| config.map().get(key);
    let is = |key: &str, value: Json, needed: bool| get(key).map_or(!needed, |found| *found == value);
    let off = |key: &str| !get(key).is_some_and(truthy);
    let size = |key: &str| config.require_u32(&[key]);
    let both = u64::from(size("swa_qk_nope_head_dim")?) + u64::from(size("swa_qk_rope_head_dim")?);
    let swa_head = if get("swa_head_dim").is_some() { size("swa_head_dim")? } else { 256 };
    for (holds, what) in [
        (is("use_dsa", true.into(), false), "use_dsa is not true"),
        (is("normalization", "RMSNorm".into(), false), "normalization is not \"RMSNorm\""),
        (is("final_norm", "RMSNorm".into(), false), "final_norm is not \"RMSNorm\""),
        (is("k_rope_only_layernorm", true.into(), false), "k_rope_only_layernorm is not true"),
        (is("topk_method", "noaux_tc".into(), false), "topk_method is not \"noaux_tc\""),
        (is("scoring_func", "sigmoid".into(), true), "scoring_func is not \"sigmoid\""),
        (is("n_group", 1.into(), false) && is("topk_group", 1.into(), false), "experts in groups"),
        (off("use_dynamic_rsf") && off("moe_gating_fp32"), "use_dynamic_rsf or moe_gating_fp32"),
        (is("attention_gate_type", "headwise".into(), false), "attention_gate_type is not \"headwise\""),
        (
            is("swa_attention_gate_type", "headwise".into(), false),
            "swa_attention_gate_type is not \"headwise\"",
        ),
        (both == u64::from(swa_head), "swa_head_dim is not the sum of its parts"),
        (
            size("swa_qk_rope_head_dim")? == size("qk_rope_head_dim")?,
            "swa_qk_rope_head_dim is not qk_rope_head_dim",
        ),
        (size("swa_q_lora_rank")? == size("q_lora_rank")?, "swa_q_lora_rank is not q_lora_rank"),
    ] {
        if !holds {
            return Err(config.unsupported(what));
        }
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    check(config)?;
    let [own, window] =
        ["num_attention_heads", "swa_num_attention_heads"].map(|key| keys::signed(config, key));
    let (own, window) = (own?, window?);
    let heads = (0..input.layers)
        .map(|layer| Ok(Json::from(if slides(config, layer.into())? { window } else { own })));
    let heads: Vec<Json> = heads.collect::<Result<_>>()?;
    let listed = config.replaced("num_attention_heads", Json::Array(heads)).replaced("head_dim", Json::Null);
    latent_keys_of(input, &listed, keys)?;
    let size = |key: &str| config.require_u32(&[key]);
    let (rank, rotated) = (size("swa_kv_lora_rank")?, size("swa_qk_rope_head_dim")?);
    let sum = |a: u32| {
        a.checked_add(rotated).ok_or_else(|| config.invalid("swa_qk_rope_head_dim is absurd")).map(Some)
    };
    let pattern =
        (0..mtp::own_layers(config)).map(|layer| slides(config, layer)).collect::<Result<Vec<_>>>()?;
    keys.set_u32("attention.sliding_window", Some(size("sliding_window_size")?));
    keys.set_bools("attention.sliding_window_pattern", pattern.clone());
    keys.set_u32("attention.kv_lora_rank_swa", Some(rank));
    keys.set_u32("attention.key_length_swa", sum(rank)?);
    keys.set_u32("attention.value_length_swa", Some(rank));
    keys.set_u32("attention.key_length_mla_swa", sum(size("swa_qk_nope_head_dim")?)?);
    keys.set_u32("attention.value_length_mla_swa", Some(size("swa_v_head_dim")?));
    let predicts = input.tensors.contains_key(EMBEDDING);
    keys.set_u32("nextn_predict_layers", predicts.then_some(1));
    indexer_keys(config, keys)?;
    keys.set_bools("attention.indexer.types", pattern.into_iter().map(|slides| !slides).collect());
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let config = input.config;
    if tensor.name == EMBEDDING {
        let layer = mtp::own_layers(config);
        tensor = Tensor {
            name: format!("model.layers.{layer}.embed_tokens.weight"),
            layer: Some(layer),
            ..tensor
        };
    }
    let Some(layer) = tensor.layer else { return latent(input, builder, tensor) };
    let window = slides(config, layer)?;
    let size = |key: &str| config.require_u32(&[&format!("{}{key}", if window { "swa_" } else { "" })]);
    if config.map().get("apply_mla_qkv_lora_rescale").is_some_and(truthy) {
        let rank = if tensor.name.ends_with("q_a_layernorm.weight") {
            Some(config.require_u32(&["q_lora_rank"])?)
        } else if tensor.name.ends_with("kv_a_layernorm.weight") {
            Some(size("kv_lora_rank")?)
        } else {
            None
        };
        if let Some(rank) = rank {
            #[allow(clippy::cast_possible_truncation)]
            let factor = (f64::from(config.require_u32(&["hidden_size"])?) / f64::from(rank)).sqrt() as f32;
            tensor.expr = tensor.expr.times(factor);
        }
    }
    if tensor.name.ends_with("kv_b_proj.weight") {
        let sizes =
            [size("num_attention_heads")?, size("qk_nope_head_dim")?, size("v_head_dim")?].map(u64::from);
        return split_latent(builder, tensor, sizes[0], sizes[1], sizes[2]);
    }
    latent(input, builder, tensor)
}
