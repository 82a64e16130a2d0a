//! Encodes everything in a GGUF file that comes before the tensor data (format version 3).

use super::value::{KeyValues, Value};
use crate::dtype::GgmlType;
use crate::ggml_types::TypeInfo;

/// What a header says about one tensor, apart from its offset.
#[derive(Clone, Debug)]
pub struct TensorInfo {
    /// Name, as llama.cpp looks it up.
    pub name: String,
    /// Dimensions, outermost first; written reversed.
    pub shape: Vec<u64>,
    /// ggml's number for the type, which need not be one that is known here.
    pub type_id: u32,
    /// Bytes of data, without padding.
    pub bytes: u64,
}

impl TensorInfo {
    /// A tensor of a type that can be written.
    pub fn new(name: impl Into<String>, shape: &[u64], ggml_type: GgmlType) -> Self {
        let bytes = ggml_type.bytes(shape.iter().product());
        Self { name: name.into(), shape: shape.to_vec(), type_id: ggml_type as u32, bytes }
    }

    /// What the type is called.
    pub fn type_name(&self) -> &'static str {
        TypeInfo::of(self.type_id).map_or("unknown", |known| known.name)
    }
}

/// Magic, counts, key-values and tensor infos: the file up to, but without, the padding before the
/// data section. Offsets are those readers insist on: each the sum of the padded sizes before it.
pub fn encode(metadata: &KeyValues, tensors: &[TensorInfo], alignment: u64) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(b"GGUF");
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata.iter() {
        put_string(&mut out, key.as_bytes());
        put_value(&mut out, value);
    }
    let mut offset = 0u64;
    for tensor in tensors {
        put_string(&mut out, tensor.name.as_bytes());
        out.extend((tensor.shape.len() as u32).to_le_bytes());
        for dim in tensor.shape.iter().rev() {
            out.extend(dim.to_le_bytes());
        }
        out.extend(tensor.type_id.to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset += tensor.bytes.next_multiple_of(alignment);
    }
    out
}

/// Length in bytes of what [`encode`] makes: much faster, since vocabularies are long.
pub fn encoded_len(metadata: &KeyValues, tensors: &[TensorInfo]) -> u64 {
    let string = |text: &str| 8 + text.len();
    let values = metadata.iter().map(|(key, value)| string(key) + 4 + value_len(value));
    let infos = tensors.iter().map(|tensor| string(&tensor.name) + 4 + 8 * tensor.shape.len() + 4 + 8);
    (4 + 4 + 8 + 8 + values.sum::<usize>() + infos.sum::<usize>()) as u64
}

/// Length in bytes of a value without its type tag.
fn value_len(value: &Value) -> usize {
    let array = |count: usize, size: usize| 4 + 8 + count * size;
    match value {
        Value::U8(_) | Value::I8(_) | Value::Bool(_) => 1,
        Value::U16(_) | Value::I16(_) => 2,
        Value::U32(_) | Value::I32(_) | Value::F32(_) => 4,
        Value::U64(_) | Value::I64(_) | Value::F64(_) => 8,
        Value::String(v) => 8 + v.len(),
        Value::Strings(v) => array(v.encoded().len(), 1),
        Value::U8s(v) => array(v.len(), 1),
        Value::I8s(v) => array(v.len(), 1),
        Value::Bools(v) => array(v.len(), 1),
        Value::U16s(v) => array(v.len(), 2),
        Value::I16s(v) => array(v.len(), 2),
        Value::U32s(v) => array(v.len(), 4),
        Value::I32s(v) => array(v.len(), 4),
        Value::F32s(v) => array(v.len(), 4),
        Value::U64s(v) => array(v.len(), 8),
        Value::I64s(v) => array(v.len(), 8),
        Value::F64s(v) => array(v.len(), 8),
    }
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

/// A value with its type tag; the numbers are `gguf_metadata_value_type` of the format's description.
fn put_value(out: &mut Vec<u8>, value: &Value) {
    let scalar = |out: &mut Vec<u8>, tag: u32, bytes: &[u8]| {
        out.extend(tag.to_le_bytes());
        out.extend(bytes);
    };
    match value {
        Value::U8(v) => scalar(out, 0, &v.to_le_bytes()),
        Value::I8(v) => scalar(out, 1, &v.to_le_bytes()),
        Value::U16(v) => scalar(out, 2, &v.to_le_bytes()),
        Value::I16(v) => scalar(out, 3, &v.to_le_bytes()),
        Value::U32(v) => scalar(out, 4, &v.to_le_bytes()),
        Value::I32(v) => scalar(out, 5, &v.to_le_bytes()),
        Value::F32(v) => scalar(out, 6, &v.to_le_bytes()),
        Value::Bool(v) => scalar(out, 7, &[u8::from(*v)]),
        Value::String(v) => {
            out.extend(8u32.to_le_bytes());
            put_string(out, v);
        }
        Value::U64(v) => scalar(out, 10, &v.to_le_bytes()),
        Value::I64(v) => scalar(out, 11, &v.to_le_bytes()),
        Value::F64(v) => scalar(out, 12, &v.to_le_bytes()),
        Value::U8s(v) => array(out, 0, v, |v| v.to_le_bytes()),
        Value::I8s(v) => array(out, 1, v, |v| v.to_le_bytes()),
        Value::U16s(v) => array(out, 2, v, |v| v.to_le_bytes()),
        Value::I16s(v) => array(out, 3, v, |v| v.to_le_bytes()),
        Value::U32s(v) => array(out, 4, v, |v| v.to_le_bytes()),
        Value::I32s(v) => array(out, 5, v, |v| v.to_le_bytes()),
        Value::F32s(v) => array(out, 6, v, |v| v.to_le_bytes()),
        Value::Bools(v) => array(out, 7, v, |v| [u8::from(*v)]),
        Value::Strings(v) => {
            array_start(out, 8, v.len());
            out.extend(v.encoded());
        }
        Value::U64s(v) => array(out, 10, v, |v| v.to_le_bytes()),
        Value::I64s(v) => array(out, 11, v, |v| v.to_le_bytes()),
        Value::F64s(v) => array(out, 12, v, |v| v.to_le_bytes()),
    }
}

fn array_start(out: &mut Vec<u8>, item: u32, len: usize) {
    const ARRAY: u32 = 9;
    out.extend(ARRAY.to_le_bytes());
    out.extend(item.to_le_bytes());
    out.extend((len as u64).to_le_bytes());
}

fn array<T, const N: usize>(out: &mut Vec<u8>, item: u32, values: &[T], bytes: fn(&T) -> [u8; N]) {
    array_start(out, item, values.len());
    values.iter().for_each(|v| out.extend(bytes(v)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_known_without_encoding() {
        let values = [
            Value::U8(1),
            Value::I8(1),
            Value::U16(1),
            Value::I16(1),
            Value::U32(1),
            Value::I32(1),
            Value::F32(1.0),
            Value::Bool(true),
            Value::String(b"four".to_vec()),
            Value::U64(1),
            Value::I64(1),
            Value::F64(1.0),
            Value::Strings(["a", "", "four"].into_iter().collect()),
            Value::I32s(vec![1, 2]),
            Value::U32s(vec![1, 2]),
            Value::F32s(vec![]),
            Value::Bools(vec![true, false, true]),
            Value::U8s(vec![1, 2]),
            Value::I8s(vec![1, 2]),
            Value::U16s(vec![1, 2]),
            Value::I16s(vec![1, 2]),
            Value::U64s(vec![1, 2]),
            Value::I64s(vec![1, 2]),
            Value::F64s(vec![1.0]),
        ];
        for value in &values {
            let metadata: KeyValues = [("a key".to_owned(), value.clone())].into_iter().collect();
            assert_eq!(encoded_len(&metadata, &[]), encode(&metadata, &[], 32).len() as u64, "{value:?}");
        }
        let metadata = values.into_iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect();
        let tensors = [("a", vec![]), ("tensor", vec![2, 3]), ("of three", vec![1, 2, 3])];
        let tensors = tensors.map(|(name, shape)| TensorInfo::new(name, &shape, GgmlType::F32));
        assert_eq!(encoded_len(&metadata, &tensors), encode(&metadata, &tensors, 32).len() as u64);
    }
}
