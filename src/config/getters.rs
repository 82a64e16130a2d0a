//! What a setting is, as the type that it has to be, or an error that says where it is and what was found.

use super::{Config, shown, values};
use crate::error::{Error, Result};
use crate::json::{Map, Value};

const U32: &str = "an unsigned 32-bit integer";

/// A setting that is the same for all layers, or given for each.
#[derive(Clone, Debug, PartialEq)]
pub enum Counts {
    /// For all layers.
    One(u32),
    /// Layer by layer.
    Each(Vec<i32>),
}

impl Config {
    /// The first of `keys` that is there, unless its value is null. A null hides later keys.
    pub fn get<'k>(&self, keys: &[&'k str]) -> Option<(&'k str, &Value)> {
        let (key, value) = keys.iter().find_map(|key| Some((*key, self.map.get(*key)?)))?;
        (!value.is_null()).then_some((key, value))
    }

    /// An unsigned 32-bit integer under the first of `keys` that is there.
    ///
    /// # Errors
    /// If the value is no integer or out of range. Booleans are integers, as in Python.
    pub fn u32(&self, keys: &[&str]) -> Result<Option<u32>> {
        self.get(keys)
            .map(|(key, value)| values::u32(value).ok_or_else(|| self.mismatch(key, U32, value)))
            .transpose()
    }

    /// [`Config::u32`] of a key that must be there.
    ///
    /// # Errors
    /// Also if it is missing or null.
    pub fn require_u32(&self, keys: &[&str]) -> Result<u32> {
        self.u32(keys)?.ok_or_else(|| self.missing(keys, U32))
    }

    /// One unsigned 32-bit integer, or a list of signed ones.
    ///
    /// # Errors
    /// If the value is neither.
    pub fn u32_or_list(&self, keys: &[&str]) -> Result<Option<Counts>> {
        let Some((key, value)) = self.get(keys) else {
            return Ok(None);
        };
        let counts = match value {
            Value::Array(items) => {
                items.iter().map(values::i32).collect::<Option<Vec<_>>>().map(Counts::Each)
            }
            _ => values::u32(value).map(Counts::One),
        };
        counts
            .map(Some)
            .ok_or_else(|| self.mismatch(key, "an unsigned 32-bit integer or a list of integers", value))
    }

    /// A number under the first of `keys` that is there.
    ///
    /// # Errors
    /// If the value is not a number.
    pub fn f64(&self, keys: &[&str]) -> Result<Option<f64>> {
        self.get(keys)
            .map(|(key, value)| values::number(value).ok_or_else(|| self.mismatch(key, "a number", value)))
            .transpose()
    }

    /// A number under the first of `keys` that is there, rounded to 32 bits.
    ///
    /// # Errors
    /// If the value is not a number, or a finite one that is too large.
    pub fn f32(&self, keys: &[&str]) -> Result<Option<f32>> {
        let Some(number) = self.f64(keys)? else {
            return Ok(None);
        };
        #[allow(clippy::cast_possible_truncation)]
        let rounded = number as f32;
        if rounded.is_finite() || !number.is_finite() {
            return Ok(Some(rounded));
        }
        Err(self.invalid(format!("{}: {number} does not fit 32-bit floats", self.place(&keys.join("/")))))
    }

    /// [`Config::f64`] of a key that must be there.
    ///
    /// # Errors
    /// Also if it is missing or null.
    pub fn require_f64(&self, keys: &[&str]) -> Result<f64> {
        self.f64(keys)?.ok_or_else(|| self.missing(keys, "a number"))
    }

    /// [`Config::f32`] of a key that must be there.
    ///
    /// # Errors
    /// Also if it is missing or null.
    pub fn require_f32(&self, keys: &[&str]) -> Result<f32> {
        self.f32(keys)?.ok_or_else(|| self.missing(keys, "a number"))
    }

    /// The list of strings under `key`, unless that is missing or null.
    ///
    /// # Errors
    /// If the value is anything else.
    pub fn strings(&self, key: &str) -> Result<Option<Vec<&str>>> {
        let Some((_, value)) = self.get(&[key]) else { return Ok(None) };
        let strings = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
        strings.map(Some).ok_or_else(|| self.mismatch(key, "a list of strings", value))
    }

    /// A string under the first of `keys` that is there.
    ///
    /// # Errors
    /// If the value is not a string.
    pub fn str(&self, keys: &[&str]) -> Result<Option<&str>> {
        self.get(keys)
            .map(|(key, value)| value.as_str().ok_or_else(|| self.mismatch(key, "a string", value)))
            .transpose()
    }

    /// A boolean under the first of `keys` that is there.
    ///
    /// # Errors
    /// If the value is not a boolean.
    pub fn bool(&self, keys: &[&str]) -> Result<Option<bool>> {
        self.get(keys)
            .map(|(key, value)| value.as_bool().ok_or_else(|| self.mismatch(key, "a boolean", value)))
            .transpose()
    }

    /// A boolean under `key` that is written if the key is there: of null, Python makes false.
    ///
    /// # Errors
    /// If the value is neither.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.map.get(key) {
            Some(Value::Null) => Ok(Some(false)),
            _ => self.bool(&[key]),
        }
    }

    /// The object under `key`, or an empty one where the key is missing.
    ///
    /// # Errors
    /// If the value is not an object.
    pub fn section(&self, key: &'static str) -> Result<Self> {
        match self.map.get(key) {
            None => Ok(self.with(key, Map::new())),
            Some(Value::Object(map)) => Ok(self.with(key, map.clone())),
            Some(other) => Err(self.mismatch(key, "an object", other)),
        }
    }

    /// [`Config::section`], also empty where the value is null.
    ///
    /// # Errors
    /// If the value is anything but an object or null.
    pub fn optional_section(&self, key: &'static str) -> Result<Self> {
        if self.get(&[key]).is_some() { self.section(key) } else { Ok(self.with(key, Map::new())) }
    }

    pub(super) fn mismatch(&self, key: &str, expected: &str, found: &Value) -> Error {
        self.invalid(format!("{}: expected {expected}, found {}", self.place(key), shown(found)))
    }

    /// Where `key` is, for messages.
    fn place(&self, key: &str) -> String {
        let dot = if self.within.is_empty() || self.within.ends_with('.') { "" } else { "." };
        format!("{}{dot}{key}", self.within)
    }

    pub(super) fn missing(&self, keys: &[&str], expected: &str) -> Error {
        self.invalid(format!("{}: expected {expected}, found nothing", self.place(&keys.join("/"))))
    }
}
