//! What stands between the texts and numbers of a long list: brackets, commas, colons and space, the same bytes from
//! entry to entry. It is read once; where the same bytes come again, they mean the same again, and to compare them takes a
//! fraction of reading them.

/// Longest one that is remembered, in bytes. An indented list of pairs has up to 20.
const LONGEST: usize = 24;
const WORDS: usize = LONGEST / 8;

/// Bytes that were stepped over. None at first, which are found nowhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gap {
    bytes: [u64; WORDS],
    masks: [u64; WORDS],
    len: usize,
}

impl Gap {
    /// Remembers `gap`, unless it is too long.
    pub(super) fn learn(&mut self, gap: &[u8]) {
        *self = Self::default();
        if gap.len() > LONGEST {
            return;
        }
        for (place, chunk) in gap.chunks(8).enumerate() {
            let (mut bytes, mut mask) = ([0; 8], [0; 8]);
            bytes[..chunk.len()].copy_from_slice(chunk);
            mask[..chunk.len()].fill(u8::MAX);
            self.bytes[place] = u64::from_le_bytes(bytes);
            self.masks[place] = u64::from_le_bytes(mask);
        }
        self.len = gap.len();
    }

    /// How many bytes `text` starts with are what is remembered; none if it starts with anything else. Near its end
    /// nothing is recognized.
    #[inline]
    pub(super) fn at_start_of(&self, text: &[u8]) -> Option<usize> {
        let next: &[u8; LONGEST] = text.first_chunk()?;
        let mut differing = 0;
        for (place, word) in next.as_chunks().0.iter().enumerate() {
            differing |= (u64::from_le_bytes(*word) ^ self.bytes[place]) & self.masks[place];
        }
        (differing == 0 && self.len > 0).then_some(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_are_recognized() {
        const TEXT: &[u8] = b",\n      [\n        \"abcdefghijkl";
        assert_eq!(Gap::default().at_start_of(TEXT), None);
        for len in 0..=TEXT.len() {
            let mut gap = Gap::default();
            gap.learn(b"x");
            gap.learn(&TEXT[..len]);
            let expected = (1..=LONGEST).contains(&len).then_some(len);
            assert_eq!(gap.at_start_of(TEXT), expected, "{len}");
            for at in 0..TEXT.len() {
                let mut other = TEXT.to_vec();
                other[at] ^= 1;
                assert_eq!(gap.at_start_of(&other), expected.filter(|len| at >= *len), "{len} {at}");
            }
            assert_eq!(gap.at_start_of(&TEXT[..LONGEST - 1]), None);
        }
    }
}
