//! What configuration classes demand of their values (`validate_*` of transformers' classes).

use crate::json::Value;

use super::class::Class;
use super::generated::classes::{ATTENTION_LAYER_TYPES, MLP_LAYER_TYPES};
use super::rope;
use super::values::{Object, Refusal, int, number, stored_as, truthy};
use crate::input::quoted;

/// Fails where transformers would raise.
pub(super) fn validate(class: &Class, config: &mut Object) -> Result<(), Refusal> {
    let set = |key: &str| config.get(key).filter(|v| !v.is_null());
    match class.model_type {
        "llama" if !set("initializer_range").and_then(number).is_some_and(|r| (0.0..=1.0).contains(&r)) => {
            return Err("initializer_range is not between 0 and 1".into());
        }
        "iquestcoder" if set("clip_qkv").is_some() || set("use_sliding_window").is_some_and(truthy) => {
            return Err("clip_qkv or use_sliding_window is set".into());
        }
        "internlm3" if config.get("attention_bias") != config.get("mlp_bias") => {
            return Err("attention_bias and mlp_bias differ".into());
        }
        _ => {}
    }
    let texts = ["decoder", "generator", "text_config"].iter().filter(|key| set(key).is_some());
    if texts.count() > 1 {
        return Err("more than one text config".into());
    }
    sizes(class, config)?;
    if class.model_type == "nemotron_h" {
        nemotron_h_layers(config)?;
    } else {
        layer_types(class, config)?;
    }
    rope::validate(class, config)
}

/// Sizes that must fit each other (`validate_architecture`).
fn sizes(class: &Class, config: &Object) -> Result<(), Refusal> {
    let get = |key: &str| int(config, key);
    match class.model_type {
        "arcee" | "deepseek_v2" | "eurobert" | "gemma2" | "gemma3_text" | "gemma3n_text" | "gpt_neox"
        | "internlm3" | "iquestcoder" | "llama" => {
            let (hidden, heads) = (get("hidden_size")?, get("num_attention_heads")?);
            if hidden.checked_rem(heads) != Some(0) {
                return Err(format!("hidden_size {hidden} is not a multiple of num_attention_heads {heads}"));
            }
        }
        "bamba" | "granitemoehybrid" => {
            let inner =
                get("mamba_expand")?.checked_mul(get("hidden_size")?).ok_or("mamba_expand is too large")?;
            let heads = get("mamba_n_heads")?;
            if inner.checked_rem(heads) != Some(0) || get("mamba_d_head")?.checked_mul(heads) != Some(inner) {
                return Err("mamba_n_heads of mamba_d_head are not mamba_expand * hidden_size".into());
            }
        }
        "mamba2" => {
            let inner = get("hidden_size")?.checked_mul(get("expand")?);
            if inner.is_none() || inner != get("num_heads")?.checked_mul(get("head_dim")?) {
                return Err("num_heads * head_dim is not expand * hidden_size".into());
            }
        }
        "jamba" => {
            for kind in ["attn", "expert"] {
                let (offset, period) = (format!("{kind}_layer_offset"), format!("{kind}_layer_period"));
                if get(&offset)? >= get(&period)? {
                    return Err(format!("{offset} is not smaller than {period}"));
                }
            }
        }
        "t5" | "mt5" | "umt5" => {
            let form = config.get("feed_forward_proj").and_then(Value::as_str).unwrap_or_default();
            let mut parts = form.split('-');
            let (first, second, third) = (parts.next(), parts.next(), parts.next());
            if second.is_some() && first != Some("gated") || third.is_some() {
                return Err(format!("feed_forward_proj: {}", quoted(form)));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Nemotron-H counts its layers by this list, so that no number can disagree.
fn nemotron_h_layers(config: &Object) -> Result<(), Refusal> {
    let predicts = config.get("num_nextn_predict_layers").and_then(number).is_some_and(|n| n > 0.0);
    for (key, needed) in [("layers_block_type", true), ("mtp_layers_block_type", predicts)] {
        let kinds = config.get(key).and_then(Value::as_array);
        let known = |kind: &Value| {
            kind.as_str().is_some_and(|k| ["full_attention", "linear_attention", "moe", "mlp"].contains(&k))
        };
        if needed && !kinds.is_some_and(|kinds| kinds.iter().all(known)) {
            return Err(format!("{key} is not a list of known kinds of layers"));
        }
    }
    Ok(())
}

fn layer_types(class: &Class, config: &Object) -> Result<(), Refusal> {
    for (key, allowed) in [("layer_types", ATTENTION_LAYER_TYPES), ("mlp_layer_types", MLP_LAYER_TYPES)] {
        let Some(count) = config.get(stored_as(class, "num_hidden_layers")) else {
            return Ok(());
        };
        let layers = match config.get(stored_as(class, key)) {
            Some(Value::Array(layers)) => layers,
            None if class.computed.contains(&key) || class.computed.contains(&stored_as(class, key)) => {
                continue;
            }
            None | Some(Value::Null) => return Ok(()),
            Some(_) => return Err(format!("{key} is not a list")),
        };
        let known = |v: &Value| v.as_str().is_some_and(|kind| allowed.contains(&kind));
        if !layers.iter().all(known) {
            return Err(format!("{key} names a kind of layer that does not exist"));
        }
        if !count.is_null() && count.as_u64() != Some(layers.len() as u64) {
            return Err(format!("{key} has {} entries, num_hidden_layers is {count}", layers.len()));
        }
    }
    Ok(())
}
