//! Qwen 4 Exp: Qwen 3.5 with hyper-connections, an indexer in layers with attention, and an embedding of short runs of
//! tokens (`Qwen4ExpTextModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::contents;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, Mtp, keys, names};
use crate::error::Result;
use crate::gguf::Value;
use crate::json::Value as Json;
use crate::tensor::TensorExpr;

use super::qwen_next::{QWEN35, rename_as};

pub(super) const QWEN4_EXP: Family = Family {
    names: &["Qwen4ExpForCausalLM", "Qwen4ExpForConditionalGeneration"],
    arch: "qwen4exp",
    tensors: names::QWEN4EXP,
    mtp: false,
    layers: |config, _, _| keys::layer_count(config),
    keys: key_values,
    rename: |input, name| rename_as(input, name, Mtp::Drop),
    emit,
    ..QWEN35
};

/// What the parts of the embedding are called, before their numbers.
const SHARD: &str = ".ngram_embedding.shard_";

/// Numbers from which rows of that embedding are computed: their tensors, and the keys.
const HASHES: [(&str, &str); 3] = [
    ("ple_embedding.layer_multipliers", "ple.layer_multipliers"),
    ("ple_embedding.ngram_heads_offsets", "ple.head_offsets"),
    ("ple_embedding.ngram_heads_vocab_sizes", "ple.head_vocab_sizes"),
];

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    (QWEN35.keys)(input, keys)?;
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.set_u32("hyper_connection.count", get("hc_count")?);
    keys.set_u32("hyper_connection.low_rank", get("hc_lowrank")?);
    keys.set_u32("attention.indexer.head_count", get("indexer_n_heads")?);
    keys.set_u32("attention.indexer.key_length", get("indexer_head_dim")?);
    keys.set_u32("attention.indexer.top_k", get("indexer_budget")?);
    let ratio = keys::signed(config, "indexer_compress_ratio")?;
    let kinds = config.strings("layer_types")?.unwrap_or_default();
    let Some(kinds) = kinds.get(..input.layers as usize) else {
        return Err(config.invalid("layer_types: expected a kind for each layer"));
    };
    let ratios = kinds.iter().map(|kind| if *kind == "full_attention" { ratio } else { 0 });
    keys.set("attention.compress_ratios", Value::I32s(ratios.collect()));
    embedding_keys(input, keys)
}

/// Those of the embedding of short runs of tokens, if there is one.
fn embedding_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    let id = |layer: &Json| i32::try_from(layer.as_i64()?).ok()?.checked_sub(1);
    let layers = config.map().get("ple_layer_ids").and_then(Json::as_array);
    let layers = layers.and_then(|layers| layers.iter().map(id).collect::<Option<Vec<_>>>());
    let layers = layers.ok_or_else(|| config.invalid("ple_layer_ids: expected a list of layers"))?;
    if layers.is_empty() {
        return Ok(());
    }
    keys.set("ple.layers", Value::I32s(layers));
    keys.set_u32("ple.ngram_size", get("ngram_size")?);
    keys.set_u32("ple.heads_per_ngram", get("heads_per_ngram")?);
    keys.set_u32("ple.conv_kernel", get("ple_conv_kernel_size")?);
    let end = config.map().get("eos_token_id");
    let end = end.and_then(|end| end.as_array().map_or(Some(end), |ends| ends.last()));
    let end = end.and_then(|end| u32::try_from(end.as_u64()?).ok());
    let problem = || config.invalid("eos_token_id: expected the number of a token");
    keys.set_u32("ple.eos_token_id", Some(end.ok_or_else(problem)?));
    keys.set_u32("ple.image_token_id", config.u32(&["image_token_id"])?);
    let shard = shards(input).next().filter(|_| !input.options.vocab_only);
    let width = shard.and_then(|(_, expr)| u32::try_from(*expr.shape().last()?).ok());
    keys.set_u32("embedding_length_per_layer_input", width);
    for (tensor, key) in HASHES {
        let found = input.tensors.iter().find(|(name, _)| name.ends_with(tensor));
        let (name, expr) = found.ok_or_else(|| config.invalid(format!("there is no tensor {tensor}")))?;
        let numbers = contents::integers(input.checkpoint, name, expr)?;
        let numbers = numbers.into_iter().map(u64::try_from).collect::<Result<Vec<_>, _>>();
        let negative = |_| config.invalid(format!("{name}: expected numbers that are not negative"));
        keys.set(key, Value::U64s(numbers.map_err(negative)?));
    }
    Ok(())
}

/// The parts of the embedding, as the checkpoint orders them.
fn shards<'a>(input: &'a Input) -> impl DoubleEndedIterator<Item = (&'a String, &'a TensorExpr)> {
    input.tensors.iter().filter(|(name, _)| name.contains(SHARD))
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let name = tensor.name.as_str();
    if HASHES.iter().any(|(hash, _)| name.ends_with(hash)) {
        return Ok(());
    }
    if name.contains(SHARD) {
        let last = shards(input).next_back().is_some_and(|(last, _)| last == name);
        return if last { add_embedding(input, builder) } else { Ok(()) };
    }
    if name.contains(".indexer.index_qk_proj.weight") {
        let size = |key: &str| input.config.require_u32(&[key]);
        let queries = keys::times(input.config, size("indexer_n_heads")?, size("indexer_head_dim")?)?.into();
        let (layer, rows) = (tensor.layer, tensor.expr.shape().first().copied().unwrap_or(0));
        for (part, from, to) in [("q_proj", 0, queries), ("k_proj", queries, rows)] {
            let name = format!("blk.{}.indexer.{part}.weight", layer.unwrap_or(0));
            builder.add_as(name, layer, tensor.expr.clone().rows(from, to)?)?;
        }
        return Ok(());
    }
    let shifted = [
        ".ple.norm_key",
        ".ple.norm_query",
        ".ple.norm_conv",
        ".indexer.q_layernorm",
        ".indexer.k_layernorm",
    ];
    if shifted.iter().any(|norm| name.strip_suffix(".weight").is_some_and(|name| name.ends_with(norm))) {
        tensor.expr = tensor.expr.plus(1.0);
        return builder.add(tensor);
    }
    if name.ends_with(".ple.conv1d.weight") {
        tensor.expr = tensor.expr.squeeze();
        return builder.add(tensor);
    }
    (QWEN35.emit)(input, builder, tensor)
}

/// Adds the embedding, put together from its parts in the order of their numbers.
fn add_embedding(input: &Input, builder: &mut Builder) -> Result<()> {
    let number = |name: &str| name.rsplit_once(".shard_")?.1.split('.').next()?.parse::<u32>().ok();
    let mut parts = Vec::new();
    for (name, expr) in shards(input) {
        let number = number(name).ok_or_else(|| builder.invalid(format!("{name}: which part is this?")))?;
        parts.push((number, expr.clone()));
    }
    let expected = input.config.require_u32(&["split_ngram_parts"])?;
    if parts.len() as u64 != u64::from(expected) {
        let problem =
            format!("expected {expected} parts of the embedding (…{SHARD}…), found {}", parts.len());
        return Err(builder.invalid(problem));
    }
    parts.sort_by_key(|(number, _)| *number);
    let whole = TensorExpr::concat(parts.into_iter().map(|(_, expr)| expr).collect())?;
    builder.add_as("per_layer_token_embd.weight".to_owned(), None, whole)
}
