//! An inspection as JSON: the same keys whatever the format, arrays in full.

use serde_json::{Value as Json, json};

use super::Inspection;
use crate::gguf::Value;

impl Inspection {
    /// `{"format", "block", "files": [{"path", "bytes", "data_start", "alignment"?}], "metadata",
    /// "tensors": [{"name", "type", "shape", "file", "offset", "bytes", "phase"}]}`.
    ///
    /// A tensor's `file` is the `path` of its file, `phase` is `offset` modulo `block`, `bytes` is null
    /// where the type is not known. Bytes that are not UTF-8 come out as U+FFFD, numbers that JSON does
    /// not have as strings.
    pub fn to_json(&self) -> Json {
        let files: Vec<Json> = (self.files.iter())
            .map(|f| {
                let path = f.path.to_string_lossy();
                let mut file = json!({"path": path, "bytes": f.bytes, "data_start": f.data_start});
                if let Some(alignment) = f.alignment {
                    file["alignment"] = alignment.into();
                }
                file
            })
            .collect();
        let tensors: Vec<Json> = (self.tensors.iter())
            .map(|t| {
                json!({
                    "name": t.name,
                    "type": t.kind,
                    "shape": t.shape,
                    "file": self.files.get(t.file).map(|f| f.path.to_string_lossy()),
                    "offset": t.offset,
                    "bytes": t.bytes,
                    "phase": t.offset % self.block,
                })
            })
            .collect();
        let metadata: serde_json::Map<String, Json> =
            self.metadata.iter().map(|(key, value)| (key.to_owned(), value_json(value))).collect();
        json!({
            "format": self.format.name(),
            "block": self.block,
            "files": files,
            "metadata": metadata,
            "tensors": tensors,
        })
    }
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::U8(v) => json!(v),
        Value::I8(v) => json!(v),
        Value::U16(v) => json!(v),
        Value::I16(v) => json!(v),
        Value::U32(v) => json!(v),
        Value::I32(v) => json!(v),
        Value::U64(v) => json!(v),
        Value::I64(v) => json!(v),
        Value::Bool(v) => json!(v),
        Value::F32(v) => f32_json(*v),
        Value::F64(v) => f64_json(*v),
        Value::String(v) => string_json(v),
        Value::U8s(v) => json!(v),
        Value::I8s(v) => json!(v),
        Value::U16s(v) => json!(v),
        Value::I16s(v) => json!(v),
        Value::U32s(v) => json!(v),
        Value::I32s(v) => json!(v),
        Value::U64s(v) => json!(v),
        Value::I64s(v) => json!(v),
        Value::Bools(v) => json!(v),
        Value::F32s(v) => v.iter().copied().map(f32_json).collect(),
        Value::F64s(v) => v.iter().copied().map(f64_json).collect(),
        Value::Strings(v) => v.iter().map(string_json).collect(),
    }
}

fn string_json(bytes: &[u8]) -> Json {
    String::from_utf8_lossy(bytes).into()
}

fn f64_json(v: f64) -> Json {
    serde_json::Number::from_f64(v).map_or_else(|| v.to_string().into(), Json::Number)
}

/// The shortest decimal that is this `f32`, so that 1e-6 does not come out as 9.99999997e-7.
fn f32_json(v: f32) -> Json {
    f64_json(v.to_string().parse().unwrap_or(f64::from(v)))
}
