//! Rope settings: how transformers standardizes and validates them, and how the reference then
//! mirrors settings from elsewhere in the file into them.

use crate::json::Value;

use super::class::Class;
use super::values::{Object, Refusal, int, number, stored_as, truthy};
use crate::input::quoted;

/// Kinds of scaling that are relative to a length the model was trained with.
const RELATIVE: [&str; 3] = ["llama3", "yarn", "longrope"];

/// Moves `rope_scaling`, `rope_theta` and `partial_rotary_factor` out of `extra` and into
/// `config["rope_parameters"]` (`RotaryEmbeddingConfigMixin.convert_rope_params_to_dict`, and the
/// variants of it that classes have).
pub(super) fn convert(class: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    let truthy_extra = |key: &str| extra.get(key).is_some_and(truthy);
    let scaled = truthy_extra("rope_scaling") && truthy_extra("rope_theta");
    if !config.contains_key("rope_parameters") && !scaled {
        return Ok(());
    }
    let given = config.get("rope_parameters").cloned().unwrap_or_default();
    let mut rope = match class.model_type {
        "gemma4_text" | "gemma4_unified_text" => return Ok(()),
        "gemma3_text" | "gemma3n_text" | "modernbert" | "olmo3" => by_layer(class, given, extra)?,
        _ => {
            let scaling = extra.shift_remove("rope_scaling").filter(truthy);
            match scaling.unwrap_or(given) {
                Value::Null => Object::new(),
                Value::Object(rope) => rope,
                _ => return Err("rope_scaling is not an object".into()),
            }
        }
    };
    match class.model_type {
        "gemma3_text" | "gemma3n_text" | "modernbert" | "olmo3" => {}
        "phi3" => {
            let theta = extra.shift_remove("rope_theta").unwrap_or_else(|| 10_000.0.into());
            let rotary = extra.get("partial_rotary_factor").cloned().unwrap_or_else(|| 1.0.into());
            rope.entry("rope_theta".into()).or_insert(theta);
            rope.entry("partial_rotary_factor".into()).or_insert(rotary);
        }
        "gpt_neox" => {
            let theta = extra.shift_remove("rotary_emb_base").unwrap_or_else(|| class.theta.into());
            let rotary = extra.shift_remove("rotary_pct").unwrap_or_else(|| 0.25.into());
            rope.entry("rope_theta".into()).or_insert(theta);
            rope.entry("partial_rotary_factor".into()).or_insert(rotary);
        }
        "qwen2_5_vl_text" | "qwen2_vl_text" => {
            let theta = extra.shift_remove("rope_theta").unwrap_or_else(|| class.theta.into());
            rope.entry("rope_theta".into()).or_insert(theta);
            if rope.get("rope_type").or(rope.get("type")).is_some_and(|kind| kind == "mrope") {
                rope.insert("rope_type".into(), "default".into());
            }
        }
        _ => {
            let own = config.get("rope_theta").cloned().unwrap_or_else(|| class.theta.into());
            let theta = extra.shift_remove("rope_theta").unwrap_or(own);
            let rotary = extra.shift_remove("partial_rotary_factor").filter(|v| !v.is_null());
            for section in sections(class, config, &mut rope)? {
                section.entry("rope_theta".into()).or_insert_with(|| theta.clone());
                if let Some(rotary) = &rotary {
                    section.entry("partial_rotary_factor".into()).or_insert_with(|| rotary.clone());
                }
            }
        }
    }
    standardize(class, config, &mut rope)?;
    if class.model_type == "phi3"
        && let Some(kind) = rope.get_mut("rope_type").filter(|kind| *kind == "su" || *kind == "yarn")
    {
        *kind = "longrope".into();
    }
    config.insert("rope_parameters".into(), rope.into());
    Ok(())
}

/// Settings for layers with and without a sliding window, of classes that always tell them apart.
fn by_layer(class: &Class, given: Value, extra: &mut Object) -> Result<Object, Refusal> {
    let default = || Object::from_iter([("rope_type".to_owned(), Value::from("default"))]);
    let mut rope = match given {
        Value::Object(rope) => rope,
        _ => ["sliding_attention", "full_attention"]
            .into_iter()
            .map(|k| (k.into(), default().into()))
            .collect(),
    };
    let scaled: &[&str] = match class.model_type {
        "modernbert" => &["full_attention", "sliding_attention"],
        _ => &["full_attention"],
    };
    match extra.shift_remove("rope_scaling") {
        None | Some(Value::Null) => {}
        Some(Value::Object(scaling)) => {
            for key in scaled {
                let section = rope.get_mut(*key).and_then(Value::as_object_mut);
                section.ok_or_else(|| format!("rope_parameters lack {key}"))?.extend(scaling.clone());
            }
        }
        Some(_) => return Err("rope_scaling is not an object".into()),
    }
    let (full, sliding) = match class.model_type {
        "modernbert" => ("global_rope_theta", "local_rope_theta"),
        "olmo3" => ("rope_theta", "rope_theta"),
        _ => ("rope_theta", "rope_local_base_freq"),
    };
    let local = class.local_theta.unwrap_or(class.theta);
    for (key, theta, default_theta) in
        [("full_attention", full, class.theta), ("sliding_attention", sliding, local)]
    {
        if rope.get(key).is_none_or(Value::is_null) {
            rope.insert(key.into(), default().into());
        }
        let theta = extra.shift_remove(theta).unwrap_or_else(|| default_theta.into());
        let section = rope.get_mut(key).and_then(Value::as_object_mut);
        section
            .ok_or_else(|| format!("rope_parameters.{key} is not an object"))?
            .entry("rope_theta".into())
            .or_insert(theta);
    }
    Ok(rope)
}

/// `RotaryEmbeddingConfigMixin.standardize_rope_params`.
fn standardize(class: &Class, config: &Object, rope: &mut Object) -> Result<(), Refusal> {
    let flat = !is_nested(class, config, rope);
    let trained = config.get("original_max_position_embeddings").filter(|_| flat).cloned();
    let longest = config.get(stored_as(class, "max_position_embeddings")).cloned();
    for section in sections(class, config, rope)? {
        let kind = section.get("type").cloned().unwrap_or_else(|| "default".into());
        let kind = section.entry("rope_type".into()).or_insert(kind);
        let relative = kind.as_str().is_some_and(|kind| RELATIVE.contains(&kind));
        section.entry("rope_theta".into()).or_insert(Value::Null);
        if relative {
            let key = "original_max_position_embeddings".to_owned();
            match &trained {
                Some(length) => {
                    section.insert(key, length.clone());
                }
                None => {
                    let longest = longest.clone().ok_or("max_position_embeddings is missing")?;
                    section.entry(key).or_insert(longest);
                }
            }
        }
    }
    Ok(())
}

/// `validate_rope`: the cases in which it raises rather than warns.
pub(super) fn validate(class: &Class, config: &mut Object) -> Result<(), Refusal> {
    let mut rope = match config.get("rope_parameters") {
        Some(Value::Object(rope)) if !rope.is_empty() => rope.clone(),
        Some(value) if truthy(value) => return Err("rope_parameters is not an object".into()),
        _ => return Ok(()),
    };
    let head_dim = match class.model_type {
        "falcon" => Some(head_size(config)?.into()),
        _ if config.contains_key("per_layer_config") => None,
        _ => config.get(stored_as(class, "head_dim")).filter(|v| !v.is_null()).cloned(),
    };
    for section in sections(class, config, &mut rope)? {
        let kind = section.get("type").cloned().unwrap_or_else(|| "default".into());
        let kind = section.entry("rope_type".into()).or_insert(kind).as_str().unwrap_or_default().to_owned();
        let required: &[&str] = match kind.as_str() {
            "linear" | "dynamic" => &["factor"],
            "yarn" => &["factor", "original_max_position_embeddings"],
            "longrope" => &["short_factor", "long_factor", "original_max_position_embeddings"],
            "llama3" => &[
                "factor",
                "original_max_position_embeddings",
                "low_freq_factor",
                "high_freq_factor",
                "rope_theta",
            ],
            "proportional" => &["rope_theta"],
            _ => &[],
        };
        if let Some(key) = required.iter().find(|key| !section.contains_key(**key)) {
            return Err(format!("rope_parameters lack {key}, which rope_type {} needs", quoted(&kind)));
        }
        let get = |key: &str| section.get(key).unwrap_or(&Value::Null);
        let original = get("original_max_position_embeddings");
        let longest = config.get(stored_as(class, "max_position_embeddings")).unwrap_or(&Value::Null);
        let sound = match kind.as_str() {
            "yarn" => {
                let or =
                    |value, default: u8| if truthy(get(value)) { get(value).clone() } else { default.into() };
                comparable(&or("beta_fast", 32), &or("beta_slow", 1))
                    && number(original).is_some_and(|n| n != 0.0)
                    && number(longest).is_some()
            }
            "llama3" => {
                comparable(get("high_freq_factor"), get("low_freq_factor")) && comparable(original, longest)
            }
            "longrope" => longrope_is_sound(class, config, section),
            _ => true,
        };
        if !sound {
            return Err(format!(
                "rope_parameters of rope_type {} have values of the wrong type",
                quoted(&kind)
            ));
        }
        if let Some(head_dim) = &head_dim {
            let dim = number(head_dim).ok_or("head_dim is not a number")?;
            let rotary = section.get("partial_rotary_factor").map_or(Some(1.0), number);
            #[allow(clippy::float_cmp)]
            if dim > 4.0 && dim % 2.0 != 0.0 && rotary.is_none_or(|r| (dim * r).trunc() == dim) {
                return Err(format!("head_dim {dim} is odd"));
            }
        }
    }
    if class.model_type == "phi3" {
        phi3_is_sound(config, &rope)?;
    }
    config.insert("rope_parameters".into(), rope.into());
    if class.model_type == "phimoe" { phimoe(config) } else { Ok(()) }
}

/// The width of a head where it follows from the number of heads.
fn head_size(config: &Object) -> Result<i64, Refusal> {
    int(config, "hidden_size")?
        .checked_div(int(config, "num_attention_heads")?)
        .ok_or("num_attention_heads is 0".into())
}

/// Phi-3's own demands.
fn phi3_is_sound(config: &Object, rope: &Object) -> Result<(), Refusal> {
    if !rope.get("rope_type").is_some_and(|kind| kind == "default" || kind == "longrope") {
        return Err("rope_parameters: rope_type is neither default nor longrope".into());
    }
    let head = head_size(config)?;
    let rotary =
        rope.get("partial_rotary_factor").and_then(number).ok_or("partial_rotary_factor is no number")?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    let rotated = (head as f64 * rotary) as i64;
    for key in ["short_factor", "long_factor"] {
        match rope.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::Array(factors)) if factors.iter().all(|f| number(f).is_some()) => {
                if i64::try_from(factors.len()) != Ok(rotated.div_euclid(2)) {
                    return Err(format!("rope_parameters: {key} has {} entries", factors.len()));
                }
            }
            Some(_) => return Err(format!("rope_parameters: {key} is not a list of numbers")),
        }
    }
    Ok(())
}

/// Phi-MoE's own demands; it also moves a setting out while it checks.
fn phimoe(config: &mut Object) -> Result<(), Refusal> {
    let rope = config.get("rope_parameters").and_then(Value::as_object).cloned().unwrap_or_default();
    if rope.get("rope_type").is_some_and(|kind| kind == "default") {
        return Ok(());
    }
    if let Some(length) = rope.get("original_max_position_embeddings") {
        config.insert("original_max_position_embeddings".into(), length.clone());
    }
    match ["short_mscale", "long_mscale"].iter().find(|key| rope.get(**key).and_then(number).is_none()) {
        Some(key) => Err(format!("rope_parameters: {key} is no number")),
        None => Ok(()),
    }
}

fn longrope_is_sound(class: &Class, config: &Object, section: &Object) -> bool {
    let get = |key: &str| config.get(stored_as(class, key)).and_then(number);
    let heads = get("num_attention_heads").is_some_and(|n| n != 0.0) && get("hidden_size").is_some();
    let head_dim = config.get(stored_as(class, "head_dim")).is_none_or(|v| number(v).is_some());
    let rotary = section.get("partial_rotary_factor").is_none_or(|v| number(v).is_some());
    let sized =
        |key: &str| matches!(section.get(key), Some(Value::Array(_) | Value::Object(_) | Value::String(_)));
    heads && head_dim && rotary && sized("short_factor") && sized("long_factor")
}

/// The flat settings, or one section for each kind of layer the config declares.
fn sections<'a>(
    class: &Class,
    config: &Object,
    rope: &'a mut Object,
) -> Result<Vec<&'a mut Object>, Refusal> {
    if !is_nested(class, config, rope) {
        return Ok(vec![rope]);
    }
    let labels = layer_labels(class, config);
    let nested = rope.iter_mut().filter(|(key, value)| labels.contains(&key.as_str()) && !value.is_null());
    nested
        .map(|(key, value)| value.as_object_mut().ok_or(format!("rope_parameters.{key} is not an object")))
        .collect()
}

fn is_nested(class: &Class, config: &Object, rope: &Object) -> bool {
    let labels = layer_labels(class, config);
    rope.keys().any(|key| labels.contains(&key.as_str()))
}

/// The kinds of layers in `layer_types`.
fn layer_labels<'a>(class: &Class, config: &'a Object) -> Vec<&'a str> {
    match config.get(stored_as(class, "layer_types")) {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// `rope_parameters` as `TextModel.__init__` leaves them. Gives back what is not an object.
pub(super) fn mirrored(config: &Object) -> Result<Object, &Value> {
    let found = config.get("rope_parameters").or_else(|| config.get("rope_scaling"));
    let mut rope = match found {
        Some(Value::Object(rope)) => rope.clone(),
        Some(value) if truthy(value) => return Err(value),
        _ => Object::new(),
    };
    if rope.contains_key("full_attention") || rope.contains_key("sliding_attention") {
        return Ok(rope);
    }
    let first =
        |keys: &[&str]| keys.iter().find_map(|key| config.get(*key)).filter(|v| !v.is_null()).cloned();
    let local = [
        "local_rope_theta",
        "rope_local_theta",
        "rope_theta_local",
        "swa_rope_theta",
        "rope_local_base_freq",
    ];
    if let Some(theta) = first(&local) {
        rope.insert("sliding_attention".into(), [("rope_theta".to_owned(), theta)].into_iter().collect());
    }
    let global =
        ["global_rope_theta", "rope_global_theta", "rope_theta_global", "rope_theta", "rotary_emb_base"];
    let mirrors = [
        ("rope_theta", first(&global)),
        ("rope_type", rope.get("type").filter(|v| !v.is_null()).cloned()),
        ("partial_rotary_factor", first(&["partial_rotary_factor", "rope_pct", "rope_percent"])),
        ("original_max_position_embeddings", first(&["original_max_position_embeddings"])),
    ];
    for (key, value) in mirrors {
        if let Some(value) = value {
            rope.entry(key.into()).or_insert(value);
        }
    }
    Ok(rope)
}

/// Whether Python can order the two.
fn comparable(a: &Value, b: &Value) -> bool {
    number(a).is_some() && number(b).is_some()
        || a.is_string() && b.is_string()
        || a.is_array() && b.is_array()
}
