//! Metadata of a GGUF file: an ordered map from key to typed value.

use indexmap::IndexMap;

use super::Strings;

/// A metadata value. Strings are byte strings: token texts need not be UTF-8.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(Vec<u8>),
    U64(u64),
    I64(i64),
    F64(f64),
    Strings(Strings),
    I32s(Vec<i32>),
    U32s(Vec<u32>),
    F32s(Vec<f32>),
    Bools(Vec<bool>),
    U8s(Vec<u8>),
    I8s(Vec<i8>),
    U16s(Vec<u16>),
    I16s(Vec<i16>),
    U64s(Vec<u64>),
    I64s(Vec<i64>),
    F64s(Vec<f64>),
}

impl Value {
    /// Equality of bits: NaNs, too.
    pub fn has_bits_of(&self, other: &Self) -> bool {
        let equal = |a: &[f32], b: &[f32]| a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits()));
        let equal64 = |a: &[f64], b: &[f64]| a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits()));
        match (self, other) {
            (Self::F32(a), Self::F32(b)) => equal(&[*a], &[*b]),
            (Self::F32s(a), Self::F32s(b)) => equal(a, b),
            (Self::F64(a), Self::F64(b)) => equal64(&[*a], &[*b]),
            (Self::F64s(a), Self::F64s(b)) => equal64(a, b),
            _ => self == other,
        }
    }
}

/// Metadata in the order it will be written. Setting a key again keeps its place, as a Python
/// dict does; the reference depends on that.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyValues {
    entries: IndexMap<String, Value>,
}

impl KeyValues {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key`, keeping its place if it was there.
    pub fn set(&mut self, key: impl Into<String>, value: Value) {
        self.entries.insert(key.into(), value);
    }

    /// Sets a `u32` key.
    pub fn set_u32(&mut self, key: impl Into<String>, value: u32) {
        self.set(key, Value::U32(value));
    }

    /// Sets a `f32` key.
    pub fn set_f32(&mut self, key: impl Into<String>, value: f32) {
        self.set(key, Value::F32(value));
    }

    /// Sets a boolean key.
    pub fn set_bool(&mut self, key: impl Into<String>, value: bool) {
        self.set(key, Value::Bool(value));
    }

    /// Sets a string key, unless the string is empty: the reference's writer leaves empty strings out.
    pub fn set_string(&mut self, key: impl Into<String>, value: impl AsRef<[u8]>) {
        if !value.as_ref().is_empty() {
            self.set(key, Value::String(value.as_ref().to_vec()));
        }
    }

    /// Sets an array of strings, unless it is empty: the reference's writer leaves empty arrays out.
    pub fn set_strings<S: AsRef<[u8]>>(
        &mut self,
        key: impl Into<String>,
        values: impl IntoIterator<Item = S>,
    ) {
        self.set_string_list(key, values.into_iter().collect());
    }

    /// As [`KeyValues::set_strings`].
    pub fn set_string_list(&mut self, key: impl Into<String>, values: Strings) {
        if !values.is_empty() {
            self.set(key, Value::Strings(values));
        }
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    /// Removes `key`; the others keep their order.
    pub fn remove(&mut self, key: &str) {
        self.entries.shift_remove(key);
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// Appends all of `other`, replacing keys that are there already in place.
    pub fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }
}

impl FromIterator<(String, Value)> for KeyValues {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

impl IntoIterator for KeyValues {
    type Item = (String, Value);
    type IntoIter = indexmap::map::IntoIter<String, Value>;

    /// Keys and values in order.
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}
