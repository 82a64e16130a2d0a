//! JSON as Python's `json.load` reads it, for every file of a model but safetensors headers.
//!
//! The reference is a Python program, so what a file holds is what Python sees in it: `NaN` and `Infinity` are
//! numbers, numbers may have any size, text may hold halves of surrogate pairs, and the last of several equal keys
//! wins. `serde_json` refuses all of these or sees something else. Knows nothing of what files mean.

mod deserialize;
mod error;
mod gap;
mod reader;
mod text;
mod value;

pub use deserialize::Mismatch;
pub use error::JsonError;
pub use reader::{Gaps, Memory, Reader};
pub use text::Text;
pub(crate) use value::json;
pub use value::{Map, Value};

/// Members of an object by name.
pub type Object = Map<String, Value>;

/// Python refuses to convert integers with more decimal digits than this.
pub const MAX_INT_DIGITS: usize = 4300;

/// Parses a whole document.
///
/// # Errors
/// For what Python refuses, nesting deeper than it bears, and more values than any model's files hold.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut reader = Reader::new(bytes)?;
    let value = reader.value()?;
    reader.end()?;
    Ok(value)
}

/// [`parse`] where the tree may take that much memory.
///
/// # Errors
/// As [`parse`].
pub fn parse_within(bytes: &[u8], memory: Memory) -> Result<Value, JsonError> {
    let mut reader = Reader::new(bytes)?;
    let value = reader.value_within(memory)?;
    reader.end()?;
    Ok(value)
}

/// Parses a whole document, an object, of which the value of `key` may take other `memory` than the rest.
///
/// # Errors
/// As [`parse_object`].
pub fn parse_object_with(bytes: &[u8], key: &str, memory: Memory) -> Result<Map<String, Value>, JsonError> {
    let mut reader = Reader::new(bytes)?;
    let map = reader.object_with(key, memory)?;
    reader.end()?;
    Ok(map)
}

/// Parses a whole document that must be an object.
///
/// # Errors
/// As [`parse`], and if it is something else.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    match parse(bytes)? {
        Value::Object(map) => Ok(map),
        other => Err(JsonError::Unexpected(format!("expected a JSON object, found {}", other.kind()))),
    }
}

#[cfg(test)]
mod tests;
