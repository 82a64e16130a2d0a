//! A list of strings in one piece of memory: vocabularies have half a million of them.

use std::fmt;
use std::sync::Arc;

/// Byte strings, kept as a GGUF file holds them: each with its length in bytes (64 bits, little-endian)
/// in front. Clones share the memory.
#[derive(Clone, Default, PartialEq)]
pub struct Strings {
    encoded: Arc<Vec<u8>>,
    len: usize,
}

impl Strings {
    /// No strings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a string.
    pub fn push(&mut self, string: &[u8]) {
        self.push_joined(&[string]);
    }

    /// Appends the string that `parts` make together.
    pub fn push_joined(&mut self, parts: &[&[u8]]) {
        let encoded = Arc::make_mut(&mut self.encoded);
        let len: usize = parts.iter().map(|part| part.len()).sum();
        encoded.extend((len as u64).to_le_bytes());
        parts.iter().for_each(|part| encoded.extend_from_slice(part));
        self.len += 1;
    }

    /// Appends many strings, each of which the parts of an item make together. `bytes` is how many they have, about.
    pub fn extend_joined<P: AsRef<[u8]>, const N: usize>(
        &mut self,
        bytes: usize,
        strings: impl IntoIterator<Item = [P; N]>,
    ) {
        let strings = strings.into_iter();
        let encoded = Arc::make_mut(&mut self.encoded);
        encoded.reserve(bytes + strings.size_hint().0 * size_of::<u64>());
        for parts in strings {
            let len: usize = parts.iter().map(|part| part.as_ref().len()).sum();
            encoded.extend_from_slice(&(len as u64).to_le_bytes());
            parts.iter().for_each(|part| encoded.extend_from_slice(part.as_ref()));
            self.len += 1;
        }
    }

    /// Gives back the room for more strings.
    pub fn shrink(&mut self) {
        Arc::make_mut(&mut self.encoded).shrink_to_fit();
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.encoded.as_slice();
        std::iter::from_fn(move || {
            let (len, after) = rest.split_first_chunk()?;
            let (string, after) = after.split_at_checked(u64::from_le_bytes(*len) as usize)?;
            rest = after;
            Some(string)
        })
    }

    /// All of it as in a GGUF file.
    pub(super) fn encoded(&self) -> &[u8] {
        &self.encoded
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for Strings {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut list = Self::new();
        strings.into_iter().for_each(|string| list.push(string.as_ref()));
        list
    }
}

impl fmt::Debug for Strings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_as_they_went_in() {
        let mut list: Strings = ["", "a", "\0\u{1}"].into_iter().collect();
        let copy = list.clone();
        list.push_joined(&[b"\xff", b"", b" b"]);
        assert_eq!(list.iter().collect::<Vec<_>>(), [&b""[..], b"a", b"\0\x01", b"\xff b"]);
        assert_eq!((list.len(), copy.len(), copy.iter().count()), (4, 3, 3));
        let mut many = copy.clone();
        many.extend_joined(0, [["\u{ff}", "", " b"], ["", "", ""]]);
        assert_eq!(many.iter().skip(3).collect::<Vec<_>>(), ["\u{ff} b".as_bytes(), b""]);
        assert_eq!((many.len(), copy.len()), (5, 3));
        assert!(!list.is_empty() && Strings::new().is_empty());
    }
}
