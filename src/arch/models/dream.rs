//! Dream and LLaDA, which fill in masked tokens (`DreamModel`, `LLaDAModel` of the reference).

use crate::arch::pooling::pooling_type;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;
use crate::gguf::Value;
use crate::vocab::{bpe, sentencepiece};

use super::llama;

pub(super) const DREAM: Family = Family {
    names: &["DreamModel"],
    arch: "dream",
    vocab: |kv, files, config| match sentencepiece::add(kv, files, config)? {
        true => Ok(()),
        false => bpe::add_as_written(kv, files, config),
    },
    tensors: names::DREAM,
    keys: |input, keys| {
        keys::common(input, keys)?;
        pooling_type(input, keys)?;
        keys.set("attention.causal", Value::Bool(false));
        if let Some(mask) = input.config.u32(&["mask_token_id"])? {
            keys.values.set_u32("tokenizer.ggml.mask_token_id", mask);
        }
        Ok(())
    },
    ..TEXT
};

pub(super) const LLADA: Family = Family {
    names: &["LLaDAModelLM"],
    arch: "llada",
    vocab: |kv, files, config| {
        bpe::add_as_written(kv, files, config)?;
        kv.set_bool("tokenizer.ggml.add_bos_token", true);
        Ok(())
    },
    tensors: names::LLADA,
    keys: llada_keys,
    emit: |input, builder, tensor| {
        let (heads, kv_heads) =
            (&["num_attention_heads", "n_heads"][..], &["num_key_value_heads", "n_kv_heads"][..]);
        llama::convert_with(input, builder, tensor, (heads, kv_heads))
    },
    ..TEXT
};

fn llada_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    keys::common(input, keys)?;
    pooling_type(input, keys)?;
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    let head = match config.u32(&["head_dim"])? {
        Some(head) => head,
        None => {
            let width = config.require_u32(&["hidden_size", "d_model"])?;
            let heads = config.require_u32(&["num_attention_heads", "n_heads"])?;
            width.checked_div(heads).ok_or_else(|| config.invalid("n_heads: expected at least 1, found 0"))?
        }
    };
    keys.set_u32("rope.dimension_count", Some(head));
    for (key, name, default) in [
        ("context_length", "max_sequence_length", 4096),
        ("embedding_length", "d_model", 4096),
        ("feed_forward_length", "mlp_hidden_size", 12288),
    ] {
        keys.set_u32(key, Some(config.u32(&[name])?.unwrap_or(default)));
    }
    keys.set("attention.causal", Value::Bool(false));
    keys.values.set_bool("diffusion.shift_logits", false);
    Ok(())
}
