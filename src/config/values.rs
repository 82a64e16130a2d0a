//! What Python sees in a JSON value, and the few questions that all of a class's rules ask.

use crate::json::Value;

use super::class::Class;

/// A configuration on its way from the file to `to_dict()`.
pub(super) use crate::json::Object;

/// Why transformers would refuse the file.
pub(super) type Refusal = String;

/// Python's truth value.
pub(crate) fn truthy(value: &Value) -> bool {
    value.is_truthy()
}

/// A value Python would calculate with.
pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_bool().map(|b| f64::from(u8::from(b))).or_else(|| value.as_f64())
}

/// An unsigned 32-bit integer. Booleans are integers.
pub(super) fn u32(value: &Value) -> Option<u32> {
    value.as_bool().map(u32::from).or_else(|| u32::try_from(value.as_u64()?).ok())
}

/// A signed 32-bit integer.
pub(super) fn i32(value: &Value) -> Option<i32> {
    i32::try_from(value.as_i64()?).ok()
}

/// Whether a key is there and null.
pub(super) fn null(config: &Object, key: &str) -> bool {
    config.get(key).is_some_and(Value::is_null)
}

/// A key's value, an integer.
pub(super) fn int(config: &Object, key: &str) -> Result<i64, Refusal> {
    config.get(key).and_then(Value::as_i64).ok_or(format!("{key} is no integer, or out of range"))
}

/// The name under which a class keeps an attribute.
pub(super) fn stored_as<'a>(class: &'a Class, name: &'a str) -> &'a str {
    class.aliases.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, stored)| stored)
}
