//! DeepSeek and models built like it: latent attention, shared and routed experts (`DeepseekModel`,
//! `DeepseekV2Model`, `DeepseekV32Model` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::NAMES;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, mtp, names, rope};
use crate::config::{Config, truthy};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::gguf::Value;
use crate::json::{Object, Value as Json};
use crate::vocab::{self, TokenizerFiles};

use super::llama::interleave_rotary;

pub(super) const DEEPSEEK: Family = Family {
    names: &["DeepseekForCausalLM"],
    arch: "deepseek",
    vocab: vocab::qwen2,
    tensors: names::DEEPSEEK,
    keys: first_keys,
    emit: first,
    ..TEXT
};

pub(super) const DEEPSEEK2: Family = Family {
    names: &[
        "DeepseekOCRForCausalLM",
        "DeepseekV2ForCausalLM",
        "DeepseekV3ForCausalLM",
        "KimiK25ForConditionalGeneration",
        "KimiVLForConditionalGeneration",
        "UnlimitedOCRForCausalLM",
        "YoutuForCausalLM",
        "YoutuVLForConditionalGeneration",
    ],
    arch: "deepseek2",
    vocab: vocab2,
    tensors: names::DEEPSEEK2,
    variant: ocr,
    keys: latent_keys,
    rename: |_, name| own(name).then(|| name.to_owned()),
    emit: without_prediction,
    ..TEXT
};

pub(super) const DEEPSEEK32: Family = Family {
    names: &["DeepseekV32ForCausalLM"],
    arch: "deepseek32",
    vocab: vocab32,
    tensors: names::DEEPSEEK32,
    mtp: true,
    mtp_file_name: false,
    layers: mtp::layers,
    keys: |input, keys| {
        latent_keys(input, keys)?;
        mtp::count(input, keys)?;
        indexer_keys(input.config, keys)
    },
    rename: |input, name| mtp::rename(input, name).filter(|name| own(name)),
    emit: latent,
    ..DEEPSEEK2
};

/// How many special tokens Kimi's code makes until K2 and Kimi Linear. `vocab_size` leaves out the last two.
pub(super) const KIMI_SPECIAL: u32 = 258;

fn first_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    keys.set_u32("rope.dimension_count", Some(rope::dimension_count(input)?));
    keys.set("rope.scaling.type", Value::String("none".into()));
    keys.set_u32("leading_dense_block_count", Some(config.require_u32(&["first_k_dense_replace"])?));
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    keys.set_u32("expert_feed_forward_length", Some(config.require_u32(&["moe_intermediate_size"])?));
    keys.set_f32("expert_weights_scale", Some(1.0));
    keys.set_u32("expert_count", Some(config.require_u32(&["n_routed_experts"])?));
    keys.set_u32("expert_shared_count", Some(config.require_u32(&["n_shared_experts"])?));
    Ok(())
}

fn first(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let is = |matrix: &str| {
        ["weight", "bias"].iter().any(|kind| tensor.name.ends_with(&format!("{matrix}.{kind}")))
    };
    let (query, key) = (is("q_proj"), is("k_proj"));
    if query || key {
        let heads = input.config.require_u32(&["num_attention_heads"])?;
        let heads = input.config.u32(&["num_key_value_heads"])?.filter(|_| key).unwrap_or(heads);
        tensor.expr = interleave_rotary(&tensor.name, tensor.expr, heads).map_err(|p| builder.invalid(p))?;
    }
    expert_or_other(input, builder, tensor)
}

fn expert_or_other(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if tensor.name.contains("mlp.experts") {
        let count = input.config.require_u32(&["n_routed_experts"])?;
        return builder.add_expert(tensor, count, &NAMES);
    }
    builder.add(tensor)
}

/// Key-values of models with latent attention, which llama.cpp runs as if there were one head of keys and
/// values, of the latent size.
pub(super) fn latent_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    expert_keys(input, input.config, keys, true)
}

/// [`latent_keys`] for a family that corrects the model's settings first.
pub(super) fn latent_keys_of(input: &Input, config: &Config, keys: &mut Keys) -> Result<()> {
    expert_keys(input, config, keys, true)
}

/// [`latent_keys`], or those of a model with plain attention.
fn expert_keys(input: &Input, given: &Config, keys: &mut Keys, latent: bool) -> Result<()> {
    let mut config = match latent {
        true => given.replaced("num_key_value_heads", 1),
        false => given.clone(),
    };
    if !config.map().contains_key("rms_norm_eps") {
        config = config.replaced("rms_norm_eps", 1e-6);
    }
    keys::common_of(input, &config, keys)?;
    let optional = |key: &str, default: u32| match config.map().contains_key(key) {
        true => config.require_u32(&[key]),
        false => Ok(default),
    };
    let sum = |a: u32, b: u32| {
        a.checked_add(b).ok_or_else(|| config.invalid("qk_rope_head_dim: expected a size that is not absurd"))
    };
    let experts = config.u32(&["n_routed_experts"])?;
    let dense = match config.u32(&["first_k_dense_replace"])? {
        Some(dense) => dense,
        None if experts.is_some() => 0,
        None => config.require_u32(&["num_hidden_layers"])?,
    };
    keys.set_u32("leading_dense_block_count", Some(dense));
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    keys.set_u32("attention.q_lora_rank", config.u32(&["q_lora_rank"])?);
    let rotated = config.require_u32(&["qk_rope_head_dim"])?;
    if latent {
        let rank = optional("kv_lora_rank", 512)?;
        keys.set_u32("attention.kv_lora_rank", Some(rank));
        keys.set_u32("attention.key_length", Some(sum(rank, rotated)?));
        keys.set_u32("attention.value_length", Some(rank));
        let key_length = sum(config.require_u32(&["qk_nope_head_dim"])?, rotated)?;
        keys.set_u32("attention.key_length_mla", Some(key_length));
        keys.set_u32("attention.value_length_mla", Some(config.require_u32(&["v_head_dim"])?));
    }
    let length = config.require_u32(&["moe_intermediate_size", "intermediate_size"])?;
    keys.set_u32("expert_feed_forward_length", Some(length));
    keys.set_u32("expert_count", experts);
    keys.set_u32("expert_shared_count", Some(optional("n_shared_experts", 0)?));
    keys.set_f32("expert_weights_scale", config.f32(&["routed_scaling_factor"])?);
    keys.set_bool("expert_weights_norm", config.bool(&["norm_topk_prob"])?.filter(|norm| *norm));
    keys.set_u32("rope.dimension_count", Some(rotated));
    if !latent {
        let own = keys::nonzero(&config, &["sliding_window_size"])?;
        keys.set_u32("attention.sliding_window", own.or(keys::nonzero(&config, &["sliding_window"])?));
    }
    #[allow(clippy::cast_possible_truncation)]
    let multiplier = input.rope.f64(&["mscale_all_dim"])?.map(|scale| (0.1 * scale) as f32);
    keys.set_f32("rope.scaling.yarn_log_multiplier", multiplier);
    Ok(())
}

/// What selects the tokens that sparse attention looks at.
pub(super) fn indexer_keys(config: &Config, keys: &mut Keys) -> Result<()> {
    keys.set_u32("attention.indexer.head_count", Some(config.require_u32(&["index_n_heads"])?));
    keys.set_u32("attention.indexer.key_length", Some(config.require_u32(&["index_head_dim"])?));
    keys.set_u32("attention.indexer.top_k", Some(config.require_u32(&["index_topk"])?));
    Ok(())
}

/// DeepSeek OCR and Unlimited OCR, whose language models have plain attention.
static DEEPSEEK_OCR: Family = Family {
    names: &[],
    arch: "deepseek2-ocr",
    tensors: names::DEEPSEEK2OCR,
    variant: |_| Ok(None),
    keys: |input, keys| expert_keys(input, input.config, keys, false),
    early: |_, keys| {
        keys.values.set_string("tokenizer.chat_template", OCR_TEMPLATE);
        Ok(())
    },
    ..DEEPSEEK2
};

/// What is asked stands for itself.
const OCR_TEMPLATE: &str = "{% for m in messages %}{{m['content']}}{% endfor %}";

fn ocr(input: &Input) -> Result<Option<&'static Family>> {
    let reads = ["DeepseekOCRForCausalLM", "DeepseekOCR2ForCausalLM", "UnlimitedOCRForCausalLM"];
    let origin = input.config.origin_architecture();
    if !origin.is_some_and(|origin| reads.contains(&origin)) {
        return Ok(None);
    }
    Ok(Some(&DEEPSEEK_OCR))
}

/// Whether a tensor belongs to the language model, as far as families here need to ask.
pub(super) fn own(name: &str) -> bool {
    !name.contains("sam_model") && !name.contains("qwen2_model")
}

/// [`latent`], leaving out layers beyond the model's own: they predict further tokens.
pub(super) fn without_prediction(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    let layer = tensor.name.strip_prefix("model.layers.").map(digits).filter(|layer| !layer.is_empty());
    if layer.is_some_and(|layer| layer.parse().unwrap_or(u64::MAX) >= mtp::main_layers(input)) {
        return Ok(());
    }
    latent(input, builder, tensor)
}

/// Splits `kv_b_proj` into the part for keys, transposed, and the part for values.
pub(super) fn latent(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    match tensor.name.contains("mlp.experts") {
        true => expert_or_other(input, builder, tensor),
        false => stacked(input, builder, tensor, "num_key_value_heads"),
    }
}

/// [`latent`] for models whose experts are in stacks already; `heads` is the setting that says how many heads `kv_b_proj`
/// has.
pub(super) fn stacked(input: &Input, builder: &mut Builder, tensor: Tensor, heads: &str) -> Result<()> {
    let tied = input.config.map().get("tie_word_embeddings").is_some_and(truthy);
    if tied && matches!(tensor.name.as_str(), "lm_head.weight" | "model.lm_head.weight") {
        return Ok(());
    }
    if !tensor.name.ends_with("kv_b_proj.weight") {
        return builder.add(tensor);
    }
    let size = |key: &str| input.config.require_u32(&[key]).map(u64::from);
    split_latent(builder, tensor, size(heads)?, size("qk_nope_head_dim")?, size("v_head_dim")?)
}

/// Adds the part of `kv_b_proj` for `keys` of each of `heads`, transposed, and that for `values`.
pub(super) fn split_latent(
    builder: &mut Builder,
    tensor: Tensor,
    heads: u64,
    keys: u64,
    values: u64,
) -> Result<()> {
    let both = keys + values;
    let shape = tensor.expr.shape().to_vec();
    let &[rows, columns] = shape.as_slice() else {
        return Err(builder.invalid(format!("{}: expected a matrix, found shape {shape:?}", tensor.name)));
    };
    if heads.checked_mul(both) != Some(rows) || rows == 0 {
        return Err(builder.invalid(format!(
            "{}: expected {both} rows for each of {heads} heads, found shape {shape:?}",
            tensor.name
        )));
    }
    let split = tensor.expr.reshape(&[heads, both, columns])?;
    let key = split.clone().slice(1, 0, keys, 1)?.swap_axes(1, 2)?;
    let value = split.slice(1, keys, both, 1)?;
    let layer = tensor.layer;
    builder.add(Tensor { name: tensor.name.replace("kv_b_proj", "k_b_proj"), layer, expr: key })?;
    builder.add(Tensor { name: tensor.name.replace("kv_b_proj", "v_b_proj"), layer, expr: value })
}

/// Kimi's tiktoken where that is all there is, else BPE.
fn vocab2(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    match vocab::kimi(kv, files, config, KIMI_SPECIAL)? {
        Some(_) => Ok(()),
        None => vocab::gpt2(kv, files, config),
    }
}

/// BPE that must add BOS: DeepSeek 3.2.
fn vocab32(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let adds_bos = files.config.as_ref().and_then(|config| config.get("add_bos_token"));
    if adds_bos.and_then(Json::as_bool) != Some(true) {
        let path = files.dir.join("tokenizer_config.json");
        return Err(Error::invalid(path, "expected add_bos_token to be true; change it"));
    }
    vocab::gpt2(kv, files, config)
}
