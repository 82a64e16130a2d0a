//! LFM 2 (`LFM2Model`, `LFM2MoeModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::ExpertNames;
use crate::arch::pooling::pooling_type;
use crate::arch::tensors::{self, Tensor};
use crate::arch::{Family, Input, Keys, Modules, TEXT, keys, names};
use crate::config::{Config, truthy};
use crate::error::Result;
use crate::gguf::Value;
use crate::tensor::TensorExpr;
use crate::vocab;

pub(super) const LFM2: Family = Family {
    names: &["LFM2ForCausalLM", "Lfm2ForCausalLM"],
    arch: "lfm2",
    tensors: names::LFM2,
    keys: dense_keys,
    rename: |_, name| (!is_audio(name)).then(|| name.replace("lfm.", "model.")),
    emit: |_, builder, tensor| builder.add(convolution(tensor)?),
    ..TEXT
};

/// What turns the tokens of LFM 2.5's speech into sound.
pub(super) const LFM2_AUDIO_TOKENIZER: Family = Family {
    names: &["Lfm25AudioTokenizer"],
    vocab: vocab::none,
    keys: |input, keys| {
        dense_keys(input, keys)?;
        let get = |key: &str| input.config.require_u32(&[key]).map(Some);
        keys.set_u32("attention.sliding_window", get("sliding_window")?);
        keys.set_u32("embedding_length_out", get("output_size")?);
        Ok(())
    },
    rename: |input, name| {
        if name == "istft.window" || name.starts_with("emb.emb") {
            return None;
        }
        match name.starts_with("lin") {
            true => (LFM2.rename)(input, &name.replace("lin", "dense_2_out")),
            false => (LFM2.rename)(input, name),
        }
    },
    ..LFM2
};

/// Models that embed texts.
pub(super) const LFM2_EMBEDDING: Family = Family {
    names: &["Lfm2BidirectionalModel", "Lfm2Model"],
    modules: Modules::At(DENSE),
    keys: |input, keys| {
        (LFM2.keys)(input, keys)?;
        if input.architecture == "Lfm2BidirectionalModel" {
            keys.set("attention.causal", Value::Bool(false));
        }
        pooling_type(input, keys)
    },
    generate: dense_layer,
    emit: |_, builder, mut tensor| {
        tensor.name.insert_str(0, "model.");
        builder.add(convolution(tensor)?)
    },
    ..LFM2
};

/// Where sentence-transformers puts what follows the model.
const DENSE: &str = "1_Dense";

/// The matrix that follows the model, if one does.
fn dense_layer(input: &Input, builder: &mut Builder) -> Result<()> {
    let checkpoint = input.checkpoint;
    let Some(module) = checkpoint.modules.first() else { return Ok(()) };
    let named =
        |index: &usize| checkpoint.tensors.get(*index).is_some_and(|tensor| tensor.name == "linear.weight");
    let Some(index) = module.tensors.clone().find(named) else {
        return Err(builder.invalid(format!("{DENSE} has no tensor linear.weight")));
    };
    let shape = &checkpoint.tensors[index].shape;
    let width = shape.first().and_then(|rows| u32::try_from(*rows).ok());
    let width =
        width.ok_or_else(|| builder.invalid(format!("{DENSE}: linear.weight has shape {shape:?}")))?;
    builder.early.set_u32("embedding_length_out", Some(width));
    let expr = TensorExpr::source(index, shape);
    if let Some(tensor) = tensors::load(checkpoint, "dense_2.weight", &expr)? {
        builder.begin("dense_2.weight");
        builder.add(tensor)?;
    }
    Ok(())
}

pub(super) const LFM2_MOE: Family = Family {
    names: &["Lfm2MoeForCausalLM"],
    arch: "lfm2moe",
    tensors: names::LFM2MOE,
    keys: moe_keys,
    rename: |_, name| {
        let bias = name.ends_with(".expert_bias");
        Some(if bias { name.replace(".expert_bias", ".expert_bias.bias") } else { name.to_owned() })
    },
    emit: moe,
    ..TEXT
};

const EXPERTS: ExpertNames = ExpertNames {
    one: "model.layers.{bid}.feed_forward.experts.{xid}.{matrix}.weight",
    stack: "layers.{bid}.feed_forward.experts.{matrix}.weight",
    matrices: &["w1", "w2", "w3"],
};

/// Whether a tensor belongs to the part that hears or speaks.
fn is_audio(name: &str) -> bool {
    let parts = ["audio", "codebook", "conformer", "depth_embedding", "depthformer", "depth_linear"];
    parts.iter().any(|part| name.contains(part))
}

/// What all models have, with heads for keys in layers that attend only.
fn common(input: &Input, keys: &mut Keys, attends: fn(&str) -> bool) -> Result<()> {
    let config = input.config;
    let heads = keys::signed(config, "num_key_value_heads")?;
    let kinds = config.strings("layer_types")?.ok_or_else(|| config.invalid("layer_types is missing"))?;
    let heads: crate::json::Value = kinds.iter().map(|kind| if attends(kind) { heads } else { 0 }).collect();
    keys::common_of(input, &config.replaced("num_key_value_heads", heads), keys)
}

/// The width of feed-forward layers: two thirds of what the configuration says, and rounded up, if it asks for that.
fn feed_forward(config: &Config) -> Result<u32> {
    let size = config.require_u32(&["block_ff_dim", "intermediate_size"])?;
    let missing = || config.invalid("block_auto_adjust_ff_dim is missing");
    if !truthy(config.map().get("block_auto_adjust_ff_dim").ok_or_else(missing)?) {
        return Ok(size);
    }
    let part = (2.0 * f64::from(size) / 3.0).trunc();
    let part = config.f64(&["block_ffn_dim_multiplier"])?.map_or(part, |times| (times * part).trunc());
    let multiple = config.require_u32(&["block_multiple_of"])?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in the range of 32 bits")]
    let part = (0.0..=f64::from(u32::MAX)).contains(&part).then_some(part as u32);
    let size =
        part.zip(Some(multiple).filter(|n| *n > 0)).and_then(|(part, n)| part.checked_next_multiple_of(n));
    size.ok_or_else(|| config.invalid("block_ffn_dim_multiplier and block_multiple_of give no sensible size"))
}

/// Convolutions are of each channel by itself; the axis that says so goes.
fn convolution(mut tensor: Tensor) -> Result<Tensor> {
    if tensor.name.contains("conv.conv") {
        let mut shape = tensor.expr.shape().to_vec();
        if shape.get(1) == Some(&1) {
            shape.remove(1);
        }
        tensor.expr = tensor.expr.reshape(&shape)?;
    }
    Ok(tensor)
}

fn dense_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    common(input, keys, |kind| kind != "conv")?;
    let config = input.config;
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    keys.set_u32("shortconv.l_cache", Some(config.require_u32(&["conv_L_cache"])?));
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(config.require_f32(&["norm_eps"])?));
    keys.set_u32("feed_forward_length", Some(feed_forward(config)?));
    Ok(())
}

fn moe_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    common(input, keys, |kind| kind == "full_attention")?;
    let get = |key: &str| input.config.require_u32(&[key]).map(Some);
    keys.set_u32("expert_feed_forward_length", get("moe_intermediate_size")?);
    keys.set_u32("leading_dense_block_count", get("num_dense_layers")?);
    keys.set_u32("expert_gating_func", Some(keys::SIGMOID));
    keys.set_u32("vocab_size", get("vocab_size")?);
    keys.set_u32("shortconv.l_cache", get("conv_L_cache")?);
    Ok(())
}

fn moe(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let tensor = convolution(tensor)?;
    if tensor.name.contains("experts") {
        let count = input.config.require_u32(&["num_local_experts", "num_experts"])?;
        return builder.add_expert(tensor, count, &EXPERTS);
    }
    builder.add(tensor)
}
