//! `ChatGLM` and GLM 4 before it had a name of its own (`ChatGLMModel` of the reference).

use crate::gguf::KeyValues;
use crate::json::{Object, Value};
use crate::vocab::{TokenizerFiles, bpe};

use crate::arch::{Family, Input, Keys, TEXT, keys, names, rope};
use crate::error::{Error, Result};
use crate::vocab::glm::{END, USER};

pub(super) const CHATGLM: Family = Family {
    names: &["ChatGLMForConditionalGeneration", "ChatGLMModel", "GlmForCausalLM"],
    arch: "chatglm",
    vocab,
    tensors: names::CHATGLM,
    keys: key_values,
    rename: |_, name| {
        let kept = !name.ends_with(".rotary_pos_emb.inv_freq");
        kept.then(|| name.strip_prefix("transformer.").unwrap_or(name).to_owned())
    },
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let hidden = config.require_u32(&["hidden_size", "n_embed"])?;
    let heads = config.require_u32(&["n_head", "num_attention_heads"])?;
    keys.set_u32("context_length", Some(config.u32(&["seq_length"])?.unwrap_or(hidden)));
    keys.set_u32("embedding_length", Some(hidden));
    let feed_forward = config.u32(&["ffn_hidden_size", "intermediate_size"])?;
    keys.set_u32("feed_forward_length", Some(feed_forward.unwrap_or(hidden.saturating_mul(4))));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("attention.head_count", Some(heads));
    let kv_heads = config.u32(&["multi_query_group_num", "num_key_value_heads"])?;
    keys.set_u32("attention.head_count_kv", Some(kv_heads.unwrap_or(heads)));
    let epsilon = config.f32(&["layernorm_epsilon"])?.unwrap_or(1e-5);
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(epsilon));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    let dimensions = match config.u32(&["attention_dim"])? {
        Some(dimensions) => dimensions,
        None => rope::width_per_head(input)?,
    };
    keys.set_u32("rope.dimension_count", Some(keys::rotated(input, dimensions, 0.5)?));
    keys.values.set_bool("tokenizer.ggml.add_bos_token", false);
    #[allow(clippy::cast_possible_truncation)]
    let base = (10_000.0 * config.f64(&["rope_ratio"])?.unwrap_or(1.0)) as f32;
    keys.set_f32("rope.freq_base", Some(base));
    Ok(())
}

/// BPE with the roles of GLM's tokens; ChatGLM 3 by its name.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let name = config.get("_name_or_path").and_then(Value::as_str);
    if name.is_some_and(|name| name.contains("THUDM/chatglm3-6b")) {
        return Err(Error::unsupported(
            "the tokenizer of ChatGLM 3 is Python code that comes with the model; ggraft runs no such code",
        )
        .at(files.dir.path()));
    }
    bpe::add(kv, files, config, &[("eos", END), ("eot", USER), ("unk", END)])
}
