//! The values that model cards and JSON files hold, with Python's distinctions.
//!
//! The reference is a Python program that hands what it parsed to its writer unchecked, so what ends up
//! in the file (or stops the conversion) depends on Python's types: `1` is not `1.0`, `no` is `False`,
//! and falsy values are left out. Knows nothing of GGUF keys or of the formats values are read from.

use indexmap::IndexMap;

use crate::json::Value;

/// A value as Python would hold it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object {
    Null,
    Bool(bool),
    Int(i128),
    /// An integer beyond 64 bits: the nearest double, infinite where there is none.
    BigInt(f64),
    Float(f64),
    Text(String),
    List(Vec<Object>),
    Map(Map),
    /// A value that cannot become metadata, named for messages: "a date".
    Foreign(&'static str),
}

/// A mapping; the last of several equal keys wins.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Map {
    pub entries: IndexMap<String, Object>,
    /// There are keys that are not text. No metadata has such a name, so they are not kept.
    pub has_other_keys: bool,
}

impl Map {
    /// The value of `key`, unless it is absent or null.
    pub fn get(&self, key: &str) -> Option<&Object> {
        self.entries.get(key).filter(|v| **v != Object::Null)
    }
}

impl Object {
    /// Python's `bool(x)`.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(b) => *b,
            Self::Int(i) => *i != 0,
            Self::Float(f) => *f != 0.0,
            Self::Text(s) => !s.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => map.has_other_keys || !map.entries.is_empty(),
            Self::BigInt(_) | Self::Foreign(_) => true,
        }
    }

    /// What this is, for messages: "a number with a fraction".
    pub fn kind(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(b) => format!("the truth value {b}"),
            Self::Int(i) => format!("the number {i}"),
            Self::BigInt(_) => "an integer beyond 64 bits".to_owned(),
            Self::Float(f) => format!("the number {f:?}"),
            Self::Text(_) => "text".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a mapping".to_owned(),
            Self::Foreign(kind) => (*kind).to_owned(),
        }
    }
}

impl From<&str> for Object {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Object {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Value> for Object {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(b),
            Value::Int(n) => Self::Int(n.into()),
            Value::BigInt(n) => Self::BigInt(n),
            Value::Float(f) => Self::Float(f),
            Value::String(text) => Self::Text(text),
            Value::Unpaired => Self::Foreign("text with an unpaired surrogate"),
            Value::Array(items) => Self::List(items.into_iter().map(Into::into).collect()),
            Value::Object(map) => {
                let entries = map.into_iter().map(|(key, value)| (key, value.into()));
                Self::Map(Map { entries: entries.collect(), has_other_keys: false })
            }
        }
    }
}
