//! Rope settings: how transformers standardizes and validates them, and how the reference then
//! mirrors settings from elsewhere in the file into them.

use serde_json::{Map, Value};

use super::classes::Class;

type Object = Map<String, Value>;

/// Why transformers would refuse the file.
type Refusal = String;

/// Moves `rope_scaling`, `rope_theta` and `partial_rotary_factor` out of `extra` and into
/// `config["rope_parameters"]` (`RotaryEmbeddingConfigMixin.convert_rope_params_to_dict`).
pub(super) fn standardize(class: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    let mut rope = match extra.shift_remove("rope_scaling") {
        Some(value) if truthy(&value) => value,
        _ => config.get("rope_parameters").cloned().unwrap_or(Value::Null),
    };
    if rope.is_null() {
        rope = Value::Object(Object::new());
    }
    let Value::Object(mut rope) = rope else {
        return Err("rope_scaling is not an object".into());
    };
    let theta = extra.shift_remove("rope_theta").unwrap_or_else(|| class.theta.into());
    let rotary = extra.shift_remove("partial_rotary_factor").unwrap_or(Value::Null);
    let longest = config.get("max_position_embeddings").cloned().unwrap_or(Value::Null);
    for section in sections(config, &mut rope)? {
        section.entry("rope_theta").or_insert_with(|| theta.clone());
        if !rotary.is_null() {
            section.entry("partial_rotary_factor").or_insert_with(|| rotary.clone());
        }
        let default = section.get("type").cloned().unwrap_or_else(|| "default".into());
        let kind = section.entry("rope_type").or_insert(default);
        if matches!(kind.as_str(), Some("llama3" | "yarn" | "longrope")) {
            section.entry("original_max_position_embeddings").or_insert_with(|| longest.clone());
        }
    }
    config.insert("rope_parameters".into(), rope.into());
    Ok(())
}

/// `RotaryEmbeddingConfigMixin.validate_rope`: the cases in which it raises rather than warns.
pub(super) fn validate(config: &Object) -> Result<(), Refusal> {
    let Some(Value::Object(rope)) = config.get("rope_parameters") else {
        return Ok(());
    };
    let head_dim = config.get("head_dim").filter(|v| !v.is_null());
    for section in sections(config, &mut rope.clone())? {
        let kind = section.get("rope_type").and_then(Value::as_str).unwrap_or_default();
        let required: &[&str] = match kind {
            "linear" | "dynamic" => &["factor"],
            "yarn" => &["factor", "original_max_position_embeddings"],
            "longrope" => &["short_factor", "long_factor", "original_max_position_embeddings"],
            "llama3" => {
                &["factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"]
            }
            _ => &[],
        };
        if let Some(key) = required.iter().find(|key| !section.contains_key(**key)) {
            return Err(format!("rope_parameters lack {key}, which rope_type \"{kind}\" needs"));
        }
        let get = |key: &str| section.get(key).unwrap_or(&Value::Null);
        let original = get("original_max_position_embeddings");
        let longest = config.get("max_position_embeddings").unwrap_or(&Value::Null);
        let sound = match kind {
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
            "longrope" => longrope_is_sound(config, section),
            _ => true,
        };
        if !sound {
            return Err(format!("rope_parameters of rope_type \"{kind}\" have values of the wrong type"));
        }
        if let Some(head_dim) = head_dim {
            let dim = number(head_dim).ok_or("head_dim is not a number")?;
            let rotary = section.get("partial_rotary_factor").map_or(Some(1.0), number);
            #[allow(clippy::float_cmp)]
            if dim > 4.0 && dim % 2.0 != 0.0 && rotary.is_none_or(|r| (dim * r).trunc() == dim) {
                return Err(format!("head_dim {dim} is odd"));
            }
        }
    }
    Ok(())
}

fn longrope_is_sound(config: &Object, section: &Object) -> bool {
    let get = |key: &str| config.get(key).and_then(number);
    let heads = get("num_attention_heads").is_some_and(|n| n != 0.0) && get("hidden_size").is_some();
    let head_dim = config.get("head_dim").is_none_or(|v| number(v).is_some());
    let rotary = section.get("partial_rotary_factor").is_none_or(|v| number(v).is_some());
    let sized =
        |key: &str| matches!(section.get(key), Some(Value::Array(_) | Value::Object(_) | Value::String(_)));
    heads && head_dim && rotary && sized("short_factor") && sized("long_factor")
}

/// The flat settings, or one section for each kind of layer the config declares.
fn sections<'a>(config: &Object, rope: &'a mut Object) -> Result<Vec<&'a mut Object>, Refusal> {
    let labels = layer_labels(config);
    if !rope.keys().any(|key| labels.contains(&key.as_str())) {
        return Ok(vec![rope]);
    }
    let nested = rope.iter_mut().filter(|(key, value)| labels.contains(&key.as_str()) && !value.is_null());
    nested
        .map(|(key, value)| value.as_object_mut().ok_or(format!("rope_parameters.{key} is not an object")))
        .collect()
}

/// The kinds of layers in `layer_types`.
fn layer_labels(config: &Object) -> Vec<&str> {
    match config.get("layer_types") {
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
            rope.entry(key).or_insert(value);
        }
    }
    Ok(rope)
}

/// Python's truth value.
pub(crate) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(o) => !o.is_empty(),
    }
}

/// A value Python would calculate with.
pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_bool().map(|b| f64::from(u8::from(b))).or(value.as_f64())
}

/// Whether Python can order the two.
fn comparable(a: &Value, b: &Value) -> bool {
    number(a).is_some() && number(b).is_some()
        || a.is_string() && b.is_string()
        || a.is_array() && b.is_array()
}
