//! Llama, Mistral and Mixtral, and models that differ by little (`LlamaModel`, `ArceeModel`, `SmolLM3Model`,
//! `LlamaEmbedNemotronModel` of the reference).

use std::borrow::Cow;

use crate::arch::builder::Builder;
use crate::arch::experts::ExpertNames;
use crate::arch::pooling::pooling_type;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, draft, keys, names, rope};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::tensor::TensorExpr;
use crate::vocab;

use super::eagle3;

pub(super) const ARCEE: Family = Family {
    names: &["ArceeForCausalLM"],
    arch: "arcee",
    tensors: names::ARCEE,
    keys: |input, keys| {
        key_values(input, keys)?;
        pooling_type(input, keys)
    },
    ..LLAMA
};

pub(super) const LLAMA_EMBED: Family =
    Family { names: &["LlamaBidirectionalModel"], arch: "llama-embed", tensors: names::LLAMA_EMBED, ..LLAMA };

pub(super) const SMOLLM3: Family =
    Family { names: &["SmolLM3ForCausalLM"], arch: "smollm3", tensors: names::SMOLLM3, ..LLAMA };

/// The language model of GLM-ASR, whose tokens are GLM-4's.
static GLM_ASR: Family = Family { names: &[], vocab: vocab::glm::glm4, ..LLAMA };

/// Some of these models do not say how many heads they have.
pub(super) const VLLAMA3: Family = Family {
    names: &["VLlama3ForCausalLM"],
    settings: |config| {
        let config = (TEXT.settings)(config)?;
        let known = config.map().contains_key("num_attention_heads");
        Ok(if known { config } else { Cow::Owned(config.replaced("num_attention_heads", 32)) })
    },
    ..LLAMA
};

pub(super) const LLAMA: Family = Family {
    names: &[
        "Eagle3DraftModel",
        "Eagle3LlamaForCausalLM",
        "Eagle3Speculator",
        "IQuestCoderForCausalLM",
        "LLaMAForCausalLM",
        "LlamaForCausalLM",
        "LlamaForCausalLMEagle3",
        "LlamaModel",
        "LlavaForConditionalGeneration",
        "MistralForCausalLM",
        "MixtralForCausalLM",
        "VoxtralForConditionalGeneration",
    ],
    arch: "llama",
    vocab: vocab::llama,
    tensors: names::LLAMA,
    settings: draft::unwrapped,
    variant: |input| {
        let speech = input.config.origin_architecture() == Some("GlmasrModel");
        Ok(variant(input)?.or(speech.then_some(&GLM_ASR)))
    },
    keys: key_values,
    rename: |_, name| Some(name.replace("text_model.", "")),
    nvfp4,
    generate: rope::llama3_factors,
    emit,
    ..TEXT
};

/// A draft, whatever its architecture is called.
static EAGLE3: Family = Family {
    names: &[],
    arch: "eagle3",
    draft: Some(|_| Ok(vocab::llama)),
    tensors: names::EAGLE3,
    variant: |_| Ok(None),
    early: eagle3::early,
    rename: |_, name| Some(eagle3::general_name(&name.replace("text_model.", ""))),
    emit: |input, builder, tensor| match eagle3::emit(builder, tensor)? {
        Some(tensor) => emit(input, builder, tensor),
        None => Ok(()),
    },
    finish: eagle3::finish,
    ..LLAMA
};

/// Mixtral's experts.
const EXPERTS: ExpertNames = ExpertNames {
    one: "model.layers.{bid}.block_sparse_moe.experts.{xid}.{matrix}.weight",
    stack: "layers.{bid}.feed_forward.experts.{matrix}.weight",
    matrices: &["w1", "w2", "w3"],
};

const HEADS: [&str; 2] = ["n_heads", "num_attention_heads"];
const KV_HEADS: [&str; 2] = ["n_kv_heads", "num_key_value_heads"];

pub(super) fn variant(input: &Input) -> Result<Option<&'static Family>> {
    let config = input.config;
    let has = |key: &str| config.map().contains_key(key);
    if eagle3::is_eagle3(config)? {
        return Ok(Some(&EAGLE3));
    }
    if !KV_HEADS.iter().any(|key| has(key)) {
        return Err(config.invalid("num_key_value_heads is missing"));
    }
    Ok(None)
}

/// [`variant`] for families of which there are no drafts.
pub(super) fn refuse_drafts(input: &Input) -> Result<()> {
    match variant(input)? {
        None => Ok(()),
        Some(_) => Err(input.config.unsupported("an EAGLE-3 draft of another class than Llama's")),
    }
}

pub(super) fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    key_values_of(input, input.config, keys)
}

/// [`key_values`] for a family that corrects the model's settings first.
pub(super) fn key_values_of(input: &Input, config: &Config, keys: &mut Keys) -> Result<()> {
    keys::common_of(input, config, keys)?;
    keys.set_u32("vocab_size", Some(input.config.require_u32(&["vocab_size"])?));
    keys.set_u32("rope.dimension_count", Some(rope::dimension_count(input)?));
    Ok(())
}

pub(super) fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    convert_with(input, builder, tensor, (&HEADS, &KV_HEADS))
}

/// [`emit`] for models with other names for the numbers of heads and of those for keys and values.
pub(super) fn convert_with(
    input: &Input,
    builder: &mut Builder,
    mut tensor: Tensor,
    (heads, kv_heads): (&[&str], &[&str]),
) -> Result<()> {
    if input.architecture == "LlamaModel" {
        tensor.name.insert_str(0, "model.");
    }
    let is = |matrix: &str| {
        ["weight", "bias"].iter().any(|kind| tensor.name.ends_with(&format!("{matrix}.{kind}")))
    };
    let (query, key) = (is("q_proj"), is("k_proj"));
    if query || key {
        let heads = input.config.require_u32(heads)?;
        let kv_heads = input.config.u32(kv_heads)?.unwrap_or(heads);
        let heads = if query { heads } else { kv_heads };
        tensor.expr = interleave_rotary(&tensor.name, tensor.expr, heads).map_err(|p| builder.invalid(p))?;
    }
    unpermuted(input, builder, tensor)
}

/// [`emit`] for codes of NVFP4.
fn nvfp4(input: &Input, name: &str, codes: TensorExpr) -> Result<TensorExpr> {
    let heads: &[&str] = match () {
        () if name.ends_with("q_proj.weight") => &HEADS,
        () if name.ends_with("k_proj.weight") => &KV_HEADS,
        () => return Ok(codes),
    };
    let Some(all) = input.config.u32(&HEADS)? else { return Ok(codes) };
    let heads = input.config.u32(heads)?.unwrap_or(all);
    interleave_rotary(name, codes, heads).map_err(|problem| Error::invalid(&input.checkpoint.dir, problem))
}

/// [`emit`] for models whose heads lie as llama.cpp wants them.
pub(super) fn unpermuted(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if tensor.name.contains("block_sparse_moe.experts") {
        let count = input.config.require_u32(&["num_local_experts"])?;
        return builder.add_expert(tensor, count, &EXPERTS);
    }
    builder.add(tensor)
}

/// Hugging Face rotates the first half of each head against the second, llama.cpp neighbour against
/// neighbour: rows `half` apart move together. The error is what is wrong with the shape.
pub(in crate::arch) fn interleave_rotary(
    name: &str,
    expr: TensorExpr,
    heads: u32,
) -> Result<TensorExpr, String> {
    let shape = expr.shape().to_vec();
    let heads = u64::from(heads);
    let split = shape.split_first().and_then(|(rows, columns)| {
        let half = rows.checked_div(heads)? / 2;
        (half > 0 && half * 2 * heads == *rows).then(|| [&[heads, 2, half], columns].concat())
    });
    let Some(split) = split else {
        return Err(format!(
            "{name}: expected an even number of rows for each of {heads} heads, found shape {shape:?}"
        ));
    };
    let permuted = expr.reshape(&split).and_then(|e| e.swap_axes(1, 2)).and_then(|e| e.reshape(&shape));
    permuted.map_err(|e| format!("{name}: {e}"))
}
