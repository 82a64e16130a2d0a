//! Gemma 1 to 3 (`GemmaModel`, `Gemma2Model`, `Gemma3Model`, `EmbeddingGemma` of the reference).

use std::path::Path;

use crate::json::Value as Json;
use crate::vocab;

use crate::arch::builder::Builder;
use crate::arch::pooling::pooling_type;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, Modules, TEXT, keys, names, tensors};
use crate::config::read_json;
use crate::error::{Error, Result};
use crate::tensor::TensorExpr;
use crate::vocab::sentencepiece;

pub(super) const GEMMA: Family = Family {
    names: &["GemmaForCausalLM"],
    arch: "gemma",
    vocab: vocab::gemma,
    tensors: names::GEMMA,
    keys: first_keys,
    // A copy of the embedding; llama.cpp knows none.
    rename: |_, name| (name != "lm_head.weight").then(|| name.to_owned()),
    emit: |_, builder, tensor| builder.add(shifted_norm(tensor)),
    ..TEXT
};

pub(super) const GEMMA2: Family = Family {
    names: &["Gemma2ForCausalLM"],
    arch: "gemma2",
    vocab: vocab::gemma2,
    tensors: names::GEMMA2,
    keys: |input, keys| {
        first_keys(input, keys)?;
        let config = input.config;
        let get = |key: &str| config.require_f32(&[key]).map(Some);
        keys.set_f32("attn_logit_softcapping", get("attn_logit_softcapping")?);
        keys.set_f32("final_logit_softcapping", get("final_logit_softcapping")?);
        keys.set_u32("attention.sliding_window", Some(config.require_u32(&["sliding_window"])?));
        Ok(())
    },
    ..GEMMA
};

pub(super) const GEMMA3: Family = Family {
    names: &["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
    arch: "gemma3",
    vocab: vocab::gemma3,
    tensors: names::GEMMA3,
    keys: gemma3_keys,
    emit: |input, builder, tensor| builder.add(shifted_norm(known_tokens(input, tensor)?)),
    ..TEXT
};

pub(super) const GEMMA_EMBEDDING: Family = Family {
    names: &["Gemma3TextModel"],
    arch: "gemma-embedding",
    tensors: names::GEMMA_EMBEDDING,
    modules: Modules::Dense,
    keys: embedding_keys,
    generate: dense_layers,
    ..GEMMA3
};

fn first_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.set_u32("context_length", get("max_position_embeddings")?);
    keys.set_u32("embedding_length", get("hidden_size")?);
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("feed_forward_length", get("intermediate_size")?);
    keys.set_u32("attention.head_count", get("num_attention_heads")?);
    let kv_heads = config.require_u32(&["num_key_value_heads", "num_attention_heads"])?;
    keys.set_u32("attention.head_count_kv", Some(kv_heads));
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(config.require_f32(&["rms_norm_eps"])?));
    keys.set_u32("attention.key_length", get("head_dim")?);
    keys.set_u32("attention.value_length", get("head_dim")?);
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

pub(super) fn gemma3_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    let or = |key: &str, default: u32| match config.map().contains_key(key) {
        true => config.require_u32(&[key]).map(Some),
        false => Ok(Some(default)),
    };
    keys.set_u32("context_length", or("max_position_embeddings", 131_072)?);
    keys.set_u32("attention.head_count", or("num_attention_heads", 8)?);
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(config.f32(&["rms_norm_eps"])?.unwrap_or(1e-6)));
    keys.set_u32("attention.key_length", or("head_dim", 256)?);
    keys.set_u32("attention.value_length", or("head_dim", 256)?);
    let base = keys::full_attention(&input.rope)?.f32(&["rope_theta"])?;
    keys.set_f32("rope.freq_base", Some(base.unwrap_or(1e6)));
    if config.get(&["attn_logit_softcapping"]).is_some() {
        return Err(config.unsupported("attn_logit_softcapping, which Gemma 3 does not have"));
    }
    let cap = config.f32(&["final_logit_softcapping"])?.filter(|cap| *cap != 0.0);
    keys.set_f32("final_logit_softcapping", cap);
    let every_layer = config.map().get("sliding_window_pattern").and_then(Json::as_f64) == Some(1.0);
    if !every_layer {
        keys.set_u32("attention.sliding_window", Some(config.require_u32(&["sliding_window"])?));
    }
    keys.set_u32("attention.head_count_kv", or("num_key_value_heads", 4)?);
    Ok(())
}

fn embedding_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    gemma3_keys(input, keys)?;
    // transformers halves the window and doubles it again; llama.cpp wants the file's own number.
    let (dir, name) = (&input.checkpoint.dir, "config.json");
    let window = read_json(dir, name)?.get("sliding_window").and_then(Json::as_u64);
    let window = window.and_then(|window| u32::try_from(window).ok());
    let missing = || Error::invalid(dir.join(name), "sliding_window: expected an unsigned 32-bit integer");
    keys.set_u32("attention.sliding_window", Some(window.ok_or_else(missing)?));
    for module in &input.checkpoint.modules {
        dense_keys(input, &module.path, keys)?;
    }
    pooling_type(input, keys)
}

/// What llama.cpp calls the dense layer that sentence-transformers keeps at `path`.
fn dense_name(path: &str) -> &'static str {
    if path == "2_Dense" { "dense_2" } else { "dense_3" }
}

/// The sizes of a dense layer, if its directory says them.
fn dense_keys(input: &Input, path: &str, keys: &mut Keys) -> Result<()> {
    let (dir, name) = (&input.checkpoint.dir, Path::new(path).join("config.json"));
    if !dir.exists(&name)? {
        return Ok(());
    }
    let config = read_json(dir, &name)?;
    let size = |key: &str| match config.get(key) {
        Some(Json::Null) => Ok(None),
        value => match value.and_then(Json::as_u64).and_then(|size| u32::try_from(size).ok()) {
            Some(size) => Ok(Some(size)),
            None => {
                Err(Error::invalid(dir.join(&name), format!("{key}: expected an unsigned 32-bit integer")))
            }
        },
    };
    if let (Some(inputs), Some(outputs)) = (size("in_features")?, size("out_features")?) {
        let name = dense_name(path);
        keys.set_u32(&format!("{name}_feat_in"), Some(inputs));
        keys.set_u32(&format!("{name}_feat_out"), Some(outputs));
    }
    Ok(())
}

/// The matrices of the dense layers.
fn dense_layers(input: &Input, builder: &mut Builder) -> Result<()> {
    let checkpoint = input.checkpoint;
    for module in &checkpoint.modules {
        let tensors = checkpoint.tensors.iter().enumerate();
        for (index, source) in tensors.take(module.tensors.end).skip(module.tensors.start) {
            if !source.name.ends_with(".weight") {
                continue;
            }
            let name = builder.resolve(&source.name.replace("linear", dense_name(&module.path)))?;
            builder.begin(&name);
            let expr = TensorExpr::source(index, &source.shape);
            if let Some(tensor) = tensors::load(checkpoint, &name, &expr)? {
                (input.family.emit)(input, builder, tensor)?;
            }
        }
    }
    Ok(())
}

/// Gemma multiplies by one more than what it stores.
fn shifted_norm(mut tensor: Tensor) -> Tensor {
    if tensor.name.ends_with("norm.weight") {
        tensor.expr = tensor.expr.plus(1.0);
    }
    tensor
}

/// The embedding without rows for tokens that do not exist.
pub(super) fn known_tokens(input: &Input, mut tensor: Tensor) -> Result<Tensor> {
    if tensor.name.contains("embed_tokens.weight") {
        let rows = tensor.expr.shape().first().copied().unwrap_or(0);
        let known = vocabulary(input)?;
        if known < rows {
            tensor.expr = tensor.expr.rows(0, known)?;
        }
    }
    Ok(tensor)
}

/// How many tokens the tokenizer has.
fn vocabulary(input: &Input) -> Result<u64> {
    let dir = &input.checkpoint.dir;
    if dir.exists("tokenizer.model")? {
        let size = input.config.u32(&["vocab_size_per_layer_input", "vocab_size"])?;
        return match size.filter(|size| *size > 0) {
            Some(size) => Ok(size.into()),
            None => Ok(sentencepiece::load(dir, None)?.map_or(0, |pieces| pieces.tokens.len() as u64)),
        };
    }
    input.tokenizer.count()
}
