//! What `AutoConfig.from_pretrained(dir).to_dict()` makes of a `config.json`, as far as conversion
//! can see it: declared fields take their defaults, wrong types and contradictions are refused.

use std::path::Path;

use serde_json::{Map, Value};

use super::classes::{
    ATTENTION_LAYER_TYPES, BOOL, CLASSES, Class, DICT, FLOAT, GENERATION, INT, INTS, Kinds,
    LEGACY_LAYER_TYPES, MLP_LAYER_TYPES, NULL, OTHER_MODEL_TYPES, READ_ONLY, STR, STRS, TORCH_DTYPES,
};
use super::rope::{self, number, truthy};

type Object = Map<String, Value>;

/// What transformers does with a file.
pub(super) enum Outcome {
    /// It has a class for the model, and this is the result.
    Class(Object),
    /// It raises an exception; the reference then reads the file as it is.
    Refused(String),
    /// It has a class for this model type, but this program does not know that class.
    Unknown(String),
}

/// Interprets `json`, read from the file at `path`.
pub(super) fn from_pretrained(path: &Path, json: &Object) -> Outcome {
    let Some(Value::String(model_type)) = json.get("model_type") else {
        return Outcome::Refused("model_type is missing".into());
    };
    let model_type = match model_type.as_str() {
        "mistral" if json.contains_key("layer_types") => "ministral",
        other => other,
    };
    let class = CLASSES.iter().find(|c| c.model_type == model_type);
    // A list of settings for single layers, or of files for other versions of transformers, is beyond us.
    let beyond = ["per_layer_config", "configuration_files"].iter().any(|key| json.contains_key(*key));
    match class {
        Some(class) if !beyond => match construct(class, path, json) {
            Ok(config) => Outcome::Class(config),
            Err(reason) => Outcome::Refused(format!("not a valid configuration of {model_type} ({reason})")),
        },
        None if !OTHER_MODEL_TYPES.contains(&model_type) => {
            Outcome::Refused(format!("model_type \"{model_type}\" is not one of transformers'"))
        }
        _ => Outcome::Unknown(model_type.to_owned()),
    }
}

/// `Class(**json)` followed by `to_dict()`.
fn construct(class: &Class, path: &Path, json: &Object) -> Result<Object, String> {
    if json.get("auto_map").is_some_and(|map| map.is_null() || map.is_boolean() || map.is_number()) {
        return Err("auto_map is not an object".into());
    }
    let mut extra = json.clone();
    let mut config = Object::new();
    for (name, kinds, default) in class.fields {
        let value = match extra.shift_remove(*name) {
            Some(value) if accepts(*kinds, &value) => value,
            Some(value) => return Err(format!("{name}: {}", super::shown(&value))),
            None => serde_json::from_str(default).map_err(|e| e.to_string())?,
        };
        config.insert(stored_as(class, name).to_owned(), value);
    }
    derive(class, &mut config)?;
    check_common(&extra)?;
    rope::standardize(class, &mut config, &mut extra)?;

    config.insert("architectures".into(), Value::Null);
    for (name, value) in extra {
        let dropped = ["name_or_path", "_commit_hash", "torch_dtype", "num_labels"].contains(&name.as_str());
        if READ_ONLY.contains(&name.as_str()) {
            return Err(format!("{name} cannot be set"));
        }
        if !dropped && !GENERATION.contains(&name.as_str()) {
            config.insert(stored_as(class, &name).to_owned(), value);
        }
    }
    let dir = path.parent().unwrap_or(path).to_string_lossy().into_owned();
    config.insert("_name_or_path".into(), dir.into());
    config.insert("model_type".into(), class.model_type.into());
    rename_layer_types(&mut config);
    validate(class, &config)?;
    Ok(config)
}

fn stored_as<'a>(class: &'a Class, name: &'a str) -> &'a str {
    class.aliases.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, stored)| stored)
}

/// Whether a field accepts a value (`isinstance`, with booleans no integers).
fn accepts(kinds: Kinds, value: &Value) -> bool {
    let kind = match value {
        Value::Null => NULL,
        Value::Bool(_) => BOOL,
        Value::Number(n) if n.is_f64() => FLOAT,
        Value::Number(_) => INT,
        Value::String(_) => STR,
        Value::Array(items) => {
            let all = |kind| if items.iter().all(|item| accepts(kind, item)) { kind } else { 0 };
            return kinds & INTS != 0 && all(INT) != 0 || kinds & STRS != 0 && all(STR) != 0;
        }
        Value::Object(_) => DICT,
    };
    kinds & kind != 0
}

/// The classes' own `__post_init__`.
fn derive(class: &Class, config: &mut Object) -> Result<(), String> {
    let null = |config: &Object, key: &str| config.get(key).is_some_and(Value::is_null);
    if matches!(class.model_type, "iquestcoder" | "llama" | "mistral") && null(config, "head_dim") {
        let get = |key: &str| config.get(key).and_then(Value::as_i64).ok_or(format!("{key} is out of range"));
        let (hidden, heads) = (get("hidden_size")?, get("num_attention_heads")?);
        let head_dim = floor_div(hidden, heads).ok_or("num_attention_heads is 0")?;
        config.insert("head_dim".into(), head_dim.into());
    }
    if null(config, "num_key_value_heads")
        && let Some(heads) = config.get("num_attention_heads").cloned()
    {
        config.insert("num_key_value_heads".into(), heads);
    }
    if config.get("use_sliding_window") == Some(&Value::Bool(false)) {
        let off = if class.model_type == "qwen2_moe" { Value::from(0) } else { Value::Null };
        config.insert("sliding_window".into(), off);
    }
    if null(config, "mlp_only_layers") {
        config.insert("mlp_only_layers".into(), Value::Array(Vec::new()));
    }
    if null(config, "layer_types") {
        config.insert("layer_types".into(), derived_layer_types(class, config).into());
    }
    Ok(())
}

/// `layer_types` where the file has none. Cut off where no model could be that deep; validation
/// then finds the lengths to differ.
fn derived_layer_types(class: &Class, config: &Object) -> Vec<Value> {
    const DEEPEST: i64 = 1 << 16;
    let get = |key: &str| config.get(key).and_then(Value::as_i64);
    let sliding = get("sliding_window").is_some();
    let slides = |layer| match (class.model_type, get("max_window_layers")) {
        ("qwen2_moe", Some(window)) => {
            layer % 2 == 0 && layer < window && config.get("use_sliding_window") == Some(&Value::Bool(true))
        }
        (_, Some(window)) => sliding && layer >= window,
        (_, None) => sliding,
    };
    let kind = |layer| if slides(layer) { "sliding_attention" } else { "full_attention" };
    (0..get("num_hidden_layers").unwrap_or(0).min(DEEPEST)).map(|layer| kind(layer).into()).collect()
}

/// What `PreTrainedConfig.__post_init__` refuses.
fn check_common(extra: &Object) -> Result<(), String> {
    let get = |key: &str| extra.get(key).filter(|v| !v.is_null());
    match get("dtype").or_else(|| get("torch_dtype")) {
        Some(Value::String(name)) if !TORCH_DTYPES.contains(&name.as_str()) => {
            return Err(format!("dtype: torch has no \"{name}\""));
        }
        Some(Value::Array(_)) => return Err("dtype is a list".into()),
        _ => {}
    }
    let labels = match (get("id2label"), extra.get("num_labels")) {
        (Some(Value::Object(labels)), _) if labels.keys().all(|k| k.trim().parse::<i64>().is_ok()) => {
            labels.len() as f64
        }
        (Some(_), _) => return Err("id2label is not a map from numbers".into()),
        (None, None) => 2.0,
        (None, Some(n)) => number(n).filter(|_| !n.is_f64()).ok_or("num_labels is not an integer")?,
    };
    if get("problem_type").is_some_and(|p| p == "single_label_classification") && labels == 1.0 {
        return Err("single_label_classification with one label".into());
    }
    let attention = get("attn_implementation").or_else(|| get("_attn_implementation"));
    if get("output_attentions").is_some_and(truthy) && attention.is_some_and(|a| a != "eager") {
        return Err("output_attentions needs eager attention".into());
    }
    Ok(())
}

/// The `validate_*` methods that run once everything is set.
fn validate(class: &Class, config: &Object) -> Result<(), String> {
    if matches!(class.model_type, "iquestcoder" | "llama") {
        let get = |key: &str| config.get(key).and_then(Value::as_i64).ok_or(format!("{key} is out of range"));
        let (hidden, heads) = (get("hidden_size")?, get("num_attention_heads")?);
        if hidden.checked_rem(heads) != Some(0) {
            return Err(format!("hidden_size {hidden} is not a multiple of num_attention_heads {heads}"));
        }
    }
    let set = |key: &str| config.get(key).filter(|v| !v.is_null());
    match class.model_type {
        "llama" if !set("initializer_range").and_then(number).is_some_and(|r| (0.0..=1.0).contains(&r)) => {
            return Err("initializer_range is not between 0 and 1".into());
        }
        "iquestcoder" if set("clip_qkv").is_some() || set("use_sliding_window").is_some_and(truthy) => {
            return Err("clip_qkv or use_sliding_window is set".into());
        }
        _ => {}
    }
    let texts = ["decoder", "generator", "text_config"]
        .iter()
        .filter(|k| config.get(**k).is_some_and(|v| !v.is_null()));
    if texts.count() > 1 {
        return Err("more than one text config".into());
    }
    validate_layer_types(config)?;
    rope::validate(config)
}

fn validate_layer_types(config: &Object) -> Result<(), String> {
    for (key, allowed) in [("layer_types", ATTENTION_LAYER_TYPES), ("mlp_layer_types", MLP_LAYER_TYPES)] {
        let layers = match config.get(key) {
            Some(Value::Array(layers)) => layers,
            None | Some(Value::Null) => return Ok(()),
            Some(_) => return Err(format!("{key} is not a list")),
        };
        let known = |v: &Value| v.as_str().is_some_and(|kind| allowed.contains(&kind));
        if !layers.iter().all(known) {
            return Err(format!("{key} names a kind of layer that does not exist"));
        }
        let count = config.get("num_hidden_layers").and_then(Value::as_u64);
        if count != Some(layers.len() as u64) {
            return Err(format!("{key} has {} entries, num_hidden_layers is {count:?}", layers.len()));
        }
    }
    Ok(())
}

/// Brings old names of layer types up to date.
fn rename_layer_types(config: &mut Object) {
    let Some(Value::Array(kinds)) = config.get_mut("layer_types") else {
        return;
    };
    for kind in kinds {
        if let Some((_, new)) = LEGACY_LAYER_TYPES.iter().find(|(old, _)| *kind == *old) {
            *kind = (*new).into();
        }
    }
}

/// Python's `//`.
fn floor_div(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}
