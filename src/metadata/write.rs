//! Metadata as GGUF key-values: which key has which type, and what the reference's writer makes of a
//! value of another type.

use super::Metadata;
use super::object::Object;
use crate::error::Result;
use crate::gguf::{KeyValues, Strings, Value};

/// How a value is written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    /// Text, or a list of texts that is joined by commas.
    TextList,
    I32,
    F32,
}

/// The keys with a single value, in the order they are written.
pub(super) const KEYS: [(&str, Kind); 32] = [
    ("general.sampling.sequence", Kind::Text),
    ("general.sampling.top_k", Kind::I32),
    ("general.sampling.top_p", Kind::F32),
    ("general.sampling.min_p", Kind::F32),
    ("general.sampling.xtc_probability", Kind::F32),
    ("general.sampling.xtc_threshold", Kind::F32),
    ("general.sampling.temp", Kind::F32),
    ("general.sampling.penalty_last_n", Kind::I32),
    ("general.sampling.penalty_repeat", Kind::F32),
    ("general.sampling.mirostat", Kind::I32),
    ("general.sampling.mirostat_tau", Kind::F32),
    ("general.sampling.mirostat_eta", Kind::F32),
    ("general.name", Kind::Text),
    ("general.author", Kind::Text),
    ("general.version", Kind::Text),
    ("general.organization", Kind::Text),
    ("general.finetune", Kind::Text),
    ("general.basename", Kind::Text),
    ("general.description", Kind::Text),
    ("general.quantized_by", Kind::Text),
    ("general.size_label", Kind::Text),
    ("general.license", Kind::TextList),
    ("general.license.name", Kind::Text),
    ("general.license.link", Kind::Text),
    ("general.url", Kind::Text),
    ("general.doi", Kind::Text),
    ("general.uuid", Kind::Text),
    ("general.repo_url", Kind::Text),
    ("general.source.url", Kind::Text),
    ("general.source.doi", Kind::Text),
    ("general.source.uuid", Kind::Text),
    ("general.source.repo_url", Kind::Text),
];

/// Lists of models and data sets: the key they are kept under, and the prefix of the keys written.
pub(super) const ORIGINS: [(&str, &str); 2] =
    [("general.base_models", "general.base_model"), ("general.datasets", "general.dataset")];

/// What is written of a model or data set, in order.
const ORIGIN_FIELDS: [&str; 9] =
    ["name", "author", "version", "organization", "description", "url", "doi", "uuid", "repo_url"];

/// Keys with a list of values, written last.
pub(super) const LISTS: [&str; 2] = ["general.tags", "general.languages"];

impl Metadata {
    /// Adds the `general.*` keys, in the reference's order. Empty texts and lists are left out.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) for the file that gave a value of the wrong type, where
    /// the reference stops too.
    pub fn write(&self, kv: &mut KeyValues) -> Result<()> {
        for (key, kind) in KEYS {
            let Some(value) = self.get(key) else { continue };
            match (kind, value) {
                (Kind::TextList, Object::List(items)) => {
                    let texts: Option<Vec<&str>> = items.iter().map(as_text).collect();
                    let texts = texts.ok_or_else(|| self.wrong(key, "a list of texts", value))?;
                    kv.set_string(key, texts.join(","));
                }
                (Kind::Text | Kind::TextList, _) => self.write_text(kv, key, key.to_owned(), value)?,
                (Kind::I32, _) => {
                    let n = to_i32(value).ok_or_else(|| self.wrong(key, "an integer of 32 bits", value))?;
                    kv.set(key, Value::I32(n));
                }
                (Kind::F32, _) => {
                    let f = to_f32(value).ok_or_else(|| self.wrong(key, "a number of 32 bits", value))?;
                    kv.set_f32(key, f);
                }
            }
        }
        for (key, prefix) in ORIGINS {
            self.write_origins(kv, key, prefix)?;
        }
        for key in LISTS {
            if let Some(value) = self.get(key)
                && let Some(list) = self.list(key, value)?
            {
                kv.set(key, list);
            }
        }
        Ok(())
    }

    /// Writes `value` as text to `name`; `key` is what it was given as.
    fn write_text(&self, kv: &mut KeyValues, key: &'static str, name: String, value: &Object) -> Result<()> {
        if value.is_truthy() {
            kv.set_string(name, as_text(value).ok_or_else(|| self.wrong(key, "text", value))?);
        }
        Ok(())
    }

    fn write_origins(&self, kv: &mut KeyValues, key: &'static str, prefix: &str) -> Result<()> {
        // The override file can have anything here. Python counts and walks through texts and mappings too.
        let entries: Vec<Object> = match self.get(key) {
            None => return Ok(()),
            Some(Object::List(entries)) => entries.clone(),
            Some(Object::Text(text)) => text.chars().map(|c| c.to_string().into()).collect(),
            Some(Object::Map(map)) if !map.has_other_keys => {
                map.entries.keys().map(|key| key.as_str().into()).collect()
            }
            Some(other) => return Err(self.wrong(key, "a list of mappings", other)),
        };
        let count =
            u32::try_from(entries.len()).map_err(|_| self.wrong(key, "fewer entries", &Object::Null))?;
        kv.set_u32(format!("{prefix}.count"), count);
        for (i, entry) in entries.iter().enumerate() {
            for field in ORIGIN_FIELDS {
                // Python's `in` looks for a part in texts and for an item in lists; what it finds is no value.
                let value = match entry {
                    Object::Map(map) => map.entries.get(field),
                    Object::Text(text) if !text.contains(field) => None,
                    Object::List(items) if !items.contains(&field.into()) => None,
                    other => return Err(self.wrong(key, "a mapping for each entry", other)),
                };
                if let Some(value) = value {
                    self.write_text(kv, key, format!("{prefix}.{i}.{field}"), value)?;
                }
            }
        }
        Ok(())
    }

    /// An array whose type is that of its items; `None` if it is empty.
    fn list(&self, key: &'static str, value: &Object) -> Result<Option<Value>> {
        let characters;
        let items = match value {
            Object::List(items) => items,
            Object::Text(text) => {
                characters = text.chars().map(|c| c.to_string().into()).collect::<Vec<Object>>();
                &characters
            }
            Object::Map(_) if !value.is_truthy() => return Ok(None),
            other => return Err(self.wrong(key, "a list", other)),
        };
        fn all<T>(items: &[Object], convert: impl Fn(&Object) -> Option<T>) -> Option<Vec<T>> {
            items.iter().map(convert).collect()
        }
        let list = match items.first() {
            None => return Ok(None),
            Some(Object::Text(_)) => {
                items.iter().map(as_text).collect::<Option<Strings>>().map(Value::Strings)
            }
            Some(Object::Bool(_)) => {
                all(items, |i| if let Object::Bool(b) = i { Some(*b) } else { None }).map(Value::Bools)
            }
            Some(Object::Int(_) | Object::BigInt(_)) => {
                all(items, |i| if let Object::Int(_) = i { to_i32(i) } else { None }).map(Value::I32s)
            }
            Some(Object::Float(_)) => {
                all(items, |i| if let Object::Float(_) = i { to_f32(i) } else { None }).map(Value::F32s)
            }
            Some(_) => None,
        };
        let expected = "a list of one type (texts, truth values, 32-bit integers or numbers with a fraction)";
        list.map(Some)
            .ok_or_else(|| self.wrong(key, expected, &Object::Foreign("a list of other or mixed ones")))
    }
}

fn as_text(value: &Object) -> Option<&str> {
    if let Object::Text(text) = value { Some(text) } else { None }
}

/// An integer, as Python's `struct` packs it: truth values are integers, `1.0` is none.
fn to_i32(value: &Object) -> Option<i32> {
    match value {
        Object::Int(n) => i32::try_from(*n).ok(),
        Object::Bool(b) => Some(i32::from(*b)),
        _ => None,
    }
}

/// A number, as Python's `struct` packs it: rounded to single precision; finite ones must stay finite.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn to_f32(value: &Object) -> Option<f32> {
    let double = match value {
        Object::Float(f) => *f,
        Object::Int(n) => *n as f64,
        Object::BigInt(n) if n.is_finite() => *n,
        Object::Bool(b) => f64::from(*b),
        _ => return None,
    };
    if double.is_nan() {
        return Some(f32::NAN.copysign(if double.is_sign_negative() { -1.0 } else { 1.0 }));
    }
    let single = double as f32;
    (single.is_finite() || double.is_infinite()).then_some(single)
}
