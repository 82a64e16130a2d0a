//! Rope settings: how transformers standardizes and validates them, and how the reference then
//! mirrors settings from elsewhere in the file into them.

use crate::json::Value;

use super::class::Class;
use super::layers::{FULL, SLIDING};
use super::values::{Object, Refusal, int, number, stored_as, truthy};
use crate::input::quoted;

/// Kinds of scaling that are relative to a length the model was trained with.
const RELATIVE: [&str; 3] = ["llama3", "yarn", "longrope"];

/// Whether there are settings to gather.
pub(super) fn is_given(config: &Object, extra: &Object) -> bool {
    let truthy_extra = |key: &str| extra.get(key).is_some_and(truthy);
    config.contains_key("rope_parameters") || truthy_extra("rope_scaling") && truthy_extra("rope_theta")
}

/// `rope_parameters` with `rope_scaling`, `rope_theta` and `partial_rotary_factor` of `extra`
/// (`RotaryEmbeddingConfigMixin.convert_rope_params_to_dict`).
pub(super) fn gathered(
    class: &Class,
    config: &Object,
    extra: &mut Object,
) -> Result<Option<Object>, Refusal> {
    let mut rope = given(config, extra)?;
    let own = config.get("rope_theta").cloned().unwrap_or_else(|| class.theta.into());
    let theta = extra.shift_remove("rope_theta").unwrap_or(own);
    let rotary = extra.shift_remove("partial_rotary_factor").filter(|v| !v.is_null());
    for section in sections(class, config, &mut rope)? {
        section.entry("rope_theta".into()).or_insert_with(|| theta.clone());
        if let Some(rotary) = &rotary {
            section.entry("partial_rotary_factor".into()).or_insert_with(|| rotary.clone());
        }
    }
    standardize(class, config, &mut rope)?;
    Ok(Some(rope))
}

/// `rope_scaling`, or else `rope_parameters`.
pub(super) fn given(config: &Object, extra: &mut Object) -> Result<Object, Refusal> {
    let scaling = extra.shift_remove("rope_scaling").filter(truthy);
    match scaling.or_else(|| config.get("rope_parameters").cloned()) {
        None | Some(Value::Null) => Ok(Object::new()),
        Some(Value::Object(rope)) => Ok(rope),
        Some(_) => Err("rope_scaling is not an object".into()),
    }
}

/// Where classes that always tell layers with and without a sliding window apart have their settings.
pub(super) struct ByLayer {
    /// The key of `rope_theta` for layers with full attention.
    pub full: &'static str,
    /// The same for layers with a sliding window.
    pub sliding: &'static str,
    /// The layers that `rope_scaling` is for.
    pub scaled: &'static [&'static str],
}

/// What [`gathered`] does, for classes that always tell layers with and without a sliding window apart.
pub(super) fn by_layer(
    class: &Class,
    config: &Object,
    extra: &mut Object,
    keys: &ByLayer,
) -> Result<Option<Object>, Refusal> {
    let default = || Object::from_iter([("rope_type".to_owned(), Value::from("default"))]);
    let mut rope = match config.get("rope_parameters") {
        Some(Value::Object(rope)) => rope.clone(),
        _ => [SLIDING, FULL].into_iter().map(|k| (k.into(), default().into())).collect(),
    };
    match extra.shift_remove("rope_scaling") {
        None | Some(Value::Null) => {}
        Some(Value::Object(scaling)) => {
            for key in keys.scaled {
                let section = rope.get_mut(*key).and_then(Value::as_object_mut);
                section.ok_or_else(|| format!("rope_parameters lack {key}"))?.extend(scaling.clone());
            }
        }
        Some(_) => return Err("rope_scaling is not an object".into()),
    }
    let local = class.local_theta.unwrap_or(class.theta);
    for (key, theta, default_theta) in [(FULL, keys.full, class.theta), (SLIDING, keys.sliding, local)] {
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
    standardize(class, config, &mut rope)?;
    Ok(Some(rope))
}

/// `RotaryEmbeddingConfigMixin.standardize_rope_params`.
pub(super) fn standardize(class: &Class, config: &Object, rope: &mut Object) -> Result<(), Refusal> {
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

/// Whether there are settings to validate.
pub(super) fn is_set(config: &Object) -> Result<bool, Refusal> {
    match config.get("rope_parameters") {
        Some(Value::Object(rope)) => Ok(!rope.is_empty()),
        Some(value) if truthy(value) => Err("rope_parameters is not an object".into()),
        _ => Ok(false),
    }
}

/// `validate_rope`: the cases in which it raises rather than warns.
pub(super) fn validate(class: &Class, config: &mut Object, head_dim: Option<&Value>) -> Result<(), Refusal> {
    let mut rope = config.get("rope_parameters").and_then(Value::as_object).cloned().unwrap_or_default();
    for section in sections(class, config, &mut rope)? {
        let kind = section.get("type").cloned().unwrap_or_else(|| "default".into());
        let kind = section.entry("rope_type".into()).or_insert(kind).as_str().unwrap_or_default().to_owned();
        if let Some(key) = required(&kind).iter().find(|key| !section.contains_key(**key)) {
            return Err(format!("rope_parameters lack {key}, which rope_type {} needs", quoted(&kind)));
        }
        if !is_sound(class, config, section, &kind) {
            return Err(format!(
                "rope_parameters of rope_type {} have values of the wrong type",
                quoted(&kind)
            ));
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
    config.insert("rope_parameters".into(), rope.into());
    Ok(())
}

/// The settings that a kind of scaling needs.
fn required(kind: &str) -> &'static [&'static str] {
    match kind {
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
    }
}

/// Whether the settings of a kind of scaling are values that Python can calculate with.
fn is_sound(class: &Class, config: &Object, section: &Object, kind: &str) -> bool {
    let get = |key: &str| section.get(key).unwrap_or(&Value::Null);
    let original = get("original_max_position_embeddings");
    let longest = config.get(stored_as(class, "max_position_embeddings")).unwrap_or(&Value::Null);
    match kind {
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
    }
}

/// The width of a head, unless layers have widths of their own.
pub(super) fn head_dim(class: &Class, config: &Object) -> Result<Option<Value>, Refusal> {
    if config.contains_key("per_layer_config") {
        return Ok(None);
    }
    Ok(config.get(stored_as(class, "head_dim")).filter(|v| !v.is_null()).cloned())
}

/// The width of a head where it follows from the number of heads.
pub(super) fn head_size(config: &Object) -> Result<i64, Refusal> {
    int(config, "hidden_size")?
        .checked_div(int(config, "num_attention_heads")?)
        .ok_or("num_attention_heads is 0".into())
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
