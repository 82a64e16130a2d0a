//! OpenELM (`OpenELMModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::config::{Config, Counts};
use crate::error::Result;
use crate::gguf::Value;
use crate::json::Value as Json;
use crate::vocab;

pub(super) const OPENELM: Family = Family {
    names: &["OpenELMForCausalLM"],
    arch: "openelm",
    vocab: vocab::sentencepiece_only,
    tensors: names::OPENELM,
    layers: |config, _, _| {
        keys::bounded_layers(config, config.require_u32(&["num_transformer_layers"])?.into())
    },
    keys: key_values,
    emit,
    ..TEXT
};

/// The width of each feed-forward layer.
fn feed_forward(config: &Config) -> Result<Vec<i32>> {
    let invalid = || config.invalid("ffn_multipliers: expected a number for each layer that is not absurd");
    let width = f64::from(config.require_u32(&["model_dim"])?);
    let divisor = f64::from(config.require_u32(&["ffn_dim_divisor"])?);
    let size = |multiplier: &Json| {
        let wanted = multiplier.as_f64()? * width;
        let size = (((wanted + divisor / 2.0).trunc() / divisor).floor() * divisor).max(divisor);
        let size = if size < 0.9 * wanted { size + divisor } else { size };
        #[allow(clippy::cast_possible_truncation, reason = "in the range of 32 bits")]
        (1.0..=f64::from(i32::MAX)).contains(&size).then_some(size as i32)
    };
    let list = config.map().get("ffn_multipliers").and_then(Json::as_array);
    list.and_then(|list| list.iter().map(size).collect()).ok_or_else(invalid)
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let heads = |key: &str| match config.u32_or_list(&[key])? {
        Some(Counts::Each(heads)) if heads.len() == input.layers as usize => Ok(Value::I32s(heads)),
        _ => Err(config.invalid(format!("{key}: expected a list of {} numbers", input.layers))),
    };
    let sizes = feed_forward(config)?;
    if sizes.len() != input.layers as usize {
        return Err(config.invalid(format!("ffn_multipliers: expected a list of {} numbers", input.layers)));
    }
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("context_length", get("max_context_length")?);
    keys.set_u32("embedding_length", get("model_dim")?);
    keys.set("feed_forward_length", Value::I32s(sizes));
    keys.set("attention.head_count", heads("num_query_heads")?);
    keys.set("attention.head_count_kv", heads("num_kv_heads")?);
    keys.set_f32("rope.freq_base", Some(config.require_f32(&["rope_freq_constant"])?));
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(1e-6));
    keys.set_u32("rope.dimension_count", get("head_dim")?);
    keys.set_u32("attention.key_length", get("head_dim")?);
    keys.set_u32("attention.value_length", get("head_dim")?);
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

/// Gate and up are in one matrix.
fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let Some(layer) =
        tensor.layer.filter(|l| tensor.name == format!("transformer.layers.{l}.ffn.proj_1.weight"))
    else {
        return builder.add(tensor);
    };
    let size = usize::try_from(layer).ok().and_then(|at| feed_forward(input.config).ok()?.get(at).copied());
    let size = size.and_then(|size| u64::try_from(size).ok());
    let all = tensor.expr.shape().first().copied().unwrap_or(0);
    let Some(size) = size.filter(|size| *size < all) else {
        return Err(builder.invalid(format!("{}: expected gate and up, found {all} rows", tensor.name)));
    };
    for (part, from, to) in [("ffn_gate", 0, size), ("ffn_up", size, all)] {
        let expr = tensor.expr.clone().rows(from, to)?;
        builder.add(Tensor { name: format!("blk.{layer}.{part}.weight"), layer: tensor.layer, expr })?;
    }
    Ok(())
}
