//! What `AutoConfig.from_pretrained(dir).to_dict()` makes of a `config.json`, as far as conversion
//! can see it: declared fields take their defaults, wrong types and contradictions are refused.

use std::path::Path;

use crate::json::{self, Value};

use super::class::{Class, NULL, Part, accepts};
use super::generated::classes::{CHOICES, CLASSES, GENERATION, OTHER_MODEL_TYPES, READ_ONLY, TORCH_DTYPES};
use super::values::{Object, number, stored_as, truthy};
use super::{classes, layers, per_layer};
use crate::input::quoted;

/// What transformers does with a file.
pub(super) enum Outcome {
    /// It has a class for the model, and this is the result.
    Class(Object),
    /// It raises an exception; the reference then reads the file as it is.
    Refused(String),
    /// It has a class for this model type, but this program does not know that class.
    Unknown(String),
}

/// Why there is no object of a class.
enum Failure {
    Refused(String),
    Unknown(String),
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Refused(reason)
    }
}

/// Interprets `json`, read from the file at `path`.
pub(super) fn from_pretrained(path: &Path, json: &Object) -> Outcome {
    let json = &decoded(json);
    let Some(Value::String(model_type)) = json.get("model_type") else {
        return Outcome::Refused("model_type is missing".into());
    };
    let model_type = match model_type.as_str() {
        "mistral" if json.contains_key("layer_types") => "ministral",
        other => other,
    };
    if json.get("auto_map").is_some_and(|map| !map.is_object() && !map.is_array() && !map.is_string()) {
        return Outcome::Refused("auto_map is not an object".into());
    }
    // A list of files for other versions of transformers is beyond us.
    if json.contains_key("configuration_files") {
        return Outcome::Unknown(model_type.to_owned());
    }
    let dir = path.parent().unwrap_or(path).to_string_lossy();
    let config = class(model_type).and_then(|class| {
        construct(class, &dir, json).map_err(|failure| match failure {
            Failure::Refused(reason) => {
                Failure::Refused(format!("not a valid configuration of {} ({reason})", class.model_type))
            }
            unknown @ Failure::Unknown(_) => unknown,
        })
    });
    match config {
        Ok(config) => Outcome::Class(config),
        Err(Failure::Refused(reason)) => Outcome::Refused(reason),
        Err(Failure::Unknown(model_type)) => Outcome::Unknown(model_type),
    }
}

/// The same with `{"__float__": "Infinity"}` and the like, as which transformers 5 saves what strict JSON has no
/// numbers for, replaced by what they stand for.
fn decoded(json: &Object) -> Object {
    json.iter().map(|(key, value)| (key.clone(), decoded_value(value))).collect()
}

fn decoded_value(value: &Value) -> Value {
    match value {
        Value::Object(map) => match (map.len(), map.get("__float__").and_then(Value::as_str)) {
            (1, Some("Infinity")) => f64::INFINITY.into(),
            (1, Some("-Infinity")) => f64::NEG_INFINITY.into(),
            (1, Some("NaN")) => f64::NAN.into(),
            _ => Value::Object(decoded(map)),
        },
        Value::Array(items) => items.iter().map(decoded_value).collect(),
        other => other.clone(),
    }
}

/// Sizes without which llama.cpp loads no model, or takes its tensors for others.
const SIZES: [&str; 15] = [
    "head_dim",
    "hidden_size",
    "intermediate_size",
    "layer_norm_eps",
    "layer_norm_epsilon",
    "max_position_embeddings",
    "moe_intermediate_size",
    "n_embd",
    "num_attention_heads",
    "num_experts",
    "num_experts_per_tok",
    "num_key_value_heads",
    "num_local_experts",
    "rms_norm_eps",
    "shared_expert_intermediate_size",
];

/// A size that `json` does not give although its class has it, and why the class cannot: it refuses the file. None where
/// the class takes the file, is not known, or gives no such size either.
pub(crate) fn lost_size(path: &Path, json: &Object) -> Option<(&'static str, String)> {
    let Outcome::Refused(reason) = from_pretrained(path, json) else { return None };
    let find = |model_type: &str| CLASSES.iter().find(|class| class.model_type == model_type);
    let class = find(json.get("model_type")?.as_str()?)?;
    let text = json.get("text_config").and_then(Value::as_object);
    // Older files of larger models have the text model's sizes beside the others.
    let inner = class.text().and_then(|part| find(part.model_type)).filter(|_| text.is_none());
    let named = |text: &Object| find(text.get("model_type")?.as_str()?);
    let sections =
        [Some((class, json)), inner.map(|class| (class, json)), text.and_then(|t| Some((named(t)?, t)))];
    let lost = sections.into_iter().flatten().find_map(|(class, section)| {
        let needed =
            |key: &str| class.fields.iter().any(|(name, kinds, _)| *name == key && kinds & NULL == 0);
        let absent = |key: &str| section.get(key).is_none_or(Value::is_null);
        SIZES.into_iter().find(|key| needed(key) && absent(key))
    });
    lost.map(|key| (key, reason))
}

/// Whether transformers has a class for this model, which then checks what types settings have.
pub(crate) fn has_class(json: &Object) -> bool {
    let model_type = json.get("model_type").and_then(Value::as_str);
    model_type.is_some_and(|name| !matches!(class(name), Err(Failure::Refused(_))))
}

/// The class that `AutoConfig` picks.
fn class(model_type: &str) -> Result<&'static Class, Failure> {
    let name = if model_type == "gpt-sw3" { "gpt2" } else { model_type };
    CLASSES.iter().find(|c| c.model_type == name).ok_or_else(|| {
        if OTHER_MODEL_TYPES.contains(&name) {
            Failure::Unknown(name.to_owned())
        } else {
            Failure::Refused(format!("model_type {} is not one of transformers'", quoted(name)))
        }
    })
}

/// `Class(**json)` followed by `to_dict()`.
fn construct(class: &Class, name_or_path: &str, json: &Object) -> Result<Object, Failure> {
    let hooks = classes::hooks(class.model_type);
    if json.contains_key("per_layer_config") && !hooks.allow_per_layer() {
        return Err(Failure::Unknown(class.model_type.to_owned()));
    }
    let mut extra = json.clone();
    let mut config = Object::new();
    for (name, kinds, default) in class.fields {
        let value = match extra.shift_remove(*name) {
            Some(value) if accepts(*kinds, &value) && is_choice(class, name, &value) => value,
            Some(value) => return Err(format!("{name}: {}", super::shown(&value)).into()),
            None => json::parse(default.as_bytes()).map_err(|e| e.to_string())?,
        };
        config.insert(stored_as(class, name).to_owned(), value);
    }
    hooks.before(class, &mut config, &mut extra)?;
    for (key, part) in class.parts {
        match construct_part(&mut config, key, part) {
            // Who needs it asks for it ([`unknown_part`]); others do without.
            Err(Failure::Unknown(_)) if !TEXT_PARTS.contains(key) => {}
            other => other?,
        }
    }
    check_common(&extra)?;
    hooks.convert_rope(class, &mut config, &mut extra)?;
    let per_layer = extra.shift_remove("per_layer_config");

    config.insert("architectures".into(), Value::Null);
    let labels = extra.shift_remove("num_labels");
    for (name, value) in extra {
        if READ_ONLY.contains(&name.as_str()) || class.computed.contains(&stored_as(class, &name)) {
            return Err(format!("{name} cannot be set").into());
        }
        if !DROPPED.contains(&name.as_str()) && !GENERATION.contains(&name.as_str()) {
            let name = if name == "rope_scaling" { "rope_parameters" } else { &name };
            config.insert(stored_as(class, name).to_owned(), value);
        }
    }
    set_labels(&mut config, labels.as_ref())?;
    if let Some(overrides) = per_layer.filter(|v| !v.is_null()) {
        per_layer::apply(&mut config, overrides)?;
    }
    config.insert("_name_or_path".into(), name_or_path.into());
    config.insert("model_type".into(), class.model_type.into());
    for key in ["layer_types", "mtp_layer_types"] {
        layers::rename(config.get_mut(stored_as(class, key)));
    }
    hooks.after(&mut config)?;
    hooks.validate(class, &mut config)?;
    hooks.to_dict(&mut config);
    Ok(config)
}

/// Keys that are used up or go by another name.
const DROPPED: [&str; 8] = [
    "name_or_path",
    "_commit_hash",
    "torch_dtype",
    "attn_implementation",
    "experts_implementation",
    "_attn_implementation_internal",
    "_experts_implementation_internal",
    "output_attentions",
];

/// Parts that the text model is made from.
const TEXT_PARTS: [&str; 2] = ["text_config", "thinker_config"];

/// Makes of the section `key` of `config` what its class does: the one that the file names, or the one that belongs
/// there.
fn construct_part(config: &mut Object, key: &str, part: &Part) -> Result<(), Failure> {
    let json: Object = match config.get(key) {
        Some(Value::Object(section)) => section.clone(),
        None | Some(Value::Null) if part.optional => return Ok(()),
        _ => json::parse_object(part.given.as_bytes()).map_err(|e| e.to_string())?,
    };
    let class = class(part_type(key, part, &json)?)?;
    config.insert(key.into(), construct(class, "", &json)?.into());
    Ok(())
}

/// The `model_type` of the section `key`.
fn part_type<'a>(key: &str, part: &Part, json: &'a Object) -> Result<&'a str, Failure> {
    match json.get("model_type") {
        Some(named) if !part.fixed => {
            named.as_str().ok_or_else(|| Failure::Refused(format!("{key}.model_type is not a string")))
        }
        _ => Ok(part.model_type),
    }
}

/// The `model_type` of the first section of a configuration, or of a section's section, whose class is not known here.
pub(super) fn unknown_part(config: &Object) -> Option<&str> {
    let find = |model_type: &str| CLASSES.iter().find(|class| class.model_type == model_type);
    let class = find(config.get("model_type")?.as_str()?)?;
    class.parts.iter().find_map(|(key, part)| {
        let section = config.get(*key)?.as_object()?;
        let named = section.get("model_type").and_then(Value::as_str).unwrap_or(part.model_type);
        if find(named).is_some() { unknown_part(section) } else { Some(named) }
    })
}

/// Whether a value is one of the few that a field allows, if it has but a few.
fn is_choice(class: &Class, name: &str, value: &Value) -> bool {
    let field =
        CHOICES.iter().find(|(model_type, field, _)| *model_type == class.model_type && *field == name);
    field.is_none_or(|(_, _, allowed)| match value {
        Value::String(text) => allowed.contains(&text.as_str()),
        Value::Object(map) => map.iter().all(|(key, v)| allowed.contains(&key.as_str()) && v.is_object()),
        _ => true,
    })
}

/// What `PreTrainedConfig.__post_init__` refuses.
fn check_common(extra: &Object) -> Result<(), String> {
    let get = |key: &str| extra.get(key).filter(|v| !v.is_null());
    match get("dtype").or_else(|| get("torch_dtype")) {
        Some(Value::String(name)) if !TORCH_DTYPES.contains(&name.as_str()) => {
            return Err(format!("dtype: torch has no {}", quoted(name)));
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
        (None, Some(n)) => {
            number(n).filter(|_| !matches!(n, Value::Float(_))).ok_or("num_labels is not an integer")?
        }
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

/// `id2label`, from `num_labels` where the file has no such map, or one of another length.
fn set_labels(config: &mut Object, count: Option<&Value>) -> Result<(), String> {
    const MOST: usize = 1 << 16;
    let given = match config.get("id2label") {
        Some(Value::Object(labels)) => Some(labels.len()),
        _ => None,
    };
    let wanted = match count {
        None => given.unwrap_or(2),
        Some(Value::Bool(one)) => usize::from(*one),
        Some(count) if count.as_i64().is_some_and(|n| n < 0) => 0,
        Some(count) => {
            let count = count.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= MOST);
            count.ok_or("num_labels is no sensible integer")?
        }
    };
    config.entry("label2id".into()).or_insert(Value::Null);
    if given != Some(wanted) {
        let label = |i| (format!("{i}"), format!("LABEL_{i}"));
        let to_id = (0..wanted).map(|i| (label(i).1, Value::from(i))).collect();
        let to_label = (0..wanted).map(|i| (label(i).0, Value::from(label(i).1))).collect();
        config.insert("id2label".into(), Value::Object(to_label));
        config.insert("label2id".into(), Value::Object(to_id));
    }
    Ok(())
}
