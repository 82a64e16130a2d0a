//! Reads strings without escapes, which nearly all of a long list are, in a fraction of the steps that others take.

use super::{Gaps, MAX_DEPTH, Reader};
use crate::json::text;

impl<'a> Reader<'a> {
    /// Reads a string without escapes. Where there is anything else, nothing is read.
    #[inline]
    pub fn plain(&mut self) -> Option<&'a str> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.at + 1;
        let end = text::plain_end(self.text.as_bytes(), start);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// Reads a list of two strings without escapes with the `gaps` of the one before. Where there is anything else,
    /// nothing is read.
    #[inline]
    pub fn plain_pair(&mut self, gaps: &Gaps) -> Option<(&'a str, &'a str)> {
        let start = self.at;
        let pair = self.plain_pair_or_part(gaps);
        if pair.is_none() {
            self.at = start;
        }
        pair
    }

    #[inline]
    fn plain_pair_or_part(&mut self, gaps: &Gaps) -> Option<(&'a str, &'a str)> {
        if self.depth == MAX_DEPTH || !self.step_over(&gaps.open) {
            return None;
        }
        let first = self.plain()?;
        let second = if self.step_over(&gaps.comma) { self.plain()? } else { return None };
        self.step_over(&gaps.close).then_some((first, second))
    }
}

/// What is expected comes from `serde_json`.
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAIL: &str = r#", "and what follows in the file""#;

    fn json(value: &impl serde::Serialize, indented: bool) -> String {
        match indented {
            true => serde_json::to_string_pretty(value).unwrap(),
            false => serde_json::to_string(value).unwrap(),
        }
    }

    /// Texts with what ends one, or looks like that, at every place in a word.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![4 => "[a-zé!#\\[\\]]{0,20}", 1 => "[\"\\\\\u{0}-\u{22}\u{5c}\u{7f}-\u{ff}a-c]{0,20}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn strings_without_escapes_are_read_and_others_left(text in text(), tail in prop::sample::select(vec!["", TAIL])) {
            let encoded = json(&text, false);
            let whole = encoded.clone() + tail;
            let mut reader = Reader::new(whole.as_bytes()).unwrap();
            let is_plain = !encoded.contains('\\');
            prop_assert_eq!(reader.plain(), is_plain.then_some(text.as_str()));
            prop_assert_eq!(reader.at, if is_plain { encoded.len() } else { 0 });
            let mut reader = Reader::new(whole.as_bytes()).unwrap();
            prop_assert_eq!(reader.text().unwrap().lossy(), text);
            prop_assert_eq!(reader.at, encoded.len());
        }

        #[test]
        fn pairs_without_escapes_are_read_and_others_left(
            lists in prop::collection::vec(
                prop_oneof![9 => prop::collection::vec(text(), 2), 1 => prop::collection::vec(text(), 0..4)],
                0..6,
            ),
            indented: bool,
        ) {
            let document = json(&lists, indented) + TAIL;
            let mut reader = Reader::new(document.as_bytes()).unwrap();
            let (mut gaps, mut found, mut quick) = (Gaps::default(), Vec::new(), Vec::new());
            reader.array(|reader| {
                reader.peek();
                let start = reader.at;
                if let Some((first, second)) = reader.plain_pair(&gaps) {
                    quick.push(found.len());
                    found.push(vec![first.to_owned(), second.to_owned()]);
                    return Ok(());
                }
                assert_eq!(reader.at, start);
                let mut list = Vec::new();
                reader.array_like(&mut gaps, |reader| reader.text().map(|text| list.push(text.lossy().into_owned())))?;
                found.push(list);
                Ok(())
            }).unwrap();
            prop_assert_eq!(reader.at, document.len() - TAIL.len());
            prop_assert_eq!(&found, &lists);
            // From the second pair on, those are read whose texts have no escapes.
            let is_plain = |list: &Vec<String>| list.len() == 2 && !json(list, false).contains('\\');
            if lists.iter().all(is_plain) {
                prop_assert_eq!(quick, (1..lists.len()).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn what_is_no_pair_of_the_form_is_left() {
        let mut gaps = Gaps::default();
        let first = r#"["a", "b"]"#.to_owned() + TAIL;
        Reader::new(first.as_bytes())
            .unwrap()
            .array_like(&mut gaps, |reader| reader.text().map(drop))
            .unwrap();
        for (list, expected) in [
            (r#"["c", "d"]"#, Some(("c", "d"))),
            (r#"["", ""]"#, Some(("", ""))),
            (r#"["c" , "d"]"#, None),
            (r#"["c", "d", "e"]"#, None),
            (r#"["c", "d" ]"#, None),
            (r#"["c", 1]"#, None),
            (r#"[1, "d"]"#, None),
            (r#"["c"]"#, None),
            (r#"["c", "d\n"]"#, None),
            ("[\"c\", \"d\n\"]", None),
            (r#"["c", "d"}"#, None),
            (r#"{"c", "d"]"#, None),
        ] {
            let document = list.to_owned() + TAIL;
            let mut reader = Reader::new(document.as_bytes()).unwrap();
            assert_eq!(reader.plain_pair(&gaps), expected, "{list}");
            assert_eq!(reader.at, expected.map_or(0, |_| list.len()), "{list}");
        }
        let document = r#"["c", "d"]"#.to_owned() + TAIL;
        let mut reader = Reader::new(document.as_bytes()).unwrap();
        reader.depth = MAX_DEPTH;
        assert_eq!(reader.plain_pair(&gaps), None);
    }
}
