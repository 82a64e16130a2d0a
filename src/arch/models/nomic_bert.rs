//! Nomic's BERT, with and without experts (`NomicBertModel` of the reference).

use crate::gguf::KeyValues;
use crate::input::quoted;
use crate::json::Object;
use crate::json::{Value as Json, json};
use crate::vocab::{TokenizerFiles, kind_of, unigram, wordpiece};

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, names};
use crate::config::truthy;
use crate::error::{Error, Result};

use super::bert::{self, BERT};

pub(super) const NOMIC_BERT: Family = Family {
    names: &["NomicBertModel"],
    arch: "nomic-bert",
    vocab,
    tensors: names::NOMIC_BERT,
    variant,
    keys: key_values,
    rename: |_, name| if name.contains("mlp.experts.bias") { None } else { bert::rename(name) },
    emit,
    ..BERT
};

static NOMIC_BERT_MOE: Family = Family {
    names: &[],
    arch: "nomic-bert-moe",
    tensors: names::NOMIC_BERT_MOE,
    keys: |input, keys| {
        key_values(input, keys)?;
        keys.set_u32("moe_every_n_layers", Some(input.config.require_u32(&["moe_every_n_layers"])?));
        keys.set_u32("expert_used_count", Some(input.config.require_u32(&["moe_top_k"])?));
        Ok(())
    },
    ..NOMIC_BERT
};

fn has_experts(input: &Input) -> bool {
    input.config.map().get("moe_every_n_layers").is_some_and(truthy)
}

/// Refuses what llama.cpp has no code for; the list is the reference's.
fn variant(input: &Input) -> Result<Option<&'static Family>> {
    let experts = has_experts(input);
    let activation = if experts { "gelu" } else { "swiglu" };
    for (key, expected) in [
        ("activation_function", json!(activation)),
        ("causal", json!(false)),
        ("qkv_proj_bias", json!(experts)),
        ("mlp_fc1_bias", json!(experts)),
        ("mlp_fc2_bias", json!(experts)),
        ("prenorm", json!(false)),
        ("rotary_emb_fraction", json!(1.0)),
        ("rotary_emb_interleaved", json!(false)),
        ("rotary_emb_scale_base", Json::Null),
    ] {
        let found = input.config.map().get(key);
        let same = match (found, expected.as_f64()) {
            (Some(found), Some(number)) => found.as_f64() == Some(number),
            (found, _) => found == Some(&expected),
        };
        if !same {
            let found = found.map_or_else(|| "nothing".to_owned(), crate::config::shown);
            return Err(input
                .config
                .unsupported(format!("{key}: only {expected} can be converted, found {found}")));
        }
    }
    trained_positions(input)?;
    Ok(experts.then_some(&NOMIC_BERT_MOE))
}

/// How long texts were in training, which is less than the model is said to take.
fn trained_positions(input: &Input) -> Result<u32> {
    let config = input.config;
    let positions = config.require_u32(&["n_positions"])?;
    let trained = match config.map().contains_key("max_trained_positions") {
        true => config.require_u32(&["max_trained_positions"])?,
        false => 2048,
    };
    match (positions, trained) {
        (8192, 2048) => Ok(2048),
        (2048, 2048) => Ok(512),
        _ => Err(config.unsupported(format!(
            "n_positions {positions} with max_trained_positions {trained}: only 8192 and 2048 with 2048 are known"
        ))),
    }
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    bert::key_values(input, keys)?;
    if ["max_position_embeddings", "n_ctx"].iter().all(|key| !input.config.map().contains_key(*key)) {
        keys.set_u32("context_length", Some(trained_positions(input)?));
    }
    if input.tokenizer.is_model("Unigram")? { bert::context_length(input, keys) } else { Ok(()) }
}

/// Experts are stacked already, without saying so.
fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let first = tensor.name.contains("mlp.experts.mlp.w1");
    let second = tensor.name.contains("mlp.experts.mlp.w2");
    if first || second {
        let size = |keys: &[&str]| Ok::<_, crate::Error>(u64::from(input.config.require_u32(keys)?));
        let shape = [size(&["num_local_experts", "num_experts"])?, size(&["n_inner"])?, size(&["n_embd"])?];
        let found = tensor.expr.shape().to_vec();
        tensor.expr = tensor.expr.reshape(&shape).map_err(|_| {
            let name = &tensor.name;
            builder.invalid(format!(
                "{name}: expected {shape:?} elements, as config.json says, found shape {found:?}"
            ))
        })?;
        if second {
            tensor.expr = tensor.expr.swap_axes(1, 2)?;
        }
        tensor.name.push_str(".weight");
    }
    bert::emit(input, builder, tensor)
}

/// WordPiece or Unigram, whichever `tokenizer.json` holds.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    match kind_of(files, "model", "type") {
        Some("WordPiece") => wordpiece::add(kv, files, config),
        Some("Unigram") => {
            let experts = config.get("moe_every_n_layers").is_some_and(truthy);
            unigram::add_xlm_roberta(kv, files, config, experts)
        }
        found => {
            let found = found.unwrap_or("none");
            let problem = format!("expected a WordPiece or Unigram model, found {}", quoted(found));
            Err(Error::invalid(files.dir.join("tokenizer.json"), problem))
        }
    }
}
