//! Gemma 4 (`Gemma4Model`, `Gemma4UnifiedModel` of the reference).

use crate::json::Value as Json;
use crate::vocab;

use crate::arch::builder::Builder;
use crate::arch::rope::LARGEST_HEAD;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, keys, names};
use crate::config::{Config, read_json, truthy};
use crate::error::{Error, Result};
use crate::gguf::Value;
use crate::tensor::TensorExpr;

use super::gemma::{GEMMA3, gemma3_keys, known_tokens};

pub(super) const GEMMA4: Family = Family {
    names: &["Gemma4ForCausalLM", "Gemma4ForConditionalGeneration"],
    arch: "gemma4",
    vocab: vocab::gemma4,
    tensors: names::GEMMA4,
    keys: key_values,
    rename,
    generate: proportional_rope,
    emit,
    ..GEMMA3
};

pub(super) const GEMMA4_UNIFIED: Family = Family {
    names: &["Gemma4UnifiedForConditionalGeneration"],
    keys: |input, keys| {
        key_values(input, keys)?;
        suppressed_tokens(input, keys)
    },
    ..GEMMA4
};

const FULL: &str = "full_attention";

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    gemma3_keys(input, keys)?;
    let config = input.config;
    let shared = config.require_u32(&["num_kv_shared_layers"])?;
    keys.set_u32("attention.shared_kv_layers", Some(shared));
    let per_layer = config.u32(&["hidden_size_per_layer_input"])?.unwrap_or(0);
    keys.set_u32("embedding_length_per_layer_input", Some(per_layer));
    keys::sliding_pattern(config, keys)?;
    let (full, sliding) = (full_head_size(config)?, config.require_u32(&["head_dim"])?);
    keys.set_u32("attention.key_length", Some(full));
    keys.set_u32("attention.value_length", Some(full));
    keys.set_u32("attention.key_length_swa", Some(sliding));
    keys.set_u32("attention.value_length_swa", Some(sliding));
    let length = config.u32(&["expert_intermediate_size", "moe_intermediate_size"])?;
    keys.set_u32("expert_feed_forward_length", length);
    if config.map().get("use_double_wide_mlp").is_some_and(truthy) {
        let length = config.require_u32(&["intermediate_size"])?;
        let own = input.layers.saturating_sub(shared);
        let lengths = (0..input.layers).map(|layer| length.checked_mul(if layer < own { 1 } else { 2 }));
        let lengths = lengths.map(|length| i32::try_from(length?).ok()).collect::<Option<Vec<_>>>();
        let absurd = || config.invalid(format!("intermediate_size {length} is absurd"));
        keys.set("feed_forward_length", Value::I32s(lengths.ok_or_else(absurd)?));
    }
    let heads = config.u32(&["num_key_value_heads"])?;
    let full_heads = match config.u32(&["num_global_key_value_heads"])? {
        Some(heads) => Some(heads),
        None => of_full_layers(config, "num_key_value_heads")?,
    };
    if let (Some(full), Some(sliding), Some(kinds)) = (full_heads, heads, config.strings("layer_types")?) {
        let heads = kinds.iter().map(|kind| if *kind == "sliding_attention" { sliding } else { full });
        let heads = heads.map(|heads| i32::try_from(heads).ok()).collect::<Option<Vec<_>>>();
        let absurd = || config.invalid("num_key_value_heads is absurd");
        keys.set("attention.head_count_kv", Value::I32s(heads.ok_or_else(absurd)?));
    }
    keys.set_u32("rope.dimension_count", Some(full));
    keys.set_u32("rope.dimension_count_swa", Some(keys::rotated(input, sliding, 1.0)?));
    Ok(())
}

/// The size of heads in layers with full attention.
fn full_head_size(config: &Config) -> Result<u32> {
    let size = match config.u32(&["global_head_dim"])? {
        Some(size) => Some(size),
        None => of_full_layers(config, "head_dim")?,
    };
    let size = size.filter(|size| *size <= LARGEST_HEAD);
    size.ok_or_else(|| {
        config.invalid("global_head_dim: expected the size of heads, found none that is sound")
    })
}

/// `key` of the first layer with full attention that differs from the rest of the model in it.
fn of_full_layers(config: &Config, key: &str) -> Result<Option<u32>> {
    let kinds = config.strings("layer_types")?.unwrap_or_default();
    let layers = config.map().get("per_layer_config").and_then(Json::as_object);
    let value = layers.into_iter().flatten().find_map(|(layer, settings)| {
        let layer: usize = layer.parse().ok()?;
        settings.get(key).filter(|_| kinds.get(layer) == Some(&FULL))
    });
    let number = |value: &Json| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let problem = || config.invalid(format!("per_layer_config: {key} is no number of a sound size"));
    value.map(|value| number(value).ok_or_else(problem)).transpose()
}

fn suppressed_tokens(input: &Input, keys: &mut Keys) -> Result<()> {
    let (dir, name) = (&input.checkpoint.dir, "generation_config.json");
    if !dir.exists(name)? {
        return Ok(());
    }
    let file = read_json(dir, name)?;
    let Some(list) = file.get("suppress_tokens").filter(|list| !list.is_null()) else { return Ok(()) };
    let id = |id: &Json| i32::try_from(id.as_i64()?).ok();
    let ids = list.as_array().and_then(|ids| ids.iter().map(id).collect::<Option<Vec<_>>>());
    let ids =
        ids.ok_or_else(|| Error::invalid(dir.join(name), "suppress_tokens: expected a list of token ids"))?;
    if !ids.is_empty() {
        keys.values.set("tokenizer.ggml.suppress_tokens", Value::I32s(ids));
    }
    Ok(())
}

fn rename(_: &Input, name: &str) -> Option<String> {
    const OTHERS: [&str; 4] = [".weight", ".weight_scale", ".weight_scale_2", ".input_scale"];
    let bare = name.ends_with("per_dim_scale")
        || name.ends_with("layer_scalar")
        || name.contains(".experts.") && !OTHERS.iter().any(|suffix| name.ends_with(suffix));
    Some(if bare { format!("{name}.weight") } else { name.to_owned() })
}

/// Of each head of a layer with full attention, only the first part of each half is rotated: frequencies of the
/// rest are divided by so much that it stands still.
fn proportional_rope(input: &Input, builder: &mut Builder) -> Result<()> {
    let (config, rope) = (input.config, input.rope.section(FULL)?);
    if rope.str(&["rope_type"])? != Some("proportional") {
        return Err(config.unsupported("rope_parameters.full_attention is not \"proportional\""));
    }
    let size = full_head_size(config)?;
    let rotated = keys::fraction(input, size, rope.require_f64(&["partial_rotary_factor"])? / 2.0)?;
    let factors = (0..size / 2).map(|at| if at < rotated { 1.0 } else { 1e30 });
    builder.add_as("rope_freqs.weight".to_owned(), None, TensorExpr::values(factors.collect()))
}

fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let scale = if tensor.name.ends_with("router.scale") {
        "ffn_gate_inp"
    } else if tensor.name.contains(".per_expert_scale") {
        "ffn_down_exps"
    } else {
        return builder.add(known_tokens(input, tensor)?);
    };
    let Some(layer) = tensor.layer else {
        return Err(builder.invalid(format!("{}: outside of any layer", tensor.name)));
    };
    builder.add_as(format!("blk.{layer}.{scale}.scale"), Some(layer), tensor.expr)
}
