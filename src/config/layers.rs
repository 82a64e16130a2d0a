//! Lists with an entry for each layer that configuration classes derive (`layer_types` and the like).

use crate::json::Value;

use super::class::Class;
use super::generated::classes::LEGACY_LAYER_TYPES;
use super::values::{Object, Refusal, int, null, number, truthy};

const FULL: &str = "full_attention";
const SLIDING: &str = "sliding_attention";
const LINEAR: &str = "linear_attention";

/// The number of layers; no model is so deep that a list of them would be long.
pub(super) fn depth(config: &Object) -> Result<usize, Refusal> {
    const DEEPEST: i64 = 1 << 16;
    let layers = int(config, "num_hidden_layers")?;
    if layers > DEEPEST {
        return Err(format!("num_hidden_layers is {layers}"));
    }
    Ok(usize::try_from(layers).unwrap_or(0))
}

/// Sets the lists that are null.
pub(super) fn before(class: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    if matches!(class.model_type, "llama4_text" | "smollm3") {
        no_rope_layers(class, config)?;
    }
    if class.model_type == "llama4_text" && null(config, "moe_layers") {
        let step = int(config, "interleave_moe_layer_step")?;
        let step = usize::try_from(step).ok().filter(|n| *n > 0).ok_or("interleave_moe_layer_step")?;
        let layers = (step - 1..depth(config)?).step_by(step);
        config.insert("moe_layers".into(), layers.collect());
    }
    if class.model_type == "gemma3_text" {
        let pattern = extra.get("sliding_window_pattern").cloned().unwrap_or(6.into());
        config.insert("_sliding_window_pattern".into(), pattern);
    }
    mlp_layer_types(class, config, extra)?;
    if class.model_type == "glm_moe_dsa" && null(config, "indexer_types") {
        let kinds = indexer_types(depth(config)?, extra)?;
        config.insert("indexer_types".into(), kinds);
    }
    if null(config, "layer_types")
        && let Some(kinds) = layer_types(class, config, extra)?
    {
        config.insert("layer_types".into(), kinds.into());
    }
    if class.model_type == "cohere2_moe" {
        extra.shift_remove("first_k_dense_replace");
    }
    if matches!(class.model_type, "gemma4_text" | "gemma4_unified_text")
        && let Some(last) = config.get_mut("layer_types").and_then(|v| v.as_array_mut()?.last_mut())
    {
        *last = FULL.into();
    }
    Ok(())
}

/// Which layers rotate: all but every so many-th.
fn no_rope_layers(class: &Class, config: &mut Object) -> Result<(), Refusal> {
    let given = config.get("no_rope_layers").unwrap_or(&Value::Null);
    if given.is_null() || class.model_type == "llama4_text" && !truthy(given) {
        let layers = every(depth(config)?, int(config, "no_rope_layer_interval")?.into(), 1)?;
        let layers = layers.map(|stops| u8::from(!stops));
        config.insert("no_rope_layers".into(), layers.collect());
    }
    Ok(())
}

/// For each layer whether it is the `period`-th, counting from `first`.
fn every(layers: usize, period: Value, first: usize) -> Result<impl Iterator<Item = bool>, Refusal> {
    let period = number(&period).filter(|p| *p != 0.0).ok_or("the interval of layers is 0 or no number")?;
    #[allow(clippy::cast_precision_loss)]
    Ok((first..layers.saturating_add(first)).map(move |layer| layer as f64 % period == 0.0))
}

/// `layer_types` where the file has none; none also for classes that leave it so.
fn layer_types(class: &Class, config: &Object, extra: &mut Object) -> Result<Option<Vec<Value>>, Refusal> {
    let names = |kinds: &mut dyn Iterator<Item = bool>, then: &str, other: &str| {
        Some(kinds.map(|kind| Value::from(if kind { then } else { other })).collect())
    };
    let full_every = |period: Value, other: &str, first: usize| {
        Ok(names(&mut every(depth(config)?, period, first)?, FULL, other))
    };
    let key = |name: &str| config.get(name).unwrap_or(&Value::Null);
    match class.model_type {
        "gemma2" | "gpt_oss" => full_every(2.into(), SLIDING, 1),
        "olmo3" => full_every(4.into(), SLIDING, 1),
        "gemma3n_text" => full_every(5.into(), SLIDING, 1),
        "gemma4_text" | "gemma4_unified_text" => full_every(6.into(), SLIDING, 1),
        "gemma3_text" => full_every(key("_sliding_window_pattern").clone(), SLIDING, 1),
        "granite_swa" | "granitemoe_swa" => full_every(4.into(), SLIDING, 0),
        "cohere2" => full_every(extra.shift_remove("sliding_window_pattern").unwrap_or(4.into()), SLIDING, 1),
        "modernbert" => {
            let period = extra.get("global_attn_every_n_layers").cloned().unwrap_or(3.into());
            full_every(period, SLIDING, 0)
        }
        "qwen3_next" | "qwen3_5_text" | "qwen3_5_moe_text" => {
            full_every(extra.shift_remove("full_attention_interval").unwrap_or(4.into()), LINEAR, 1)
        }
        "granitemoehybrid" => Ok(Some(vec![LINEAR.into(); depth(config)?])),
        "deepseek_v32" | "glm_moe_dsa" => Ok(Some(vec!["indexed_attention".into(); depth(config)?])),
        "ministral" => {
            let kind = if key("sliding_window").is_null() { FULL } else { SLIDING };
            Ok(Some(vec![kind.into(); depth(config)?]))
        }
        "qwen2" | "qwen2_5_vl_text" | "qwen2_vl_text" | "qwen3" => {
            let window = int(config, "max_window_layers")?;
            let slides = |layer| !key("sliding_window").is_null() && layer >= window;
            Ok(names(&mut (0..).take(depth(config)?).map(slides), SLIDING, FULL))
        }
        "qwen2_moe" => {
            let window = int(config, "max_window_layers")?;
            let slides = |layer| layer % 2 == 0 && layer < window && truthy(key("use_sliding_window"));
            Ok(names(&mut (0..).take(depth(config)?).map(slides), SLIDING, FULL))
        }
        "llama4_text" | "smollm3" => {
            let Some(rotate) = key("no_rope_layers").as_array() else {
                return Err("no_rope_layers is not a list".into());
            };
            let mut rotate = rotate.iter().map(truthy);
            if class.model_type == "llama4_text" {
                return Ok(names(&mut rotate, "chunked_attention", FULL));
            }
            if rotate.len() < depth(config)? {
                return Err("no_rope_layers is shorter than the model is deep".into());
            }
            let slides = truthy(key("use_sliding_window")) && !key("sliding_window").is_null();
            Ok(names(&mut rotate.take(depth(config)?).map(|rotates| slides && !rotates), SLIDING, FULL))
        }
        "cohere2_moe" => {
            let count = depth(config)?;
            let dense = first_dense(extra)?;
            let prefix = every(dense, key("prefix_dense_sliding_window_pattern").clone(), 1)?;
            let rest = every(count.saturating_sub(dense), key("sliding_window_pattern").clone(), 1)?;
            Ok(names(&mut prefix.chain(rest), FULL, SLIDING))
        }
        _ => Ok(None),
    }
}

fn first_dense(extra: &Object) -> Result<usize, Refusal> {
    let dense = extra.get("first_k_dense_replace").map_or(Some(0), Value::as_u64);
    dense
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| *n <= 1 << 16)
        .ok_or("first_k_dense_replace".into())
}

/// Which layers have experts.
fn mlp_layer_types(class: &Class, config: &mut Object, extra: &Object) -> Result<(), Refusal> {
    if !null(config, "mlp_layer_types") {
        return Ok(());
    }
    let count = depth(config)?;
    let dense = match class.model_type {
        "deepseek_v32" | "glm_moe_dsa" => {
            usize::try_from(int(config, "first_k_dense_replace")?).map_err(|e| e.to_string())?.min(count)
        }
        "glm4_moe_lite" => 1,
        "cohere2_moe" => first_dense(extra)?,
        _ => return Ok(()),
    };
    let count = if class.model_type == "glm4_moe_lite" { count.max(1) } else { count };
    let kinds = (0..count).map(|layer| if layer < dense { "dense" } else { "sparse" });
    config.insert("mlp_layer_types".into(), kinds.collect());
    Ok(())
}

/// GLM's indexer in each layer: its own, or that of the layer before.
fn indexer_types(layers: usize, extra: &Object) -> Result<Value, Refusal> {
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
    Ok((0..).take(layers).map(|layer| if own(layer) { "full" } else { "shared" }).collect())
}

/// Nemotron-H: a letter for each layer in old files.
pub(super) fn nemotron_h(config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    let from_pattern = |pattern: Value| {
        let letters = pattern.as_str().ok_or("hybrid_override_pattern is not a string")?;
        let kinds = letters.chars().map(|c| match c {
            'M' => Ok(LINEAR.into()),
            'E' => Ok("moe".into()),
            '*' => Ok(FULL.into()),
            '-' => Ok("mlp".into()),
            other => Err(format!("hybrid_override_pattern has a {other:?}")),
        });
        kinds.collect::<Result<Vec<Value>, Refusal>>().map(Value::Array)
    };
    let pattern = extra.shift_remove("hybrid_override_pattern");
    if null(config, "layers_block_type") {
        let kinds = match pattern {
            Some(pattern) => from_pattern(pattern)?,
            None => [LINEAR, "moe", FULL, "mlp"].into_iter().collect(),
        };
        config.insert("layers_block_type".into(), kinds);
    }
    extra.shift_remove("num_hidden_layers");
    let mtp: Value = [FULL, "moe"].into_iter().collect();
    if null(config, "mtp_layers_block_type") {
        config.insert("mtp_layers_block_type".into(), mtp.clone());
    }
    rename(config.get_mut("mtp_layers_block_type"));
    if let Some(pattern) = extra.shift_remove("mtp_hybrid_override_pattern")
        && config.get("mtp_layers_block_type") == Some(&mtp)
    {
        config.insert("mtp_layers_block_type".into(), from_pattern(pattern)?);
    }
    Ok(())
}

/// Brings old names of layer types up to date.
pub(super) fn rename(layers: Option<&mut Value>) {
    let Some(Value::Array(kinds)) = layers else {
        return;
    };
    for kind in kinds {
        if let Some((_, new)) = LEGACY_LAYER_TYPES.iter().find(|(old, _)| *kind == *old) {
            *kind = (*new).into();
        }
    }
}
