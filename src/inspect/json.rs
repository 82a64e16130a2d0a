//! An inspection as JSON: the same keys whatever the format, arrays in full. It is written as it is made: a tree
//! of it would be many times as large as the file's header.

use std::fmt::Display;
use std::io::{self, Write};
use std::num::NonZeroU64;

use serde::{Serialize, Serializer};

use super::{InspectedFile, InspectedTensor, Inspection};
use crate::gguf::{KeyValues, Value};

impl Inspection {
    /// Writes `{"format", "block", "files": [{"path", "bytes", "data_start", "alignment"?, "missing_padding"?}], "metadata",
    /// "tensors": [{"name", "type", "shape", "file", "offset", "bytes", "phase"}]}`.
    ///
    /// A tensor's `file` is the `path` of its file, `phase` is `offset` modulo `block`, `bytes` is null
    /// where the type is not known. With digests, the document, files and tensors have `sha256`. Bytes that are not UTF-8 come out as U+FFFD, numbers that JSON does
    /// not have as strings.
    pub fn write_json(&self, mut out: impl Write) -> io::Result<()> {
        let paths: Vec<_> = self.files.iter().map(|f| f.path.to_string_lossy()).collect();
        let document = Document {
            format: self.format.name(),
            block: self.block,
            files: Each(|| self.files.iter().zip(&paths).map(|(f, path)| File::new(f, path))),
            sha256: self.sha256.as_deref(),
            metadata: Metadata(&self.metadata),
            tensors: Each(|| {
                self.tensors.iter().map(|t| Tensor::new(t, paths.get(t.file).map(AsRef::as_ref), self.block))
            }),
        };
        serde_json::to_writer_pretty(&mut out, &document)?;
        writeln!(out)
    }
}

#[derive(Serialize)]
struct Document<'a, F, T> {
    format: &'static str,
    block: NonZeroU64,
    files: F,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
    metadata: Metadata<'a>,
    tensors: T,
}

/// A list whose items are made one after the other.
struct Each<F>(F);

impl<T: Serialize, I: Iterator<Item = T>, F: Fn() -> I> Serialize for Each<F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq((self.0)())
    }
}

#[derive(Serialize)]
struct File<'a> {
    path: &'a str,
    bytes: u64,
    data_start: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    alignment: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_padding: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
}

impl<'a> File<'a> {
    fn new(file: &'a InspectedFile, path: &'a str) -> Self {
        let InspectedFile { bytes, data_start, alignment, missing_padding, .. } = *file;
        let missing_padding = Some(missing_padding).filter(|missing| *missing > 0);
        Self { path, bytes, data_start, alignment, missing_padding, sha256: file.sha256.as_deref() }
    }
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    shape: &'a [u64],
    file: Option<&'a str>,
    offset: u64,
    bytes: Option<u64>,
    phase: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
}

impl<'a> Tensor<'a> {
    fn new(tensor: &'a InspectedTensor, file: Option<&'a str>, block: NonZeroU64) -> Self {
        let InspectedTensor { name, kind, shape, offset, bytes, sha256, .. } = tensor;
        let (phase, sha256) = (*offset % block, sha256.as_deref());
        Self { name, kind, shape, file, offset: *offset, bytes: *bytes, phase, sha256 }
    }
}

/// A value as it is shown.
pub(crate) fn value_json(value: &Value) -> serde_json::Value {
    serde_json::to_value(Shown(value)).unwrap_or_default()
}

struct Metadata<'a>(&'a KeyValues);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(key, value)| (key, Shown(value))))
    }
}

struct Shown<'a>(&'a Value);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::U8(v) => v.serialize(to),
            Value::I8(v) => v.serialize(to),
            Value::U16(v) => v.serialize(to),
            Value::I16(v) => v.serialize(to),
            Value::U32(v) => v.serialize(to),
            Value::I32(v) => v.serialize(to),
            Value::U64(v) => v.serialize(to),
            Value::I64(v) => v.serialize(to),
            Value::Bool(v) => v.serialize(to),
            Value::F32(v) => Number(*v).serialize(to),
            Value::F64(v) => Number(*v).serialize(to),
            Value::String(v) => String::from_utf8_lossy(v).serialize(to),
            Value::U8s(v) => v.serialize(to),
            Value::I8s(v) => v.serialize(to),
            Value::U16s(v) => v.serialize(to),
            Value::I16s(v) => v.serialize(to),
            Value::U32s(v) => v.serialize(to),
            Value::I32s(v) => v.serialize(to),
            Value::U64s(v) => v.serialize(to),
            Value::I64s(v) => v.serialize(to),
            Value::Bools(v) => v.serialize(to),
            Value::F32s(v) => to.collect_seq(v.iter().map(|v| Number(*v))),
            Value::F64s(v) => to.collect_seq(v.iter().map(|v| Number(*v))),
            Value::Strings(v) => to.collect_seq(v.iter().map(String::from_utf8_lossy)),
        }
    }
}

/// A number that JSON may not have. The others come out as the shortest decimal that is this number of its own
/// type: 1e-6, and not 9.99999997e-7, for an `f32`.
struct Number<T>(T);

impl<T: Copy + Into<f64> + Display + Serialize> Serialize for Number<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.into().is_finite() {
            true => self.0.serialize(to),
            false => to.collect_str(&self.0),
        }
    }
}
