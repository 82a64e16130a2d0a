//! Reads values as trees, which take no more memory than they may.

use super::Reader;
use crate::json::JsonError;
use crate::json::text::Text;
use crate::json::value::{Map, Value};

/// What trees may take in memory, in bytes, unless the caller says otherwise: each byte of a file can take a hundred.
pub(super) const TREES: usize = 32 << 20;
/// What an entry of an object takes besides its key's text and its value, and an allocation besides its content, in
/// bytes.
const ENTRY: usize = size_of::<String>() + 3 * size_of::<usize>();
const ALLOCATION: usize = 16;

/// What trees may take.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    most: usize,
    left: usize,
}

impl Memory {
    /// So many bytes.
    pub fn new(most: usize) -> Self {
        Self { most, left: most }
    }

    fn take(&mut self, bytes: usize) -> Result<(), JsonError> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let most = self.most >> 20;
                Err(JsonError::Limit(format!(
                    "expected values that fit {most} MiB of memory, found more; no model has as many"
                )))
            }
        }
    }
}

/// What is read of a list or an object, with the key of what comes next.
enum Open {
    Array(Vec<Value>),
    Object(Map<String, Value>, String),
}

impl Reader<'_> {
    /// Sets what trees may take from here on; gives what was left until then.
    pub fn replace_memory(&mut self, memory: Memory) -> Memory {
        std::mem::replace(&mut self.memory, memory)
    }

    /// Reads whatever comes, as a tree. Not recursive: strangers' nesting would take as much stack as they like.
    ///
    /// # Errors
    /// If it is not JSON, or too much.
    pub fn value(&mut self) -> Result<Value, JsonError> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut value = match self.peek() {
                Some(b'{') if self.open(b'}')? => {
                    self.memory.take(ALLOCATION)?;
                    open.push(Open::Object(Map::new(), self.tree_key()?));
                    continue;
                }
                Some(b'[') if self.open(b']')? => {
                    self.memory.take(ALLOCATION)?;
                    open.push(Open::Array(Vec::new()));
                    continue;
                }
                // An empty one, which is read.
                Some(b'{') => Value::Object(Map::new()),
                Some(b'[') => Value::Array(Vec::new()),
                Some(b'"') => match self.text()? {
                    Text::Whole(text) => {
                        self.memory.take(ALLOCATION + text.len())?;
                        Value::String(text.into_owned())
                    }
                    Text::Unpaired(_) => Value::Unpaired,
                },
                _ => self.scalar()?,
            };
            loop {
                value = match open.pop() {
                    None => return Ok(value),
                    Some(Open::Array(mut items)) => {
                        self.memory.take(size_of::<Value>())?;
                        items.push(value);
                        if self.goes_on(b']')? {
                            open.push(Open::Array(items));
                            break;
                        }
                        Value::Array(items)
                    }
                    Some(Open::Object(mut map, key)) => {
                        map.insert(key, value);
                        if self.goes_on(b'}')? {
                            open.push(Open::Object(map, self.tree_key()?));
                            break;
                        }
                        Value::Object(map)
                    }
                };
            }
        }
    }

    /// Reads an object as a tree, of which the value of `key` may take other `memory` than the rest.
    ///
    /// # Errors
    /// As [`Reader::value`]; also if there is something else.
    pub fn object_with(&mut self, key: &str, memory: Memory) -> Result<Map<String, Value>, JsonError> {
        if self.peek() != Some(b'{') {
            let found = self.value()?;
            return Err(JsonError::Unexpected(format!("expected a JSON object, found {}", found.kind())));
        }
        let mut map = Map::new();
        self.object(|reader, found| {
            let found = found.lossy().into_owned();
            reader.memory.take(size_of::<Value>() + ENTRY + ALLOCATION + found.len())?;
            let value = if found == key { reader.value_within(memory)? } else { reader.value()? };
            map.insert(found, value);
            Ok(())
        })?;
        Ok(map)
    }

    /// [`Reader::value`] that may take other `memory` than the rest.
    ///
    /// # Errors
    /// As [`Reader::value`].
    pub fn value_within(&mut self, memory: Memory) -> Result<Value, JsonError> {
        let kept = self.replace_memory(memory);
        let value = self.value();
        self.replace_memory(kept);
        value
    }

    /// Reads the key of an entry of a tree.
    fn tree_key(&mut self) -> Result<String, JsonError> {
        let key = self.key()?.lossy().into_owned();
        self.memory.take(size_of::<Value>() + ENTRY + ALLOCATION + key.len())?;
        Ok(key)
    }
}
