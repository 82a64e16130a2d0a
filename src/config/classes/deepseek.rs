//! DeepSeek's models, and others with multi-head latent attention.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::values::{Object, Refusal, int, null, number, truthy};
use crate::config::{layers, validate};
use crate::json::Value;

pub(super) const V2: Hooks = Hooks { validate: &[validate::heads_fit], ..V3 };

pub(super) const V3: Hooks = Hooks { before: &[key_width, head_dim], ..PLAIN };

pub(super) const V32: Hooks = Hooks {
    before: &[key_width, head_dim, experts, mlp_types],
    layer_types: Some(|config, _| layers::uniform(config, "indexed_attention")),
    ..PLAIN
};

pub(super) const GLM_MOE_DSA: Hooks =
    Hooks { before: &[key_width, head_dim, experts, mlp_types, indexer_types], ..V32 };

pub(super) const GLM4_MOE_LITE: Hooks = Hooks { before: &[key_width, mlp_types_of_lite], ..PLAIN };

pub(super) const YOUTU: Hooks = Hooks { before: &[initializer_ranges, key_width, head_dim], ..PLAIN };

pub(super) const KIMI_K25: Hooks = Hooks { before: &[text_class], ..PLAIN };

pub(super) const KIMI_LINEAR: Hooks = Hooks { before: &[key_width, head_dim], after: linear_layers, ..PLAIN };

pub(super) const HY_V4: Hooks = Hooks {
    before: &[one_key_per_head, key_width, head_dim, |_, config, _| dense_first(config, 1)],
    layer_types: Some(|config, _| layers::uniform(config, "indexed_attention")),
    layered: &[|_, config, _| {
        if null(config, "indexer_types") {
            let full = (0..layers::depth(config)?).map(|at| at == 0 || (at - 1) % 4 == 0);
            config.insert("indexer_types".into(), layers::named(full, "full", "shared"));
        }
        Ok(())
    }],
    ..PLAIN
};

pub(super) const GLM5_NEXT: Hooks = Hooks {
    before: &[|_, config, extra| {
        if null(config, "text_config") {
            config.insert("text_config".into(), extra.clone().into());
        }
        Ok(())
    }],
    ..PLAIN
};

pub(super) const GLM5_NEXT_TEXT: Hooks = Hooks {
    before: &[|_, config, _| dense_first(config, 3)],
    layer_types: Some(|config, _| {
        let delta = (0..layers::depth(config)?).map(|at| at % 4 != 3);
        Ok(layers::named(delta, layers::LINEAR, layers::FULL))
    }),
    layered: &[full_is_indexed, indexer_types, key_width, head_dim],
    validate: &[pooled_indexer],
    ..PLAIN
};

/// The first `most` layers have no experts.
fn dense_first(config: &mut Object, most: usize) -> Result<(), Refusal> {
    if null(config, "mlp_layer_types") {
        let count = layers::depth(config)?;
        layers::set_mlp_types(config, count, most);
    }
    Ok(())
}

/// Latent attention has a key for each head.
fn one_key_per_head(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let heads = config.get("num_attention_heads").cloned().ok_or("there is no num_attention_heads")?;
    config.insert("num_key_value_heads".into(), heads);
    Ok(())
}

/// Layers that older files call those of full attention look at what an indexer selects.
pub(super) fn full_is_indexed(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    for kind in config.get_mut("layer_types").and_then(Value::as_array_mut).into_iter().flatten() {
        if kind == layers::FULL {
            *kind = "indexed_attention".into();
        }
    }
    Ok(())
}

fn pooled_indexer(config: &Object) -> Result<(), Refusal> {
    let (pool, selected) = (int(config, "index_kpool")?, int(config, "index_topk")?);
    if config.get("num_attention_heads") != config.get("num_key_value_heads") {
        return Err("num_key_value_heads is not num_attention_heads".into());
    }
    if pool < 1 || selected % pool != 0 {
        return Err(format!("index_topk {selected} is not a multiple of index_kpool {pool}"));
    }
    if null(config, "q_lora_rank") || int(config, "qk_rope_head_dim")? > 0 {
        return Err("latent attention without q_lora_rank, or with positions".into());
    }
    Ok(())
}

/// Sizes of delta attention, and which layers have it.
fn linear_layers(config: &mut Object) -> Result<(), Refusal> {
    let linear = match config.get("linear_attn_config") {
        None => Object::new(),
        Some(linear) => linear.as_object().cloned().ok_or("linear_attn_config is not an object")?,
    };
    for (key, own) in [
        ("linear_head_dim", "head_dim"),
        ("linear_num_heads", "num_heads"),
        ("linear_conv_kernel_dim", "short_conv_kernel_size"),
    ] {
        if let Some(value) = linear.get(own) {
            config.insert(key.into(), value.clone());
        }
    }
    let count = layers::depth(config)?;
    if null(config, "layer_types") {
        let kinds: Value = match (linear.get("full_attn_layers"), linear.get("kda_layers")) {
            (Some(full), Some(delta)) => {
                let mut kinds = vec![Value::Null; count];
                for (list, kind) in [(full, layers::FULL), (delta, layers::LINEAR)] {
                    for layer in list.as_array().ok_or("linear_attn_config has no lists of layers")? {
                        let at = layer.as_u64().and_then(|n| usize::try_from(n).ok()?.checked_sub(1));
                        let at = at
                            .and_then(|at| kinds.get_mut(at))
                            .ok_or("linear_attn_config has a layer too much")?;
                        *at = kind.into();
                    }
                }
                kinds.into()
            }
            _ => layers::named((0..count).map(|at| at > 0 && at % 4 == 0), layers::FULL, layers::LINEAR),
        };
        config.insert("layer_types".into(), kinds);
    }
    if null(config, "mlp_layer_types") {
        let dense = config.get("first_k_dense_replace").map_or(Some(1), Value::as_i64);
        let dense = dense.ok_or("first_k_dense_replace is no number")?.max(0);
        layers::set_mlp_types(config, count, usize::try_from(dense).map_err(|e| e.to_string())?);
    }
    Ok(())
}

/// Keys have a rotated part and one that is not.
fn key_width(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let rotated = int(config, "qk_rope_head_dim")?;
    let size =
        int(config, "qk_nope_head_dim")?.checked_add(rotated).ok_or("qk_rope_head_dim is too large")?;
    config.insert("qk_head_dim".into(), size.into());
    Ok(())
}

fn head_dim(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let rotated = int(config, "qk_rope_head_dim")?;
    config.insert("head_dim".into(), rotated.into());
    Ok(())
}

fn experts(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    if let Some(experts) = extra.get("num_experts").filter(|v| !v.is_null()) {
        config.insert("n_routed_experts".into(), experts.clone());
    }
    Ok(())
}

fn mlp_types(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "mlp_layer_types") {
        let dense = usize::try_from(int(config, "first_k_dense_replace")?).map_err(|e| e.to_string())?;
        layers::set_mlp_types(config, layers::depth(config)?, dense);
    }
    Ok(())
}

/// The first layer has no experts, even where there is no layer.
fn mlp_types_of_lite(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "mlp_layer_types") {
        layers::set_mlp_types(config, layers::depth(config)?.max(1), 1);
    }
    Ok(())
}

/// The indexer in each layer: its own, or that of the layer before.
fn indexer_types(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    if null(config, "indexer_types") {
        let kinds = indexers(layers::depth(config)?, extra)?;
        config.insert("indexer_types".into(), kinds);
    }
    Ok(())
}

fn indexers(layers: usize, extra: &Object) -> Result<Value, Refusal> {
    match extra.get("index_topk_pattern") {
        None | Some(Value::Null) => {}
        Some(Value::String(pattern)) => {
            let kinds = pattern.chars().map(|c| match c {
                'F' => Ok("full".into()),
                'S' => Ok("shared".into()),
                other => Err(format!("index_topk_pattern has a {other:?}")),
            });
            return kinds.collect::<Result<Vec<Value>, _>>().map(Value::Array);
        }
        Some(Value::Array(kinds)) => return Ok(kinds.clone().into()),
        Some(_) => return Err("index_topk_pattern is neither a string nor a list".into()),
    }
    let get = |key: &str, default| extra.get(key).map_or(Some(default), Value::as_i64).ok_or(key.to_owned());
    let period = get("index_topk_freq", 1)?.max(1);
    let offset = get("index_skip_topk_offset", 2)?;
    let own = |layer: i64| layer.saturating_sub(offset).saturating_add(1).max(0) % period == 0;
    Ok(layers::named((0..).take(layers).map(own), "full", "shared"))
}

fn initializer_ranges(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "initializer_range") {
        #[allow(clippy::cast_precision_loss)]
        let range = match int(config, "hidden_size")? {
            0 => 0.02,
            hidden if hidden < 0 => return Err("hidden_size is negative".into()),
            hidden => 2.0 / (5.0 * hidden as f64).sqrt(),
        };
        config.insert("initializer_range".into(), range.into());
    }
    if !config.get("embedding_initializer_range").is_some_and(truthy) {
        let range =
            config.get("initializer_range").and_then(number).ok_or("initializer_range is no number")?;
        config.insert("embedding_initializer_range".into(), (2.0 * range).into());
    }
    Ok(())
}

/// Kimi's text model is of DeepSeek's class.
fn text_class(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if let Some(kind) = config.get_mut("text_config").and_then(|text| text.get_mut("model_type"))
        && kind == "kimi_k2"
    {
        *kind = "deepseek_v3".into();
    }
    Ok(())
}
