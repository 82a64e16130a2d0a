//! Bytes as people and programs write them: hexadecimal digits.

/// Two small digits for each of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
