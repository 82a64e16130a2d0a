//! What configuration classes compute in code (`__post_init__` and `to_dict` of transformers' classes).
//!
//! Knows nothing of what all classes share: declared fields, rope settings, labels (`auto`, `rope`).

use crate::json::{self, Value, json};

use super::class::Class;
use super::generated::classes::CLASSES;
use super::values::{Object, Refusal, int, null, number, stored_as, truthy};
use super::{layers, per_layer};

/// What a class sets before the base class looks at the remaining keys, `extra`.
pub(super) fn before(class: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    heads(class, config)?;
    windows(class, config)?;
    if let Some(factor) = partial_rotary_factor(class) {
        extra.entry("partial_rotary_factor".into()).or_insert_with(|| factor.into());
    }
    match class.model_type {
        "apertus" | "ministral3" | "gpt_oss" => default_rope(class, config),
        "voxtral" => default_text(class, config),
        "qwen2_5_vl" | "qwen2_vl" if null(config, "text_config") => flat_text(class, config, extra),
        "kimi_k25" => {
            if let Some(kind) = config.get_mut("text_config").and_then(|text| text.get_mut("model_type"))
                && kind == "kimi_k2"
            {
                *kind = "deepseek_v3".into();
            }
        }
        "gemma" if config.get("hidden_act").is_some_and(|act| act == "gelu") => {
            config.insert("hidden_act".into(), "gelu_pytorch_tanh".into());
        }
        "gemma3n_text" => per_layer_sizes(config)?,
        "deepseek_v2" | "deepseek_v3" | "deepseek_v32" | "glm_moe_dsa" | "glm4_moe_lite" | "youtu" => {
            latent_attention(class, config, extra)?;
        }
        "glm" | "glm4" if null(config, "eos_token_id") => {
            config.insert("eos_token_id".into(), json!([151_329, 151_336, 151_338]));
        }
        "bamba" => {
            extra.insert("partial_rotary_factor".into(), 0.5.into());
            mamba_head(config)?;
        }
        "granitemoehybrid" => mamba_head(config)?,
        "nemotron_h" => nemotron_h(config, extra)?,
        "gpt_bigcode" => {
            let multi_query = config.get("multi_query").is_some_and(truthy);
            let heads =
                if multi_query { 1.into() } else { config.get("n_head").cloned().unwrap_or_default() };
            config.insert("num_key_value_heads".into(), heads);
        }
        "bloom" | "falcon" => old_hidden_size(class, config, extra)?,
        "jamba" => dt_rank(config, "mamba_dt_rank")?,
        "mamba" | "mamba2" | "falcon_mamba" => {
            if class.model_type == "falcon_mamba" {
                let mambapy = extra.shift_remove("use_falcon_mambapy").unwrap_or(false.into());
                config.insert("use_mambapy".into(), mambapy);
            }
            if class.model_type != "mamba2" {
                let inner = int(config, "expand")?.checked_mul(int(config, "hidden_size")?);
                config.insert("intermediate_size".into(), inner.ok_or("expand is too large")?.into());
            }
            dt_rank(config, "time_step_rank")?;
        }
        "t5" | "mt5" | "umt5" => t5(class, config, extra),
        "modernbert" => {
            if let Some(window) = extra.shift_remove("sliding_window") {
                let total =
                    window.as_i64().and_then(|n| n.checked_mul(2)).ok_or("sliding_window is no integer")?;
                config.insert("local_attention".into(), total.into());
            }
        }
        "cohere2_moe" if config.get("rope_theta").is_some_and(truthy) => {
            let rope = json!({"rope_type": "default", "rope_theta": config.get("rope_theta")});
            config.insert("rope_parameters".into(), rope);
        }
        _ => {}
    }
    layers::before(class, config, extra)?;
    if per_layer::allowed(class) {
        per_layer::gemma4(config, extra)?;
    }
    Ok(())
}

/// What a class sets once everything else is.
pub(super) fn after(class: &Class, config: &mut Object) -> Result<(), Refusal> {
    let text = |config: &Object, key: &str| config.get("text_config").and_then(|text| text.get(key)).cloned();
    match class.model_type {
        "llava" | "glm4v" | "glm4v_moe" | "glm_ocr" | "qwen2_5_vl" | "qwen2_vl" => {
            if !config.get("tie_word_embeddings").is_some_and(truthy)
                && let Some(tied) = text(config, "tie_word_embeddings").filter(truthy)
            {
                config.insert("tie_word_embeddings".into(), tied);
            }
        }
        "voxtral" => {
            let hidden = text(config, "hidden_size").ok_or("text_config has no hidden_size")?;
            config.insert("hidden_size".into(), hidden);
        }
        "nomic_bert" => head_dim(config)?,
        "granite_swa" | "granitemoe_swa" if null(config, "layer_rope_theta") => {
            let theta = config.get("rope_parameters").and_then(|rope| rope.get("rope_theta")).cloned();
            let theta =
                theta.filter(|theta| theta.as_f64().is_some()).ok_or("rope_parameters have no rope_theta")?;
            let count = layers::depth(config)?;
            config.insert("layer_rope_theta".into(), vec![theta; count].into());
        }
        _ => {}
    }
    Ok(())
}

/// What a class leaves out of its `to_dict()`.
pub(super) fn to_dict(class: &Class, config: &mut Object) {
    if class.model_type == "modernbert" {
        config.shift_remove("reference_compile");
    }
}

/// Python's `//`.
fn floor_div(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

fn head_dim(config: &mut Object) -> Result<(), Refusal> {
    if null(config, "head_dim") {
        let (hidden, heads) = (int(config, "hidden_size")?, int(config, "num_attention_heads")?);
        let size = floor_div(hidden, heads).ok_or("num_attention_heads is 0")?;
        config.insert("head_dim".into(), size.into());
    }
    Ok(())
}

/// `head_dim` and `num_key_value_heads` from the number of heads.
fn heads(class: &Class, config: &mut Object) -> Result<(), Refusal> {
    match class.model_type {
        "cohere2" => {
            config.insert("head_dim".into(), Value::Null);
            head_dim(config)?;
        }
        "arcee" | "internlm3" | "iquestcoder" | "llama" | "llama4_text" | "mistral" | "ministral3"
        | "seed_oss" | "nemotron" | "eurobert" | "gpt_oss" | "qwen3_vl_moe_text" => head_dim(config)?,
        _ => {}
    }
    let key = if class.model_type == "falcon" { "num_kv_heads" } else { "num_key_value_heads" };
    let derives = !["qwen2_moe", "nemotron", "glm", "glm4", "glm4_moe"].contains(&class.model_type);
    if derives
        && null(config, key)
        && let Some(heads) = config.get("num_attention_heads").cloned()
    {
        config.insert(key.into(), heads);
    }
    Ok(())
}

/// Sliding windows that are switched off, or halved and doubled again.
fn windows(class: &Class, config: &mut Object) -> Result<(), Refusal> {
    if class.model_type == "qwen3_vl_moe_text" {
        config.insert("sliding_window".into(), Value::Null);
    }
    if matches!(
        class.model_type,
        "qwen2" | "qwen2_5_vl_text" | "qwen2_moe" | "qwen2_vl_text" | "qwen3" | "qwen3_moe"
    ) && !config.get("use_sliding_window").is_some_and(truthy)
    {
        let off = if class.model_type == "qwen2_moe" { Value::from(0) } else { Value::Null };
        config.insert("sliding_window".into(), off);
    }
    if matches!(class.model_type, "qwen2_moe" | "qwen3_moe" | "qwen3_next" | "qwen3_vl_moe_text")
        && null(config, "mlp_only_layers")
    {
        config.insert("mlp_only_layers".into(), Value::Array(Vec::new()));
    }
    let both_ways = config.get("use_bidirectional_attention");
    let halves = match class.model_type {
        "gemma3_text" => both_ways.is_some_and(truthy),
        "gemma4_text" | "gemma4_unified_text" => both_ways.is_some_and(|v| v == "all"),
        _ => false,
    };
    if halves {
        let window = int(config, "sliding_window")?;
        config.insert("sliding_window".into(), (window - window.rem_euclid(2)).into());
        if class.model_type != "gemma3_text" {
            config.insert("is_causal".into(), false.into());
        }
    }
    Ok(())
}

/// The part of each head that is rotated, where the file does not say.
fn partial_rotary_factor(class: &Class) -> Option<f64> {
    match class.model_type {
        "qwen3_next" | "qwen3_5_text" | "qwen3_5_moe_text" | "stablelm" => Some(0.25),
        "phi" | "glm" | "glm4" | "glm4_moe" | "glm4v_moe_text" | "nemotron" => Some(0.5),
        _ => None,
    }
}

fn default_rope(class: &Class, config: &mut Object) {
    if !null(config, "rope_parameters") {
        return;
    }
    let rope = match class.model_type {
        "apertus" => json!({
            "rope_type": "llama3", "rope_theta": 12_000_000.0, "factor": 8.0,
            "original_max_position_embeddings": 8192, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        }),
        "ministral3" => json!({
            "type": "yarn", "rope_theta": 1_000_000.0, "factor": 16.0,
            "original_max_position_embeddings": 16384,
            "max_position_embeddings": config.get("max_position_embeddings"),
            "beta_fast": 32.0, "beta_slow": 1.0, "mscale_all_dim": 1.0, "mscale": 1.0,
            "llama_4_scaling_beta": 0.1,
        }),
        _ => json!({
            "rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false,
            "original_max_position_embeddings": 4096,
        }),
    };
    config.insert("rope_parameters".into(), rope);
}

/// `text_config` completed with the defaults that the outer class has for it.
fn default_text(class: &Class, config: &mut Object) {
    let given = class.text.as_ref().and_then(|part| json::parse_object(part.given.as_bytes()).ok());
    if let (Some(mut text), Some(Value::Object(set))) = (given, config.get("text_config")) {
        text.extend(set.clone());
        config.insert("text_config".into(), text.into());
    }
}

/// `text_config` from a file that has no such section but its settings beside the others.
fn flat_text(class: &Class, config: &mut Object, extra: &mut Object) {
    let kind = class.text.as_ref().map(|text| text.model_type);
    let fields = CLASSES.iter().filter(|class| Some(class.model_type) == kind).flat_map(|class| class.fields);
    let names = fields.map(|(name, ..)| *name).chain(["rope_scaling", "rope_theta"]);
    let text: Object = names.filter_map(|name| Some((name.to_owned(), extra.shift_remove(name)?))).collect();
    config.insert("text_config".into(), text.into());
}

/// Gemma 3n: one size, or one for each layer.
fn per_layer_sizes(config: &mut Object) -> Result<(), Refusal> {
    let count = layers::depth(config)?;
    match config.get("intermediate_size") {
        Some(Value::Array(sizes)) if sizes.len() != count => {
            return Err(format!("intermediate_size has {} entries, expected {count}", sizes.len()));
        }
        Some(Value::Array(_)) | None => {}
        Some(size) => {
            let sizes = vec![size.clone(); count];
            config.insert("intermediate_size".into(), sizes.into());
        }
    }
    if null(config, "activation_sparsity_pattern") {
        let sparse = if count > 10 { 10 } else { 0 };
        let pattern = (0..count).map(|layer| if layer < sparse { 0.95 } else { 0.0 });
        config.insert("activation_sparsity_pattern".into(), pattern.collect());
    }
    let pattern = config.get("activation_sparsity_pattern").and_then(Value::as_array).map_or(0, Vec::len);
    if pattern != count {
        return Err(format!("activation_sparsity_pattern has {pattern} entries, expected {count}"));
    }
    Ok(())
}

/// Multi-head latent attention: keys have a rotated part and one that is not.
fn latent_attention(class: &Class, config: &mut Object, extra: &Object) -> Result<(), Refusal> {
    if class.model_type == "youtu" {
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
    }
    let rotated = int(config, "qk_rope_head_dim")?;
    let size =
        int(config, "qk_nope_head_dim")?.checked_add(rotated).ok_or("qk_rope_head_dim is too large")?;
    config.insert("qk_head_dim".into(), size.into());
    if class.model_type != "glm4_moe_lite" {
        config.insert("head_dim".into(), rotated.into());
    }
    if matches!(class.model_type, "deepseek_v32" | "glm_moe_dsa")
        && let Some(experts) = extra.get("num_experts").filter(|v| !v.is_null())
    {
        config.insert("n_routed_experts".into(), experts.clone());
    }
    Ok(())
}

/// Bamba and Granite: the size of a Mamba head.
fn mamba_head(config: &mut Object) -> Result<(), Refusal> {
    if config.get("mamba_d_head").is_some_and(|size| size == "auto") {
        let inner = int(config, "mamba_expand")?.checked_mul(int(config, "hidden_size")?);
        let size = inner.and_then(|inner| floor_div(inner, int(config, "mamba_n_heads").ok()?));
        config.insert("mamba_d_head".into(), size.ok_or("mamba_n_heads is 0")?.into());
    }
    Ok(())
}

/// The rank of Mamba's time steps: a sixteenth of the width.
fn dt_rank(config: &mut Object, key: &str) -> Result<(), Refusal> {
    if config.get(key).is_some_and(|rank| rank == "auto") {
        let hidden = int(config, "hidden_size")?;
        let rank = hidden.div_euclid(16) + i64::from(hidden.rem_euclid(16) != 0);
        config.insert(key.into(), rank.into());
    }
    Ok(())
}

fn nemotron_h(config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    for (old, new) in [
        ("mamba_n_groups", "n_groups"),
        ("mamba_d_conv", "conv_kernel"),
        ("mamba_expand", "expand"),
        ("mamba_dt_min", "time_step_min"),
        ("mamba_dt_max", "time_step_max"),
        ("mamba_dt_limit", "time_step_limit"),
        ("mamba_dt_init_floor", "time_step_floor"),
        ("mamba_conv_bias", "use_conv_bias"),
        ("mamba_chunk_size", "chunk_size"),
    ] {
        if let Some(value) = extra.shift_remove(old) {
            config.insert(new.into(), value);
        }
    }
    layers::nemotron_h(config, extra)
}

/// `n_embed`, and what Falcon derives from the width.
fn old_hidden_size(class: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    if let Some(size) = extra.shift_remove("n_embed").filter(|v| !v.is_null()) {
        config.insert("hidden_size".into(), size);
    }
    if class.model_type == "falcon" && null(config, "ffn_hidden_size") {
        let size = int(config, "hidden_size")?.checked_mul(4).ok_or("hidden_size is too large")?;
        config.insert("ffn_hidden_size".into(), size.into());
    }
    Ok(())
}

fn t5(class: &Class, config: &mut Object, extra: &mut Object) {
    if null(config, "num_decoder_layers") {
        let layers = config.get(stored_as(class, "num_layers")).cloned().unwrap_or_default();
        config.insert("num_decoder_layers".into(), layers);
    }
    let form = config.get("feed_forward_proj").and_then(Value::as_str).unwrap_or_default().to_owned();
    let act = if form == "gated-gelu" { "gelu_new" } else { form.rsplit('-').next().unwrap_or_default() };
    config.insert("dense_act_fn".into(), act.into());
    config.insert("is_gated_act".into(), (form.split('-').next() == Some("gated")).into());
    let tied =
        extra.shift_remove("tie_word_embeddings").or_else(|| config.shift_remove("tie_word_embeddings"));
    if class.model_type == "t5" {
        config.insert("scale_decoder_outputs".into(), (tied != Some(Value::Bool(false))).into());
    }
    config.insert("tie_word_embeddings".into(), true.into());
}
