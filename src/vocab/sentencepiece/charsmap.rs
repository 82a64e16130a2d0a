//! Checks the normalization table of a SentencePiece model, which the library does on loading.
//!
//! The table is a little-endian u32, the length of a trie in bytes; the trie, a Darts double array
//! of u32 units; and the NUL-terminated replacements that its leaves point into.

/// Whether the library accepts `blob`; says what is wrong if not. No table at all is fine.
pub fn check(blob: &[u8]) -> Result<(), &'static str> {
    if blob.is_empty() {
        return Ok(());
    }
    let (len, rest) = blob.split_first_chunk().ok_or("has no length")?;
    let len = u32::from_le_bytes(*len) as usize;
    if len >= rest.len() {
        return Err("is cut short");
    }
    if len == 0 || !len.is_multiple_of(1024) {
        return Err("has a trie whose length is not a multiple of 1024");
    }
    let (trie, replacements) = rest.split_at(len);
    if replacements.last() != Some(&0) {
        return Err("does not end in NUL");
    }
    let units: Vec<u32> = trie.as_chunks().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
    if is_sound(&units, replacements.len()) {
        Ok(())
    } else {
        Err("has a trie that points outside of itself")
    }
}

/// Whether every node's children and every leaf's value lie within bounds.
fn is_sound(units: &[u32], values: usize) -> bool {
    let is_leaf = |unit: u32| unit >> 31 == 1;
    let offset = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
    let has_leaf = |unit: u32| (unit >> 8) & 1 == 1;

    let Some(&root) = units.first() else { return false };
    if is_leaf(root) || root & 0xff != 0 || has_leaf(root) || offset(root) == 0 {
        return false;
    }
    units.iter().enumerate().all(|(at, &unit)| {
        if is_leaf(unit) {
            return ((unit & 0x7fff_ffff) as usize) < values;
        }
        let children = at ^ offset(unit);
        (children | 0xff) < units.len() && (!has_leaf(unit) || is_leaf(units[children]))
    })
}
