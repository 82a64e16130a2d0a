//! Vocabularies and merges of hundreds of thousands of entries, without a string for each.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

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
    /// Appends a token. `None` if there is one with this text, or texts of 4 GiB.
    pub fn push(&mut self, text: &str, id: u32) -> Option<()> {
        let place = u32::try_from(self.tokens.len()).ok()?;
        let end = u32::try_from(self.text.len() + text.len()).ok()?;
        if self.place(text).is_some() {
            return None;
        }
        self.text.push_str(text);
        self.tokens.push(Token { end, id });
        let Self { text: texts, tokens, index, hasher } = self;
        let hash = |place: &u32| hasher.hash_one(text_at(texts, tokens, *place as usize));
        index.insert_unique(hasher.hash_one(text), place, hash);
        Some(())
    }

    /// Changes the id of the token pushed last.
    pub fn set_last_id(&mut self, id: u32) {
        if let Some(last) = self.tokens.last_mut() {
            last.id = id;
        }
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

/// What a BPE model consists of. All that its merges name is in the vocabulary.
#[derive(Debug, Default)]
pub struct BpeLists {
    /// The tokens.
    pub vocabulary: Vocabulary,
    /// The most important first.
    pub merges: Vec<Merge>,
    joined: String,
}

/// Places in the vocabulary.
#[derive(Clone, Copy, Debug)]
pub struct Merge {
    /// What comes first.
    pub left: u32,
    /// What follows it.
    pub right: u32,
    /// The token that they become.
    pub joined: u32,
}

impl BpeLists {
    /// Appends a merge of two tokens, given as places. `None` if there is no token to make of them.
    pub fn push_merge(&mut self, left: usize, right: usize) -> Option<()> {
        let (first, _) = self.vocabulary.get(left)?;
        let (second, _) = self.vocabulary.get(right)?;
        // Usually merges stand in the order of what they make.
        let last = self.merges.last().map_or(0, |merge| merge.joined as usize);
        let is_it = |place: &usize| {
            let found = self.vocabulary.get(*place);
            found.and_then(|(text, _)| text.strip_prefix(first)).is_some_and(|rest| rest == second)
        };
        let joined = [last, last + 1].into_iter().find(is_it).or_else(|| {
            self.joined.clear();
            self.joined.push_str(first);
            self.joined.push_str(second);
            self.vocabulary.place(&self.joined)
        })?;
        self.merges.push(Merge { left: left as u32, right: right as u32, joined: joined as u32 });
        Some(())
    }

    /// The texts of a merge's parts.
    pub fn parts(&self, merge: Merge) -> (&str, &str) {
        let text = |place: u32| self.vocabulary.get(place as usize).map_or("", |(text, _)| text);
        (text(merge.left), text(merge.right))
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
        assert!(!vocabulary.has_unique_ids());
        vocabulary.set_last_id(8);
        assert!(vocabulary.has_unique_ids());
        assert_eq!(vocabulary.get(4), None);
    }

    #[test]
    fn merges_need_a_token_to_make() {
        let mut lists = BpeLists::default();
        for (id, text) in ["a", "b", "ba", "ab", "aba"].iter().enumerate() {
            lists.vocabulary.push(text, id as u32).unwrap();
        }
        let joined: Vec<_> = [(0, 1), (0, 2), (3, 0), (1, 0), (1, 1), (9, 0)]
            .map(|(left, right)| lists.push_merge(left, right).map(|()| lists.merges.last().unwrap().joined))
            .into();
        assert_eq!(joined, [Some(3), Some(4), Some(4), Some(2), None, None]);
        assert_eq!(lists.parts(lists.merges[1]), ("a", "ba"));
    }
}
