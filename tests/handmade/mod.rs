//! Builds files byte by byte from the formats' descriptions, right or wrong ones.

// Each test uses a part of this.
#![allow(dead_code)]

use std::fs;
use std::path::Path;

use ggraft::source::ModelDir;

/// A safetensors file with this header text and this much data.
pub fn safetensors(header: impl AsRef<[u8]>, data_len: usize) -> Vec<u8> {
    let header = header.as_ref();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header);
    bytes.extend((0..data_len).map(|i| i as u8));
    bytes
}

/// Writes `dir/name`, making directories as needed.
pub fn put(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The index that places each tensor in a file.
pub fn index(weight_map: &[(&str, &str)]) -> String {
    let entries: Vec<String> = weight_map.iter().map(|(t, f)| format!("{t:?}:{f:?}")).collect();
    format!(r#"{{"metadata":{{"total_size":1}},"weight_map":{{{}}}}}"#, entries.join(","))
}

/// A GGUF file being written by hand.
#[derive(Clone, Default)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// Magic, version and counts.
    pub fn start(version: u32, tensors: u64, keys: u64) -> Self {
        Self(b"GGUF".to_vec()).u32(version).u64(tensors).u64(keys)
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn u32(self, n: u32) -> Self {
        self.raw(&n.to_le_bytes())
    }

    pub fn u64(self, n: u64) -> Self {
        self.raw(&n.to_le_bytes())
    }

    pub fn string(self, s: &str) -> Self {
        self.u64(s.len() as u64).raw(s.as_bytes())
    }

    /// A key with a scalar value: type number and bytes.
    pub fn key(self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.string(key).u32(kind).raw(value)
    }

    /// A key with an array value: number of the item type, length, bytes of the items.
    pub fn array(self, key: &str, kind: u32, len: u64, items: &[u8]) -> Self {
        self.string(key).u32(9).u32(kind).u64(len).raw(items)
    }

    /// A tensor info; `dims` innermost first.
    pub fn tensor(self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Self {
        let start = self.string(name).u32(dims.len() as u32);
        dims.iter().fold(start, |bytes, dim| bytes.u64(*dim)).u32(kind).u64(offset)
    }

    /// Pads to the alignment and appends `data` zero bytes.
    pub fn data(mut self, alignment: usize, data: usize) -> Self {
        let end = self.0.len().next_multiple_of(alignment) + data;
        self.0.resize(end, 0);
        self
    }
}

/// The model in `dir`.
pub fn model_at(dir: &Path) -> ModelDir {
    ModelDir::open(dir).unwrap()
}
