//! T5, mT5 and UMT5, whole or only the encoder (`T5Model`, `T5EncoderModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, names};
use crate::error::Result;
use crate::gguf::KeyValues;
use crate::json::Object;
use crate::vocab::{TokenizerFiles, sentencepiece, unigram};

pub(super) const T5: Family = Family {
    names: &[
        "MT5ForConditionalGeneration",
        "T5ForConditionalGeneration",
        "T5WithLMHeadModel",
        "UMT5ForConditionalGeneration",
        "UMT5Model",
    ],
    arch: "t5",
    vocab,
    tensors: names::T5,
    keys: |input, keys| key_values(input, keys, true),
    emit,
    ..TEXT
};

pub(super) const T5_ENCODER: Family = Family {
    names: &["T5EncoderModel"],
    arch: "t5encoder",
    tensors: names::T5ENCODER,
    keys: |input, keys| key_values(input, keys, false),
    ..T5
};

fn key_values(input: &Input, keys: &mut Keys, decoder: bool) -> Result<()> {
    let config = input.config;
    let head = config.require_u32(&["d_kv"])?;
    let epsilon = config.require_f32(&["layer_norm_epsilon"])?;
    keys.set_u32("context_length", Some(config.u32(&["n_positions"])?.unwrap_or(512)));
    keys.set_u32("embedding_length", Some(config.require_u32(&["d_model"])?));
    keys.set_u32("feed_forward_length", Some(config.require_u32(&["d_ff"])?));
    keys.set_u32("block_count", Some(input.layers));
    if decoder {
        keys.set_u32("decoder_block_count", config.u32(&["num_decoder_layers"])?);
    }
    keys.set_u32("attention.head_count", Some(config.require_u32(&["num_heads"])?));
    keys.set_u32("attention.key_length", Some(head));
    keys.set_u32("attention.value_length", Some(head));
    keys.set_f32("attention.layer_norm_epsilon", Some(epsilon));
    let buckets = config.require_u32(&["relative_attention_num_buckets"])?;
    keys.set_u32("attention.relative_buckets_count", Some(buckets));
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(epsilon));
    if decoder {
        keys.set_u32("decoder_start_token_id", Some(config.require_u32(&["decoder_start_token_id"])?));
    }
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

/// The names under which encoder and decoder share their embeddings. The first there is counts.
const EMBEDDINGS: [&str; 3] = ["decoder.embed_tokens.weight", "encoder.embed_tokens.weight", "shared.weight"];

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if EMBEDDINGS.contains(&tensor.name.as_str()) {
        if input.tensors.keys().find(|name| EMBEDDINGS.contains(&name.as_str())) != Some(&tensor.name) {
            return Ok(());
        }
        "shared.weight".clone_into(&mut tensor.name);
    }
    builder.add(tensor)
}

/// Unigram of `tokenizer.model` or `spiece.model`.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    match unigram::add_t5(kv, files, config)? {
        true => Ok(()),
        false => sentencepiece::require(kv, files, config),
    }
}
