//! Builds safetensors files by the format's description, right or wrong ones.

use std::fs;
use std::path::Path;

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
