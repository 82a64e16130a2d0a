//! Ernie 4.5 (`Ernie4_5Model`, `Ernie4_5MoeModel`, `PaddleOCRModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::{ExpertNames, NAMES};
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names, rope};
use crate::config::truthy;
use crate::error::Result;
use crate::gguf::KeyValues;
use crate::json::Object;
use crate::vocab::{TokenizerFiles, sentencepiece_only};

pub(super) const ERNIE: Family = Family {
    names: &["Ernie4_5ForCausalLM", "Ernie4_5_ForCausalLM"],
    arch: "ernie4_5",
    vocab,
    tensors: names::ERNIE4_5,
    rename: |_, name| Some(name.replace("ernie.", "model.")),
    emit: dense,
    ..TEXT
};

pub(super) const ERNIE_MOE: Family = Family {
    names: &["Ernie4_5_MoeForCausalLM"],
    arch: "ernie4_5-moe",
    tensors: names::ERNIE4_5_MOE,
    keys: moe_keys,
    rename: |_, name| (!predicts(name)).then(|| name.replace("ernie.", "model.")),
    emit: |input, builder, tensor| {
        if tensor.name.contains("mlp.experts") {
            return builder.add_expert(tensor, input.config.require_u32(&["moe_num_experts"])?, &EXPERTS);
        }
        builder.add(tensor)
    },
    ..ERNIE
};

pub(super) const PADDLEOCR: Family = Family {
    names: &["PaddleOCRVLForConditionalGeneration"],
    arch: "paddleocr",
    tensors: names::PADDLEOCR,
    ..ERNIE
};

const EXPERTS: ExpertNames = ExpertNames { matrices: &["gate_proj", "up_proj", "down_proj"], ..NAMES };

/// Whether a tensor belongs to layers for multi-token prediction, which llama.cpp has not.
fn predicts(name: &str) -> bool {
    let parts = ["mtp_block.", "mtp_emb_norm.", "mtp_hidden_norm.", "mtp_linear_proj."];
    let part = name.strip_prefix("model.").and_then(|rest| parts.iter().find_map(|p| rest.strip_prefix(p)));
    part.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

fn moe_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.set_u32("expert_count", get("moe_num_experts")?);
    keys.set_u32("expert_used_count", get("moe_k")?);
    keys.set_u32("interleave_moe_layer_step", get("moe_layer_interval")?);
    keys.set_u32("leading_dense_block_count", get("moe_layer_start_index")?);
    keys.set_u32("expert_feed_forward_length", config.u32(&["moe_intermediate_size"])?);
    let shared = config.u32(&["moe_num_shared_experts"])?;
    keys.set_u32("expert_shared_count", shared);
    let (length, heads) = (config.u32(&["intermediate_size"])?, config.u32(&["num_key_value_heads"])?);
    if let (Some(1..), Some(length), Some(heads)) = (shared, length, heads) {
        // The reference divides by the number of heads, too.
        let length = length.checked_div(heads);
        let none = || config.invalid("num_key_value_heads: expected at least 1, found 0");
        keys.set_u32("expert_shared_feed_forward_length", Some(length.ok_or_else(none)?));
    }
    Ok(())
}

/// Some checkpoints have queries, keys and values in one matrix, and gate and up.
fn dense(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let config = input.config;
    let heads = config.require_u32(&["num_attention_heads"])?;
    let kv_heads = config.require_u32(&["num_key_value_heads"])?;
    if tensor.name.contains("qkv_proj") {
        let size = u64::from(rope::dimension_count(input)?);
        let [queries, keys] = [heads, kv_heads].map(|heads| u64::from(heads) * size);
        let parts = [("q_proj", queries), ("k_proj", keys), ("v_proj", keys)];
        return split(builder, &tensor, "qkv_proj", &parts);
    }
    if tensor.name.contains("up_gate_proj") {
        let half = tensor.expr.shape().first().map_or(0, |rows| rows / 2);
        return split(builder, &tensor, "up_gate_proj", &[("gate_proj", half), ("up_proj", half)]);
    }
    builder.add(tensor)
}

/// Adds the rows of a matrix as matrices of so many rows each.
fn split(builder: &mut Builder, tensor: &Tensor, joined: &str, parts: &[(&str, u64)]) -> Result<()> {
    let expected = parts.iter().map(|(_, rows)| rows).sum::<u64>();
    let found = tensor.expr.shape().first().copied();
    if found != Some(expected) {
        let problem = format!("{}: expected {expected} rows, found {found:?}", tensor.name);
        return Err(builder.invalid(problem));
    }
    let mut from = 0;
    for (part, rows) in parts {
        let name = tensor.name.replace(&format!("{joined}.weight"), &format!("{part}.weight"));
        let expr = tensor.expr.clone().rows(from, from + rows)?;
        builder.add(Tensor { name, layer: tensor.layer, expr })?;
        from += rows;
    }
    Ok(())
}

/// SentencePiece.
pub(super) fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    sentencepiece_only(kv, files, config)?;
    if let Some(prefix) = files.config.as_ref().and_then(|config| config.get("add_prefix_space")) {
        kv.set_bool("tokenizer.ggml.add_space_prefix", truthy(prefix));
    }
    Ok(())
}
