//! MPT (`MPTModel` of the reference).

use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::config::truthy;
use crate::error::Result;
use crate::gguf::KeyValues;
use crate::json::Object;
use crate::vocab::{self, TokenizerFiles, sentencepiece};

pub(super) const MPT: Family =
    Family { names: &["MPTForCausalLM"], arch: "mpt", vocab, tensors: names::MPT, keys: key_values, ..TEXT };

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let attention = config.section("attn_config")?;
    let width = config.require_u32(&["d_model"])?;
    keys.set_u32("context_length", Some(config.require_u32(&["max_seq_len"])?));
    keys.set_u32("embedding_length", Some(width));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("feed_forward_length", Some(keys::times(config, 4, width)?));
    keys.set_u32("attention.head_count", Some(config.require_u32(&["n_heads"])?));
    keys.set_u32("attention.head_count_kv", keys::nonzero(&attention, &["kv_n_heads"])?);
    keys.set_f32("attention.layer_norm_epsilon", Some(1e-5));
    for key in ["clip_qkv", "alibi"] {
        if !attention.map().contains_key(key) {
            return Err(config.invalid(format!("attn_config.{key} is missing")));
        }
    }
    keys.set_f32("attention.clamp_kqv", attention.f32(&["clip_qkv"])?);
    let bias = match attention.map().get("alibi").is_some_and(truthy) {
        true => attention.require_f32(&["alibi_bias_max"])?,
        false => 0.0,
    };
    keys.set_f32("attention.max_alibi_bias", Some(bias));
    Ok(())
}

/// BPE, else the SentencePiece of SEA-LION.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let mut whole = kv.clone();
    let Err(error) = vocab::gpt2(&mut whole, files, config) else {
        *kv = whole;
        return Ok(());
    };
    if !sentencepiece::add(kv, files, config)? {
        return Err(error);
    }
    kv.set_bool("tokenizer.ggml.add_bos_token", false);
    for (kind, id) in [("padding", 3), ("eos", 1), ("unknown", 0)] {
        kv.set_u32(format!("tokenizer.ggml.{kind}_token_id"), id);
    }
    Ok(())
}
