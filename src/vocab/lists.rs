//! Vocabularies and merges of hundreds of thousands of entries, without a string for each.

use std::hash::{BuildHasher, Hasher};
use std::iter;
use std::ops::Range;
use std::thread;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use memchr::memmem;

/// Room is made for at most so many tokens before they are there. The largest vocabularies have that many.
const MOST_EXPECTED: usize = 1 << 18;

/// Token texts, each once, and their ids.
#[derive(Debug, Default)]
pub struct Vocabulary {
    /// All texts, one after the other.
    text: String,
    /// Where in `text` each token ends; it starts where the one before ends.
    ends: Vec<u32>,
    ids: Vec<u32>,
    /// Places in `ends` and `ids` by text.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Vocabulary {
    /// An empty one with room for about so many tokens.
    pub fn with_capacity(tokens: usize) -> Self {
        let tokens = tokens.min(MOST_EXPECTED);
        let index = HashTable::with_capacity(tokens);
        Self { ends: Vec::with_capacity(tokens), ids: Vec::with_capacity(tokens), index, ..Self::default() }
    }

    /// Appends a token. `None` if there is one with this text, or texts of 4 GiB.
    pub fn push(&mut self, text: &str, id: u32) -> Option<()> {
        let place = u32::try_from(self.ids.len()).ok()?;
        let end = u32::try_from(self.text.len() + text.len()).ok()?;
        let Self { text: texts, ends, ids, index, hasher } = self;
        let bytes_of = |place: &u32| bytes_at(texts, ends, *place as usize);
        let entry = index.entry(
            hash(hasher, text.as_bytes()),
            |place| bytes_of(place) == text.as_bytes(),
            |place| hash(hasher, bytes_of(place)),
        );
        let Entry::Vacant(entry) = entry else { return None };
        entry.insert(place);
        texts.push_str(text);
        ends.push(end);
        ids.push(id);
        Some(())
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Texts and ids in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        let mut start = 0;
        self.ends.iter().zip(&self.ids).map(move |(end, id)| {
            let range = start..*end as usize;
            start = range.end;
            (self.text.get(range).unwrap_or_default(), *id)
        })
    }

    /// The token at `place`, counted from 0.
    pub fn get(&self, place: usize) -> Option<(&str, u32)> {
        Some((self.text.get(range_at(&self.ends, place)?)?, *self.ids.get(place)?))
    }

    /// The id of the token with this text.
    pub fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(self.place(text)?).copied()
    }

    /// Where the token with this text is.
    pub fn place(&self, text: &str) -> Option<usize> {
        let is_it = |place: &u32| bytes_at(&self.text, &self.ends, *place as usize) == text.as_bytes();
        self.index.find(hash(&self.hasher, text.as_bytes()), is_it).map(|place| *place as usize)
    }

    /// Whether no two tokens have the same id.
    pub fn has_unique_ids(&self) -> bool {
        if self.ids.is_sorted_by(|one, next| one < next) {
            return true;
        }
        let mut ids = self.ids.clone();
        ids.sort_unstable();
        ids.windows(2).all(|pair| pair[0] != pair[1])
    }

    /// Whether `part` is part of a token, or of what tokens make that stand side by side.
    pub fn contains(&self, part: &str) -> bool {
        memmem::find(self.text.as_bytes(), part.as_bytes()).is_some()
    }

    /// The places of tokens that `part`, which is not empty, is part of, and perhaps others.
    pub fn holding(&self, part: &str) -> impl Iterator<Item = usize> {
        let (finder, mut from) = (memmem::Finder::new(part.as_bytes()), 0);
        iter::from_fn(move || {
            let start = from + finder.find(self.text.as_bytes().get(from..)?)?;
            // One that begins in one token and ends in the next may hide the start of another.
            from = start + 1;
            Some(self.ends.partition_point(|end| *end as usize <= start))
        })
    }
}

/// Of the bytes alone: that of a `str` takes a second step, which tells where it ends.
fn hash(hasher: &DefaultHashBuilder, text: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(text);
    hasher.finish()
}

#[inline]
fn bytes_at<'a>(text: &'a str, ends: &[u32], place: usize) -> &'a [u8] {
    range_at(ends, place).and_then(|range| text.as_bytes().get(range)).unwrap_or_default()
}

#[inline]
fn range_at(ends: &[u32], place: usize) -> Option<Range<usize>> {
    let start = if place == 0 { 0 } else { *ends.get(place - 1)? };
    Some(start as usize..*ends.get(place)? as usize)
}

/// What a Unigram model consists of: tokens, whose ids are their places, and the score of each.
#[derive(Debug, Default)]
pub struct UnigramLists {
    /// The tokens.
    pub vocabulary: Vocabulary,
    /// Log probabilities.
    pub scores: Vec<f64>,
}

/// What a BPE model consists of.
#[derive(Debug, Default)]
pub struct BpeLists {
    /// The tokens.
    pub vocabulary: Vocabulary,
    /// The most important first.
    pub merges: Vec<Merge>,
    /// Room to put two texts together.
    joined: String,
}

impl From<Vocabulary> for BpeLists {
    /// Without merges.
    fn from(vocabulary: Vocabulary) -> Self {
        Self { vocabulary, ..Self::default() }
    }
}

/// Two tokens that become one.
#[derive(Clone, Copy, Debug)]
pub struct Merge {
    /// The place of what they become.
    pub joined: u32,
    /// Where in its text the second starts.
    split: u32,
}

impl BpeLists {
    /// Appends a merge of two texts. `None` if what they make is no token. Whether they are is left to
    /// [`BpeLists::is_complete`].
    pub fn push_merge(&mut self, left: &str, right: &str) -> Option<()> {
        // Usually merges stand in the order of what they make.
        let last = self.merges.last().map_or(0, |merge| merge.joined as usize);
        let is_it =
            |place: &usize| self.vocabulary.get(*place).is_some_and(|(text, _)| is_joined(text, left, right));
        let place = match [last, last + 1].into_iter().find(is_it) {
            Some(place) => place,
            None => {
                self.joined.clear();
                self.joined.extend([left, right]);
                self.vocabulary.place(&self.joined)?
            }
        };
        let split = u32::try_from(left.len()).ok()?;
        self.merges.push(Merge { joined: u32::try_from(place).ok()?, split });
        Some(())
    }

    /// Whether all that merges name is in the vocabulary. To look it up here, once all is there, is twice
    /// as fast as while reading, and two threads take half as long: most of it is waiting for memory.
    pub fn is_complete(&self) -> bool {
        let is_token = |text| self.vocabulary.place(text).is_some();
        let are_tokens = |merges: &[Merge]| {
            merges.iter().all(|merge| {
                let (left, right) = self.parts(*merge);
                is_token(left) & is_token(right)
            })
        };
        let (first, second) = self.merges.split_at(self.merges.len() / 2);
        thread::scope(|scope| {
            let other = thread::Builder::new().spawn_scoped(scope, || are_tokens(second));
            let first = are_tokens(first);
            let second = other.ok().and_then(|other| other.join().ok()).unwrap_or_else(|| are_tokens(second));
            first && second
        })
    }

    /// Bytes of all that merges make.
    pub fn joined_bytes(&self) -> usize {
        let len = |merge: &Merge| {
            range_at(&self.vocabulary.ends, merge.joined as usize).map_or(0, |range| range.len())
        };
        self.merges.iter().map(len).sum()
    }

    /// The texts of a merge's parts.
    pub fn parts(&self, merge: Merge) -> (&str, &str) {
        let joined = self.vocabulary.get(merge.joined as usize).map_or("", |(text, _)| text);
        joined.split_at_checked(merge.split as usize).unwrap_or_default()
    }
}

fn is_joined(text: &str, left: &str, right: &str) -> bool {
    text.len() == left.len() + right.len() && text.starts_with(left) && text.ends_with(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_place_and_places_by_text() {
        let mut vocabulary = Vocabulary::default();
        let tokens = [("", 7), ("é", 0), ("a\0", 3), ("a", 7)];
        assert!(tokens.iter().all(|(text, id)| vocabulary.push(text, *id).is_some()));
        assert!(vocabulary.iter().eq(tokens));
        assert_eq!((vocabulary.id("a"), vocabulary.place("a"), vocabulary.id("b")), (Some(7), Some(3), None));
        assert_eq!(vocabulary.push("é", 9), None);
        assert_eq!(vocabulary.len(), 4);
        assert_eq!(vocabulary.get(4), None);
        assert!(vocabulary.contains("\0") && !vocabulary.contains("aa"));
        assert_eq!(vocabulary.holding("a").collect::<Vec<_>>(), [2, 3]);
        let mut hidden = Vocabulary::default();
        ["a", "aa", "b", "baa"].iter().for_each(|text| hidden.push(text, 0).unwrap());
        assert!([1, 3].iter().all(|place| hidden.holding("aa").any(|found| found == *place)));
        assert!(!vocabulary.has_unique_ids());
        let mut unique = Vocabulary::default();
        assert!(tokens[..3].iter().all(|(text, id)| unique.push(text, *id).is_some()));
        assert!(unique.has_unique_ids());
    }

    #[test]
    fn merges_need_tokens() {
        let mut lists = BpeLists::default();
        for (id, text) in ["a", "b", "ba", "ab", "aba", "abac"].iter().enumerate() {
            lists.vocabulary.push(text, id as u32).unwrap();
        }
        let merges = [("a", "b"), ("a", "ba"), ("ab", "a"), ("b", "a"), ("b", "b")];
        let joined = merges.map(|(left, right)| {
            lists.push_merge(left, right).and_then(|()| lists.merges.last()).map(|merge| merge.joined)
        });
        assert_eq!(joined, [Some(3), Some(4), Some(4), Some(2), None]);
        assert_eq!(lists.parts(lists.merges[1]), ("a", "ba"));
        assert!(lists.is_complete());
        lists.push_merge("aba", "c").unwrap();
        assert!(!lists.is_complete());
    }
}
