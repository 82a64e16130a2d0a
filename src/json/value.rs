//! A JSON value, with Python's distinctions.

use std::fmt;

use indexmap::IndexMap;
use serde::{Serialize, Serializer};

/// The entries of an object in the order of the text; the last of several equal keys wins.
///
/// A key with half a surrogate pair has U+FFFD in its place: nobody asks for it, but the object is not empty.
pub type Map<K, V> = IndexMap<K, V>;

/// A value as Python would hold it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without point and exponent.
    Int(i64),
    /// One beyond 64 bits: the nearest double, infinite where there is none.
    BigInt(f64),
    /// A number with point or exponent, `NaN`, or an infinity.
    Float(f64),
    /// Text.
    String(String),
    /// Text with half a surrogate pair, which nothing can be made of.
    Unpaired,
    /// A list.
    Array(Vec<Value>),
    /// An object.
    Object(Map<String, Value>),
}

impl Value {
    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// Whether it is a list.
    pub fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// Whether it is text.
    pub fn is_string(&self) -> bool {
        matches!(self, Self::String(_) | Self::Unpaired)
    }

    /// Whether Python would hold it as an `int` that is no `bool`.
    pub fn is_int(&self) -> bool {
        matches!(self, Self::Int(_) | Self::BigInt(_))
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(b) = self { Some(*b) } else { None }
    }

    /// The integer, if it is one of 64 bits.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Int(n) = self { Some(*n) } else { None }
    }

    /// The integer, if it is one of 63 bits and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_i64().and_then(|n| u64::try_from(n).ok())
    }

    /// The number, if it is one, as a double; none for integers beyond a double's range (`OverflowError`).
    #[allow(clippy::cast_precision_loss)]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::BigInt(n) => n.is_finite().then_some(*n),
            Self::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// The text, if it is text that UTF-8 has.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The items, if it is a list.
    pub fn as_array(&self) -> Option<&Vec<Self>> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The items, if it is a list.
    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Self>> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The entries, if it is an object.
    pub fn as_object(&self) -> Option<&Map<String, Self>> {
        if let Self::Object(map) = self { Some(map) } else { None }
    }

    /// The entries, if it is an object.
    pub fn as_object_mut(&mut self) -> Option<&mut Map<String, Self>> {
        if let Self::Object(map) = self { Some(map) } else { None }
    }

    /// The value under `key`, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }

    /// The value under `key`, if this is an object that has it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.as_object_mut()?.get_mut(key)
    }

    /// The first item, if this is a list that has one.
    pub fn first(&self) -> Option<&Self> {
        self.as_array()?.first()
    }

    /// Python's `bool(x)`.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(b) => *b,
            Self::Int(n) => *n != 0,
            Self::Float(n) => *n != 0.0,
            Self::BigInt(_) | Self::Unpaired => true,
            Self::String(text) => !text.is_empty(),
            Self::Array(items) => !items.is_empty(),
            Self::Object(map) => !map.is_empty(),
        }
    }

    /// What this is, for messages: "a list".
    pub fn kind(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(b) => format!("the truth value {b}"),
            Self::Int(_) | Self::Float(_) => format!("the number {self}"),
            Self::BigInt(_) => "an integer beyond 64 bits".to_owned(),
            Self::String(_) | Self::Unpaired => "text".to_owned(),
            Self::Array(_) => "a list".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }
}

/// As JSON, with Python's words for numbers that are none.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(n) => write!(f, "{n}"),
            Self::BigInt(n) | Self::Float(n) if n.is_nan() => f.write_str("NaN"),
            Self::BigInt(n) | Self::Float(n) if n.is_infinite() => {
                f.write_str(if *n > 0.0 { "Infinity" } else { "-Infinity" })
            }
            Self::BigInt(n) => write!(f, "{n}"),
            Self::Float(n) => write!(f, "{n:?}"),
            Self::String(text) => write_text(f, text),
            Self::Unpaired => f.write_str("\"\u{fffd}\""),
            Self::Array(items) => {
                f.write_str("[")?;
                for (place, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if place > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Object(map) => {
                f.write_str("{")?;
                for (place, (key, value)) in map.iter().enumerate() {
                    f.write_str(if place > 0 { "," } else { "" })?;
                    write_text(f, key)?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

/// For `json!` with values in it. Numbers that JSON does not have become `null`.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null | Self::Unpaired => serializer.serialize_unit(),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Int(n) => serializer.serialize_i64(*n),
            Self::BigInt(n) | Self::Float(n) => serializer.serialize_f64(*n),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(map) => serializer.collect_map(map),
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value as Strict;
        match value {
            Strict::Null => Self::Null,
            Strict::Bool(b) => Self::Bool(b),
            Strict::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(n), _) => Self::Int(n),
                (None, Some(big)) if n.is_u64() => Self::BigInt(big),
                (None, n) => Self::Float(n.unwrap_or(f64::NAN)),
            },
            Strict::String(text) => Self::String(text),
            Strict::Array(items) => items.into_iter().collect(),
            Strict::Object(map) => map.into_iter().collect(),
        }
    }
}

/// A value written out as JSON, with expressions in it, as `serde_json::json!`.
macro_rules! json {
    ($($json:tt)+) => { $crate::json::Value::from(serde_json::json!($($json)+)) };
}
pub(crate) use json;

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self::Object(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Conversions from, and comparisons with, what becomes a variant.
macro_rules! from {
    ($($type:ty, $n:ident => $variant:expr;)*) => { $(
        impl From<$type> for Value {
            fn from($n: $type) -> Self {
                $variant
            }
        }
    )* };
}

from! {
    bool, b => Self::Bool(b);
    i32, n => Self::Int(n.into());
    i64, n => Self::Int(n);
    u8, n => Self::Int(n.into());
    u32, n => Self::Int(n.into());
    f64, n => Self::Float(n);
    usize, n => i64::try_from(n).map_or(Self::BigInt(n as f64), Self::Int);
    &str, text => Self::String(text.to_owned());
    String, text => Self::String(text);
    Map<String, Value>, map => Self::Object(map);
}

impl PartialEq<str> for Value {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == Some(*other)
    }
}

impl PartialEq<bool> for Value {
    fn eq(&self, other: &bool) -> bool {
        self.as_bool() == Some(*other)
    }
}
