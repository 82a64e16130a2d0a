//! Encoders with rotary positions: ModernBERT, NeoBERT, EuroBERT and Jina's fifth generation
//! (`ModernBertModel`, `NeoBert`, `EuroBertModel` of the reference).

use crate::arch::pooling::{CLS, pooling_type};
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;
use crate::gguf::KeyValues;
use crate::gguf::Value;
use crate::json::Object;
use crate::vocab::{TokenizerFiles, gpt2, wordpiece};

use super::bert::{self, BERT};

pub(super) const MODERN_BERT: Family = Family {
    names: &["ModernBertForMaskedLM", "ModernBertForSequenceClassification", "ModernBertModel"],
    arch: "modern-bert",
    vocab: modern_vocab,
    tensors: names::MODERN_BERT,
    keys: modern_keys,
    rename: |_, name| bert::rename(name.strip_prefix("model.").unwrap_or(name)),
    ..BERT
};

pub(super) const NEO_BERT: Family = Family {
    names: &["NeoBERT", "NeoBERTForSequenceClassification", "NeoBERTLMHead"],
    arch: "neo-bert",
    vocab: wordpiece::add,
    tensors: names::NEO_BERT,
    keys: neo_keys,
    rename: |_, name| {
        let name = Some(name).filter(|name| !name.starts_with("decoder."))?;
        bert::rename(name.strip_prefix("model.").unwrap_or(name))
    },
    ..BERT
};

pub(super) const EURO_BERT: Family = Family {
    names: &["EuroBertModel", "JinaEmbeddingsV5Model"],
    arch: "eurobert",
    vocab: euro_vocab,
    tensors: names::EUROBERT,
    keys: |input, keys| {
        keys::common(input, keys)?;
        keys.set("attention.causal", Value::Bool(false));
        no_rope_scaling(keys);
        pooling_type(input, keys)
    },
    rename: |_, name| Some(name.strip_prefix("model.").unwrap_or(name).to_owned()),
    ..TEXT
};

fn no_rope_scaling(keys: &mut Keys) {
    keys.set("rope.scaling.type", Value::String("none".into()));
}

fn modern_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    bert::key_values(input, keys)?;
    keys.set_u32("attention.sliding_window", Some(config.require_u32(&["local_attention"])?));
    keys.set_u32("attention.sliding_window_pattern", config.u32(&["global_attn_every_n_layers"])?);
    no_rope_scaling(keys);
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    if let Some(activation) = config.str(&["hidden_activation"])?.filter(|name| !name.is_empty()) {
        keys.set("hidden_activation", Value::String(activation.into()));
    }
    Ok(())
}

fn neo_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    bert::key_values(input, keys)?;
    // A third of the intermediate size is lost to the gate.
    let intermediate = config.require_u32(&["intermediate_size"])?;
    keys.set_u32("feed_forward_length", Some(keys::times(config, 2, intermediate)? / 3));
    keys.set_f32("rope.freq_base", Some(10_000.0));
    no_rope_scaling(keys);
    let epsilon = match config.map().contains_key("norm_eps") {
        true => config.require_f32(&["norm_eps"])?,
        false => 1e-6,
    };
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(epsilon));
    keys.set_u32("pooling_type", Some(CLS));
    Ok(())
}

/// BPE that adds BOS, EOS and SEP.
fn modern_vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    for kind in ["bos", "eos", "sep"] {
        kv.set_bool(format!("tokenizer.ggml.add_{kind}_token"), true);
    }
    gpt2(kv, files, config)
}

/// BPE that adds no BOS.
fn euro_vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    kv.set_bool("tokenizer.ggml.add_bos_token", false);
    gpt2(kv, files, config)
}
