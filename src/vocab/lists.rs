//! Vocabularies and merges of hundreds of thousands of entries, without a string for each.

use std::hash::BuildHasher;
use std::thread;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Room is made for at most so many tokens before they are there. The largest vocabularies have that many.
const MOST_EXPECTED: usize = 1 << 18;

/// Token texts, each once, and their ids.
#[derive(Debug, Default)]
pub struct Vocabulary {
    /// All texts, one after the other.
    text: String,
    tokens: Vec<Token>,
    /// Places in `tokens` by text.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

#[derive(Clone, Copy, Debug)]
struct Token {
    /// Where its text ends; it starts where the one before ends.
    end: u32,
    id: u32,
}

impl Vocabulary {
    /// An empty one with room for about so many tokens.
    pub fn with_capacity(tokens: usize) -> Self {
        let tokens = tokens.min(MOST_EXPECTED);
        let index = HashTable::with_capacity(tokens);
        Self { tokens: Vec::with_capacity(tokens), index, ..Self::default() }
    }

    /// Appends a token. `None` if there is one with this text, or texts of 4 GiB.
    pub fn push(&mut self, text: &str, id: u32) -> Option<()> {
        let place = u32::try_from(self.tokens.len()).ok()?;
        let end = u32::try_from(self.text.len() + text.len()).ok()?;
        let Self { text: texts, tokens, index, hasher } = self;
        let text_of = |place: &u32| text_at(texts, tokens, *place as usize);
        let entry = index.entry(
            hasher.hash_one(text),
            |place| text_of(place) == text,
            |place| hasher.hash_one(text_of(place)),
        );
        let Entry::Vacant(entry) = entry else { return None };
        entry.insert(place);
        texts.push_str(text);
        tokens.push(Token { end, id });
        Some(())
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Texts and ids in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        (0..self.tokens.len()).filter_map(|place| self.get(place))
    }

    /// The token at `place`, counted from 0.
    pub fn get(&self, place: usize) -> Option<(&str, u32)> {
        Some((text_at(&self.text, &self.tokens, place), self.tokens.get(place)?.id))
    }

    /// The id of the token with this text.
    pub fn id(&self, text: &str) -> Option<u32> {
        self.tokens.get(self.place(text)?).map(|token| token.id)
    }

    /// Where the token with this text is.
    pub fn place(&self, text: &str) -> Option<usize> {
        let is_it = |place: &u32| text_at(&self.text, &self.tokens, *place as usize) == text;
        self.index.find(self.hasher.hash_one(text), is_it).map(|place| *place as usize)
    }

    /// Whether no two tokens have the same id.
    pub fn has_unique_ids(&self) -> bool {
        let mut ids: Vec<u32> = self.tokens.iter().map(|token| token.id).collect();
        ids.sort_unstable();
        ids.windows(2).all(|pair| pair[0] != pair[1])
    }
}

fn text_at<'a>(text: &'a str, tokens: &[Token], place: usize) -> &'a str {
    let start = place.checked_sub(1).and_then(|before| tokens.get(before)).map_or(0, |token| token.end);
    let end = tokens.get(place).map_or(start, |token| token.end);
    text.get(start as usize..end as usize).unwrap_or_default()
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
    /// Appends a merge, given as what it makes and where that is split. `None` if there is no such token.
    /// Whether its parts are tokens is left to [`BpeLists::is_complete`].
    pub fn push_merge(&mut self, joined: &str, split: usize) -> Option<()> {
        // Usually merges stand in the order of what they make.
        let last = self.merges.last().map_or(0, |merge| merge.joined as usize);
        let is_it = |place: &usize| self.vocabulary.get(*place).is_some_and(|(text, _)| text == joined);
        let place = [last, last + 1].into_iter().find(is_it).or_else(|| self.vocabulary.place(joined))?;
        self.merges.push(Merge { joined: u32::try_from(place).ok()?, split: u32::try_from(split).ok()? });
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

    /// The texts of a merge's parts.
    pub fn parts(&self, merge: Merge) -> (&str, &str) {
        let joined = self.vocabulary.get(merge.joined as usize).map_or("", |(text, _)| text);
        joined.split_at_checked(merge.split as usize).unwrap_or_default()
    }
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
        let merges = [("ab", 1), ("aba", 1), ("aba", 2), ("ba", 1), ("bb", 1)];
        let joined = merges.map(|(joined, split)| {
            lists.push_merge(joined, split).and_then(|()| lists.merges.last()).map(|merge| merge.joined)
        });
        assert_eq!(joined, [Some(3), Some(4), Some(4), Some(2), None]);
        assert_eq!(lists.parts(lists.merges[1]), ("a", "ba"));
        assert!(lists.is_complete());
        lists.push_merge("abac", 3).unwrap();
        assert!(!lists.is_complete());
    }
}
