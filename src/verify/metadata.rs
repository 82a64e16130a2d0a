//! Key-values of a file, held against those that its model gives.

use std::path::PathBuf;

use super::Difference;
use crate::gguf::{Gguf, KeyValues, LAYOUT_KEYS, Value};
use crate::inspect::value_text;

/// What differs, key by key. The order of keys means nothing.
pub fn differences(expected: &KeyValues, files: &[(PathBuf, Gguf)]) -> Vec<Difference> {
    // Readers take metadata from the first file of a set. Others need have none, but nothing else either.
    let Some(((_, first), others)) = files.split_first() else { return Vec::new() };
    let found = &first.metadata;
    let mut differences = Vec::new();
    let mut add = |key: &str, expected, found| {
        differences.push(Difference::Key {
            key: key.to_owned(),
            expected: show(expected),
            found: show(found),
        });
    };
    for (key, value) in expected.iter().filter(|(key, _)| !LAYOUT_KEYS.contains(key)) {
        match found.get(key) {
            Some(other) if value.has_bits_of(other) => {}
            other => add(key, Some(value), other),
        }
    }
    for (key, value) in found.iter().filter(|(key, _)| !LAYOUT_KEYS.contains(key)) {
        if expected.get(key).is_none() {
            add(key, None, Some(value));
        }
    }
    let more = others.iter().flat_map(|(_, gguf)| gguf.metadata.iter());
    for (key, value) in more.filter(|(key, _)| !LAYOUT_KEYS.contains(key)) {
        let expected = expected.get(key);
        if expected.is_none_or(|expected| !expected.has_bits_of(value)) {
            add(key, expected, Some(value));
        }
    }
    differences
}

/// Type and value, as `inspect` and `diff` show them.
fn show(value: Option<&Value>) -> String {
    value.map_or("nothing".to_owned(), |value| {
        let (kind, text) = value_text(value);
        format!("{kind} {text}")
    })
}
