//! JSON of strangers as a tree that has a limit: each byte of a file can take a hundred in memory.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What an entry of an object takes besides its key's text and its value, and an allocation besides its content,
/// in bytes.
const ENTRY: usize = size_of::<String>() + 3 * size_of::<usize>();
const ALLOCATION: usize = 16;

/// Parses `json` to a tree of at most `most` bytes.
///
/// # Errors
/// If it is no JSON, or takes more.
pub fn parse(json: &[u8], most: usize) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = Budget::new(most).tree().deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Parses `json`, an object, to a tree of at most `most` bytes, besides the value of one key, for which there are
/// as many bytes as that says.
///
/// # Errors
/// As [`parse`]; also if it is something else.
pub fn parse_object(
    json: &[u8],
    most: usize,
    (key, more): (&str, usize),
) -> serde_json::Result<Map<String, Value>> {
    let (most, more) = (Budget::new(most), Budget::new(more));
    let object = Object { budget: &most, key, more: &more };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let map = serde::Deserializer::deserialize_map(&mut deserializer, object)?;
    deserializer.end()?;
    Ok(map)
}

/// An object of which one value has a budget of its own.
struct Object<'a> {
    budget: &'a Budget,
    key: &'a str,
    more: &'a Budget,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.budget.entry(&key)?;
            let budget = if key == self.key { self.more } else { self.budget };
            map.insert(key, entries.next_value_seed(budget.tree())?);
        }
        Ok(map)
    }
}

/// Memory for one tree or several.
pub struct Budget {
    most: usize,
    left: Cell<usize>,
}

impl Budget {
    /// One of `most` bytes.
    pub fn new(most: usize) -> Self {
        Self { most, left: Cell::new(most) }
    }

    /// Parses a tree.
    pub fn tree(&self) -> Tree<'_> {
        Tree(self)
    }

    /// Takes what an entry of an object needs, its value apart.
    ///
    /// # Errors
    /// If that is more than is left.
    pub fn entry<E: Error>(&self, key: &str) -> Result<(), E> {
        self.take(size_of::<Value>() + ENTRY + ALLOCATION + key.len())
    }

    fn take<E: Error>(&self, bytes: usize) -> Result<(), E> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                let most = self.most >> 20;
                Err(E::custom(format!(
                    "more values than can be real: expected what fits {most} MiB of memory"
                )))
            }
        }
    }
}

/// Parses any JSON to a tree.
#[derive(Clone, Copy)]
pub struct Tree<'b>(&'b Budget);

impl Tree<'_> {
    fn text<E: Error>(self, len: usize) -> Result<(), E> {
        self.0.take(len + ALLOCATION)
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.text(text.len())?;
        Ok(text.into())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        self.text(text.len())?;
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        self.0.take(ALLOCATION)?;
        while let Some(item) = items.next_element_seed(self)? {
            self.0.take(size_of::<Value>())?;
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        self.0.take(ALLOCATION)?;
        while let Some(key) = entries.next_key::<String>()? {
            self.0.entry(&key)?;
            map.insert(key, entries.next_value_seed(self)?);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_those_of_serde_json() {
        for json in [
            "null",
            " [1, -1, 18446744073709551615, 1.5, 1e300, true, false, \"\\u00e9\", {}, []] ",
            r#"{"b": {"x": [null]}, "a": "c", "b": 2}"#,
        ] {
            let expected: Value = serde_json::from_str(json).unwrap();
            let found = parse(json.as_bytes(), 1 << 20).unwrap();
            assert_eq!(found.to_string(), expected.to_string());
        }
        for json in ["", "{", "[1,]", "1 2", "\"\u{1}\"", "{\"a\" 1}", "1e999"] {
            let expected = serde_json::from_str::<Value>(json).unwrap_err().to_string();
            assert_eq!(parse(json.as_bytes(), 1 << 20).unwrap_err().to_string(), expected);
        }
        assert!(parse("[".repeat(1000).as_bytes(), 1 << 20).is_err());
    }

    #[test]
    fn trees_stay_within_their_limits() {
        let many = |item: &str| format!("[{}0]", format!("{item},").repeat(20_000));
        for json in [many("0"), many("[]"), many("{}"), many("\"x\""), many("{\"a\":0}")] {
            assert!(parse(json.as_bytes(), 1 << 20).unwrap_err().to_string().contains("1 MiB of memory"));
            assert!(parse(json.as_bytes(), 16 << 20).is_ok());
        }
        let long = format!("\"{}\"", "x".repeat(1 << 20));
        assert!(parse(long.as_bytes(), 1 << 20).is_err());
        let object = |json: &str| parse_object(json.as_bytes(), 1 << 10, ("a", 1 << 20));
        assert_eq!(object("{}").unwrap(), Map::new());
        let list = format!("[{}0]", "0,".repeat(1000));
        assert!(object(&format!(r#"{{"b": 0, "a": {list}}}"#)).is_ok());
        for json in
            ["[]", "", "{} 1", &format!(r#"{{"a": 0, "b": {list}}}"#), &format!(r#"{{"a": {}}}"#, many("0"))]
        {
            assert!(object(json).is_err());
        }
    }
}
