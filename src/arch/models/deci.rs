//! Deci's models and Nemotron made of Llama by its method (`DeciModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names, rope};
use crate::config::Counts;
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value};
use crate::json::{Object, Value as Json};
use crate::vocab::{self, TokenizerFiles, llama_hf};

use super::llama::interleave_rotary;

pub(super) const DECI: Family = Family {
    names: &["DeciLMForCausalLM"],
    arch: "deci",
    vocab,
    tensors: names::DECI,
    keys: key_values,
    generate: rope::llama3_factors,
    emit,
    ..TEXT
};

/// The heads of each layer, those of its keys, and the width of its feed-forward part; 0 where it has none.
struct Layers {
    heads: Vec<i32>,
    kv_heads: Vec<i32>,
    sizes: Vec<i32>,
}

/// What `block_configs` says, if it is there.
fn layers(input: &Input) -> Result<Option<Layers>> {
    let config = input.config;
    let Some(blocks) = config.map().get("block_configs") else { return Ok(None) };
    let invalid = |what: &str| config.invalid(format!("block_configs: {what}"));
    let blocks = blocks.as_array().filter(|blocks| blocks.len() == input.layers as usize);
    let blocks = blocks.ok_or_else(|| invalid("expected an entry for each layer"))?;
    let (all, width) = (keys::signed(config, "num_attention_heads")?, config.require_u32(&["hidden_size"])?);
    let mut found = Layers { heads: Vec::new(), kv_heads: Vec::new(), sizes: Vec::new() };
    for block in blocks {
        let get = |part: &str, key: &str| block.get(part).and_then(|part| part.get(key));
        let group =
            get("attention", "n_heads_in_group").ok_or_else(|| invalid("n_heads_in_group is missing"))?;
        let (heads, kv_heads) = match group {
            Json::Null if get("attention", "replace_with_linear") == Some(&Json::Bool(true)) => (all, 0),
            Json::Null => (0, 0),
            group => {
                let group = group.as_i64().and_then(|n| i32::try_from(n).ok()).filter(|n| *n > 0);
                (all, all / group.ok_or_else(|| invalid("n_heads_in_group: expected a positive number"))?)
            }
        };
        let multiplier = match get("ffn", "ffn_mult") {
            Some(Json::Null) => Some(0.0),
            multiplier => multiplier.and_then(Json::as_f64),
        };
        let size = multiplier.map(|multiplier| (2.0 * multiplier * f64::from(width) / 3.0).trunc());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in the range of 32 bits")]
        let size = size.filter(|size| (0.0..=f64::from(1 << 30)).contains(size)).map(|size| size as u32);
        let size = size.ok_or_else(|| invalid("ffn_mult: expected a number that is not absurd"))?;
        found.heads.push(heads);
        found.kv_heads.push(kv_heads);
        found.sizes.push(size.next_multiple_of(256).cast_signed());
    }
    Ok(Some(found))
}

/// The heads for keys of each layer, in the form that was there before `block_configs`.
fn kv_heads_by_layer(input: &Input) -> Result<Option<Vec<i32>>> {
    let config = input.config;
    match config.u32_or_list(&["num_key_value_heads_per_layer"])? {
        None => Ok(None),
        Some(Counts::Each(heads)) if heads.len() == input.layers as usize => Ok(Some(heads)),
        Some(_) => Err(config.invalid("num_key_value_heads_per_layer: expected an entry for each layer")),
    }
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    match layers(input)? {
        Some(Layers { heads, kv_heads, sizes }) => {
            let get = |key: &str| config.require_u32(&[key]).map(Some);
            let size = rope::width_per_head(input)?;
            keys.set_f32("rope.freq_base", input.rope.f32(&["rope_theta"])?);
            keys.set("attention.head_count_kv", Value::I32s(kv_heads));
            keys.set("attention.head_count", Value::I32s(heads));
            keys.set("feed_forward_length", Value::I32s(sizes));
            keys.set_u32("block_count", Some(input.layers));
            keys.set_u32("context_length", get("max_position_embeddings")?);
            keys.set_u32("embedding_length", get("hidden_size")?);
            keys.set_f32("attention.layer_norm_rms_epsilon", Some(config.require_f32(&["rms_norm_eps"])?));
            keys.set_u32("attention.key_length", Some(size));
            keys.set_u32("attention.value_length", Some(size));
            keys.values.set_u32("general.file_type", input.ftype as u32);
        }
        None => {
            keys::common(input, keys)?;
            if let Some(heads) = kv_heads_by_layer(input)? {
                keys.set("attention.head_count_kv", Value::I32s(heads));
            }
        }
    }
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    keys.set_u32("rope.dimension_count", Some(rope::dimension_count(input)?));
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let is = |matrix: &str| {
        ["weight", "bias"].iter().any(|kind| tensor.name.ends_with(&format!("{matrix}.{kind}")))
    };
    let (query, key) = (is("q_proj"), is("k_proj"));
    if query || key {
        let config = input.config;
        let at = |list: &[i32]| {
            let heads = tensor.layer.and_then(|layer| list.get(usize::try_from(layer).ok()?));
            let heads = heads.and_then(|heads| u32::try_from(*heads).ok());
            heads.ok_or_else(|| builder.invalid(format!("{}: there is no such layer", tensor.name)))
        };
        let all = config.require_u32(&["num_attention_heads"])?;
        let (heads, kv_heads) = match (kv_heads_by_layer(input)?, layers(input)?) {
            (Some(list), _) => (all, at(&list)?),
            (None, Some(layers)) => (at(&layers.heads)?, at(&layers.kv_heads)?),
            (None, None) => (all, config.u32(&["num_key_value_heads"])?.unwrap_or(all)),
        };
        let turned = interleave_rotary(&tensor.name, tensor.expr, if query { heads } else { kv_heads });
        tensor.expr = turned.map_err(|problem| builder.invalid(problem))?;
    }
    builder.add(tensor)
}

/// BPE for vocabularies of Llama 3's size, else that of Llama's `tokenizer.json`.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    if config.get("vocab_size").is_none_or(|size| size.as_u64() == Some(128_256)) {
        return vocab::gpt2(kv, files, config);
    }
    if !llama_hf::applies(files) {
        let problem = "expected a tokenizer.json with BPE and byte fallback, as Llama 2's";
        return Err(Error::unsupported(problem).at(files.dir.path()));
    }
    llama_hf::add(kv, files, config)
}
