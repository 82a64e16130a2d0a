//! Jamba: attention and Mamba in turn, some of the layers with experts (`JambaModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::ExpertNames;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;
use crate::gguf::KeyValues;
use crate::gguf::Value;
use crate::json::Object;
use crate::vocab::{TokenizerFiles, llama_hf, no_space_prefix, sentencepiece};

use super::mamba::{epsilon, state_space};

pub(super) const JAMBA: Family = Family {
    names: &["JambaForCausalLM"],
    arch: "jamba",
    vocab,
    tensors: names::JAMBA,
    keys: key_values,
    emit,
    ..TEXT
};

const EXPERTS: ExpertNames = ExpertNames {
    one: "model.layers.{bid}.feed_forward.experts.{xid}.{matrix}.weight",
    stack: "model.layers.{bid}.mlp.experts.{matrix}.weight",
    matrices: &["down_proj", "gate_proj", "up_proj"],
};

const EXPERT_COUNT: [&str; 2] = ["num_local_experts", "num_experts"];

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let width = config.require_u32(&["hidden_size", "mamba_d_model"])?;
    let inner = keys::times(config, config.require_u32(&["mamba_expand"])?, width)?;
    let kv_heads = keys::signed(config, "num_key_value_heads")?;
    let (offset, period) = cycle(input, "attn_layer_offset", "attn_layer_period")?;
    if offset > keys::MOST_LAYERS {
        return Err(config.invalid(format!("attn_layer_offset: {offset} is beyond the last layer")));
    }
    let attends = |layer: u32| layer >= offset && (layer - offset).is_multiple_of(period);
    // The layers before the first of attention are listed even if there are not as many.
    let kv_heads =
        (0..input.layers.max(offset)).map(|layer| if attends(layer) { kv_heads } else { 0 }).collect();
    let rank = keys::nonzero(config, &["mamba_dt_rank"])?.unwrap_or(width.div_ceil(16));
    let feed_forward = config.require_u32(&["intermediate_size"])?;
    let used = config.require_u32(&["num_experts_per_tok", "num_experts_per_token"])?;

    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("context_length", Some(config.require_u32(&["max_position_embeddings", "n_ctx"])?));
    keys.set_u32("embedding_length", Some(width));
    keys.set_u32("feed_forward_length", Some(feed_forward));
    keys.set_u32("attention.head_count", Some(config.require_u32(&["num_attention_heads"])?));
    keys.set("attention.head_count_kv", Value::I32s(kv_heads));
    let kernel = keys::nonzero(config, &["mamba_d_conv"])?.unwrap_or(4);
    let state = keys::nonzero(config, &["mamba_d_state"])?.unwrap_or(16);
    keys.set_u32("ssm.conv_kernel", Some(kernel));
    keys.set_u32("ssm.inner_size", Some(inner));
    keys.set_u32("ssm.state_size", Some(state));
    keys.set_u32("ssm.time_step_rank", Some(rank));
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(epsilon(input, 1e-6)?));
    keys.set_u32("expert_count", Some(config.require_u32(&EXPERT_COUNT)?));
    keys.set_u32("expert_used_count", Some(used));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

/// First layer of a kind, and after how many the next follows.
fn cycle(input: &Input, offset: &str, period: &str) -> Result<(u32, u32)> {
    let config = input.config;
    match config.require_u32(&[period])? {
        0 => Err(config.invalid(format!("{period}: expected at least 1, found 0"))),
        steps => Ok((config.require_u32(&[offset])?, steps)),
    }
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    tensor.name = tensor.name.replace(".moe.", ".feed_forward.");
    if let Some(layer) = tensor.layer {
        let (offset, period) = cycle(input, "expert_layer_offset", "expert_layer_period")?;
        let steps = layer.checked_sub(offset.into());
        if steps.is_none_or(|steps| steps % u64::from(period) != 0) {
            tensor.name = tensor.name.replace(".experts.0.", ".");
        }
    }
    if tensor.name.contains(".feed_forward.experts.") {
        return builder.add_expert(tensor, input.config.require_u32(&EXPERT_COUNT)?, &EXPERTS);
    }
    let name = builder.resolve(&tensor.name)?;
    let tensor = state_space(&name, tensor);
    builder.add_as(name, tensor.layer, tensor.expr)
}

/// SentencePiece, else Llama's `tokenizer.json` without a space in front.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    if !sentencepiece::add(kv, files, config)? {
        llama_hf::add(kv, files, config)?;
        no_space_prefix(kv);
    }
    Ok(())
}
