//! The language models of Qwen 2 VL, Qwen 2.5 VL and Qwen 3 VL (`Qwen2VLModel`, `Qwen3VLTextModel`,
//! `Qwen3VLMoeTextModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, keys, names};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::json::Value;
use crate::vocab::TokenizerFiles;

use super::qwen::{QWEN2, dense_keys, expert_keys, experts};
use super::qwen3::QWEN3_MOE;
use super::rerank::{self, is_reranker};

pub(super) const QWEN2_VL: Family = Family {
    names: &[
        "Qwen2VLForConditionalGeneration",
        "Qwen2VLModel",
        "Qwen2_5OmniModel",
        "Qwen2_5_VLForConditionalGeneration",
    ],
    arch: "qwen2vl",
    tensors: names::QWEN2VL,
    keys: keys::common,
    rename: |_, name| {
        let thinks = name.starts_with("thinker.");
        Some(if thinks { name.replace("thinker.", "") } else { name.to_owned() })
    },
    emit: |_, builder, tensor| builder.add(tensor),
    ..QWEN2
};

pub(super) const QWEN3_VL: Family = Family {
    names: &["Qwen3VLForConditionalGeneration"],
    arch: "qwen3vl",
    tensors: names::QWEN3VL,
    variant: |input| Ok(is_reranker(input)?.then_some(&QWEN3_VL_RERANKER)),
    keys: |input, keys| {
        dense_keys(input, keys)?;
        deepstack(input, keys)
    },
    emit: |_, builder, tensor| builder.add(tensor),
    ..QWEN2
};

static QWEN3_VL_RERANKER: Family = Family {
    names: &[],
    keys: |input, keys| {
        rerank::key_values(input, keys)?;
        deepstack(input, keys)
    },
    emit: rerank::emit,
    ..QWEN3_VL
};

pub(super) const QWEN3_VL_MOE: Family = Family {
    names: &["Qwen3VLMoeForConditionalGeneration"],
    arch: "qwen3vlmoe",
    tensors: names::QWEN3VLMOE,
    keys: |input, keys| {
        expert_keys(input, keys)?;
        deepstack(input, keys)
    },
    emit: transposed_experts,
    ..QWEN3_MOE
};

pub(super) const QWEN3_ASR: Family = Family {
    names: &["Qwen3ASRForConditionalGeneration"],
    vocab: |kv, files, config| {
        (QWEN3_VL.vocab)(kv, files, config)?;
        kv.set_string("tokenizer.chat_template", CHATML);
        turns(kv, files)
    },
    keys: |input, keys| {
        dense_keys(input, keys)?;
        keys.set_u32("n_deepstack_layers", Some(0));
        Ok(())
    },
    rename: |_, name| Some(name.replace("thinker.", "")),
    ..QWEN3_VL
};

pub(super) const QWEN3_OMNI: Family = Family {
    names: &["Qwen3OmniMoeForConditionalGeneration"],
    vocab: |kv, files, config| {
        (QWEN3_VL_MOE.vocab)(kv, files, config)?;
        turns(kv, files)
    },
    keys: |input, keys| {
        expert_keys(input, keys)?;
        keys.set_u32("n_deepstack_layers", Some(0));
        Ok(())
    },
    rename: |_, name| Some(name.replace("thinker.", "")),
    ..QWEN3_VL_MOE
};

/// The template of models that hear; their own is for what prepares sound.
const CHATML: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + \
    '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// Texts begin and end with the token that ends a turn.
fn turns(kv: &mut KeyValues, files: &TokenizerFiles) -> Result<()> {
    let tokens = files.config.as_ref().and_then(|config| config.get("added_tokens_decoder")?.as_object());
    let end = |token: &Value| token.get("content").is_some_and(|content| *content == "<|im_end|>");
    let Some((id, _)) = tokens.into_iter().flatten().find(|(_, token)| end(token)) else { return Ok(()) };
    let invalid =
        || Error::invalid(files.dir.join("tokenizer_config.json"), "added_tokens_decoder: expected numbers");
    let id = id.trim().parse().map_err(|_| invalid())?;
    kv.set_u32("tokenizer.ggml.bos_token_id", id);
    kv.set_u32("tokenizer.ggml.eos_token_id", id);
    Ok(())
}

/// `deepstack_visual_indexes` where the file has none, in the configuration classes for vision.
const DEFAULT_DEEPSTACK_LAYERS: usize = 3;

/// How many layers take in what layers of the vision model see.
fn deepstack(input: &Input, keys: &mut Keys) -> Result<()> {
    let vision = input.config.optional_section("vision_config")?;
    let layers = match vision.map().get("deepstack_visual_indexes") {
        None => Some(DEFAULT_DEEPSTACK_LAYERS),
        Some(indexes) => indexes.as_array().map(Vec::len),
    };
    let layers = layers.and_then(|layers| u32::try_from(layers).ok());
    let problem =
        || input.config.invalid("vision_config.deepstack_visual_indexes: expected a list of layers");
    keys.set_u32("n_deepstack_layers", Some(layers.ok_or_else(problem)?));
    Ok(())
}

/// Experts are stored as stacks, transposed, gate and up side by side.
fn transposed_experts(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let base = tensor.name.strip_suffix(".weight").unwrap_or(&tensor.name).to_owned();
    let Some(module) = ["down_proj", "gate_up_proj"]
        .iter()
        .find_map(|matrix| base.strip_suffix(matrix).filter(|module| module.ends_with("mlp.experts.")))
    else {
        return experts(input, builder, tensor);
    };
    let shape = tensor.expr.shape();
    if shape.len() != 3 {
        return Err(
            builder.invalid(format!("{base}: expected experts × rows × columns, found shape {shape:?}"))
        );
    }
    tensor.expr = tensor.expr.permute(&[0, 2, 1])?;
    if base.ends_with("down_proj") {
        tensor.name = format!("{base}.weight");
        return builder.add(tensor);
    }
    let (gate, up) = tensor.expr.halves(1)?;
    let layer = tensor.layer;
    builder.add(Tensor { name: format!("{module}gate_proj.weight"), layer, expr: gate })?;
    builder.add(Tensor { name: format!("{module}up_proj.weight"), layer, expr: up })
}
