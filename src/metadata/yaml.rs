//! YAML as PyYAML's `safe_load` reads it: YAML 1.1, where `no` is false and a list may close in column 0.
//!
//! Parsing is `libyaml-safer`'s, a port of the C sibling of PyYAML: parsers of YAML 1.2 refuse documents
//! that model cards contain. The two still differ in odd corners (`[a?]`, `{a:}`, unknown `%` directives,
//! unpaired surrogates), where one refuses what the other reads. Here events become values; `yaml_scalar`
//! decides what a plain scalar is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use libyaml_safer::{Event, EventData, Parser};
use regex::Regex;

use super::object::{Map, Object};
use super::python::pattern;
use super::yaml_scalar::{Scalar, resolve, with_tag};
use crate::input::quoted;

/// Nesting beyond this is an error. PyYAML stops at a few hundred.
const MAX_DEPTH: usize = 128;
/// Values that anchors may keep and aliases repeat in all, so that a few lines cannot grow to gigabytes.
const MAX_COPIED: usize = 200_000;
/// Bytes of text in them.
const MAX_COPIED_TEXT: usize = 8 << 20;
/// Longest document, in bytes. Evaluation results make some front matters a few hundred kilobytes long.
const MAX_LEN: usize = 4 << 20;

const SEQUENCE: &str = "tag:yaml.org,2002:seq";
const MAPPING: &str = "tag:yaml.org,2002:map";
/// Collections that become Python types no metadata can be made of.
const FOREIGN: [(&str, &str); 3] = [
    ("tag:yaml.org,2002:omap", "an ordered mapping"),
    ("tag:yaml.org,2002:pairs", "a list of pairs"),
    ("tag:yaml.org,2002:set", "a set"),
];

/// Parses a stream of at most one document; an empty one is null. The error says what is wrong, and where
/// if that is known.
pub(super) fn parse(text: &str) -> Result<Object, String> {
    if text.len() > MAX_LEN {
        return Err(format!("it is longer than {MAX_LEN} bytes"));
    }
    if let Some(c) = text.chars().find(|c| !is_printable(*c)) {
        return Err(format!("the character U+{:04X} is not allowed", u32::from(c)));
    }
    // The parser has assertions, and what is parsed here comes from strangers.
    catch_unwind(AssertUnwindSafe(|| parse_printable(&separate_tags(text)?)))
        .unwrap_or_else(|_| Err("it cannot be parsed".to_owned()))
}

/// Puts a space between a tag and a comma that follows it (`[!!str, a]`), over which the parser panics.
/// Text that only looks like it, in a scalar, stays as it is.
fn separate_tags(text: &str) -> Result<Cow<'_, str>, String> {
    static TAG_AND_COMMA: LazyLock<Regex> = LazyLock::new(|| pattern(r"![^\s,]*,"));
    let commas: Vec<usize> = TAG_AND_COMMA.find_iter(text).map(|m| m.end() - 1).collect();
    if commas.is_empty() {
        return Ok(text.into());
    }
    let spaced = with_spaces(text, commas.iter().copied());
    // The parser counts characters.
    let mut spaces = Vec::with_capacity(commas.len());
    for (i, comma) in commas.iter().enumerate() {
        let start = if i == 0 { 0 } else { commas[i - 1] };
        spaces.push(spaces.last().map_or(0, |last| last + 1) + text[start..*comma].chars().count() as u64);
    }
    let mut scalars = Vec::new();
    let mut input = spaced.as_bytes();
    let (mut parser, mut depth) = (Parser::new(), 0usize);
    parser.set_input_string(&mut input);
    loop {
        let event = parser.parse().map_err(|e| e.to_string())?;
        match event.data {
            EventData::SequenceStart { .. } | EventData::MappingStart { .. } => depth += 1,
            EventData::SequenceEnd | EventData::MappingEnd => depth = depth.saturating_sub(1),
            // An empty one can span its tag and what follows.
            EventData::Scalar { value, .. } if !value.is_empty() => {
                scalars.push(event.start_mark.index..event.end_mark.index);
            }
            EventData::StreamEnd => break,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} levels deep"));
        }
    }
    let in_scalar = |space: u64| {
        let next = scalars.partition_point(|scalar| scalar.end <= space);
        scalars.get(next).is_some_and(|scalar| scalar.contains(&space))
    };
    let apart = commas.iter().zip(spaces).filter(|(_, space)| !in_scalar(*space)).map(|(comma, _)| *comma);
    Ok(with_spaces(text, apart).into())
}

/// `text` with a space before each of the bytes at `offsets`, which are in order.
fn with_spaces(text: &str, offsets: impl Iterator<Item = usize>) -> String {
    let mut spaced = String::with_capacity(text.len());
    let mut done = 0;
    for offset in offsets {
        spaced.push_str(&text[done..offset]);
        spaced.push(' ');
        done = offset;
    }
    spaced + &text[done..]
}

fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

fn parse_printable(text: &str) -> Result<Object, String> {
    let mut input = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut input);
    let mut composer = Composer { parser, anchors: HashMap::new(), copied: Size::default() };
    let mut document = None;
    loop {
        match composer.next()?.data {
            EventData::StreamStart { .. } | EventData::DocumentEnd { .. } => {}
            EventData::StreamEnd => return Ok(document.unwrap_or(Object::Null)),
            EventData::DocumentStart { .. } if document.is_some() => {
                return Err("there is a second document".to_owned());
            }
            EventData::DocumentStart { .. } => {
                let event = composer.next()?;
                document = Some(composer.value(event, 0)?);
            }
            _ => return Err("there is content outside of a document".to_owned()),
        }
    }
}

struct Composer<'a> {
    parser: Parser<&'a mut &'a [u8]>,
    /// `None` while the anchored value is still being read.
    anchors: HashMap<String, Option<Scalar>>,
    /// What was copied for anchors and aliases so far.
    copied: Size,
}

impl Composer<'_> {
    fn next(&mut self) -> Result<Event, String> {
        self.parser.parse().map_err(|e| e.to_string())
    }

    /// The value that starts with `event`.
    fn value(&mut self, event: Event, depth: usize) -> Result<Object, String> {
        let line = event.start_mark.line + 1;
        match self.node(event, depth)? {
            Scalar::Value(value) => Ok(value),
            Scalar::Merge => Err(format!("'<<' at line {line} is only meaningful as a key")),
            Scalar::Default => Err(format!("'=' at line {line} has a special meaning; put it in quotes")),
        }
    }

    fn node(&mut self, event: Event, depth: usize) -> Result<Scalar, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} levels deep"));
        }
        let line = event.start_mark.line + 1;
        match event.data {
            EventData::Alias { anchor } => self.alias(&anchor, line),
            EventData::Scalar { anchor, tag, value, plain_implicit, .. } => {
                self.open(anchor.as_deref())?;
                let scalar = match tag.as_deref() {
                    Some("!") => resolve(&value),
                    Some(tag) => with_tag(tag, value),
                    None if plain_implicit => resolve(&value),
                    None => Ok(Scalar::Value(Object::Text(value))),
                };
                self.close(anchor, scalar.map_err(|problem| format!("{problem} at line {line}"))?)
            }
            EventData::SequenceStart { anchor, tag, .. } => {
                self.open(anchor.as_deref())?;
                let mut items = Vec::new();
                loop {
                    let event = self.next()?;
                    if event.data == EventData::SequenceEnd {
                        break;
                    }
                    items.push(self.value(event, depth + 1)?);
                }
                self.close(anchor, tagged(Object::List(items), tag.as_deref(), SEQUENCE, line)?)
            }
            EventData::MappingStart { anchor, tag, .. } => {
                self.open(anchor.as_deref())?;
                let map = Object::Map(self.mapping(depth)?);
                self.close(anchor, tagged(map, tag.as_deref(), MAPPING, line)?)
            }
            _ => Err(format!("a value is missing at line {line}")),
        }
    }

    /// A mapping whose start was read. Its own keys override those that `<<` merges into it.
    fn mapping(&mut self, depth: usize) -> Result<Map, String> {
        let mut own = Map::default();
        let mut merged = Map::default();
        loop {
            let event = self.next()?;
            if event.data == EventData::MappingEnd {
                break;
            }
            let line = event.start_mark.line + 1;
            let key = self.node(event, depth + 1)?;
            let event = self.next()?;
            let value = self.value(event, depth + 1)?;
            match key {
                Scalar::Merge => merge(&mut merged, value, line)?,
                Scalar::Default => drop(own.entries.insert("=".to_owned(), value)),
                Scalar::Value(Object::Text(key)) => drop(own.entries.insert(key, value)),
                Scalar::Value(key @ (Object::List(_) | Object::Map(_))) => {
                    return Err(format!("{} cannot be a key, at line {line}", key.kind()));
                }
                Scalar::Value(_) => own.has_other_keys = true,
            }
        }
        merged.entries.extend(own.entries);
        Ok(Map { entries: merged.entries, has_other_keys: merged.has_other_keys || own.has_other_keys })
    }

    fn open(&mut self, anchor: Option<&str>) -> Result<(), String> {
        match anchor {
            Some(anchor) if self.anchors.insert(anchor.to_owned(), None).is_some() => {
                Err(format!("the anchor {} is there twice", quoted(anchor)))
            }
            _ => Ok(()),
        }
    }

    fn close(&mut self, anchor: Option<String>, value: Scalar) -> Result<Scalar, String> {
        if let Some(anchor) = anchor {
            let copy = self.copy(&value)?;
            self.anchors.insert(anchor, Some(copy));
        }
        Ok(value)
    }

    fn alias(&mut self, anchor: &str, line: u64) -> Result<Scalar, String> {
        match self.anchors.remove(anchor) {
            None => Err(format!("the alias {} at line {line} has no anchor", quoted(anchor))),
            Some(None) => {
                Err(format!("the alias {} at line {line} is inside of its own anchor", quoted(anchor)))
            }
            Some(Some(value)) => {
                let copy = self.copy(&value)?;
                self.anchors.insert(anchor.to_owned(), Some(value));
                Ok(copy)
            }
        }
    }

    fn copy(&mut self, value: &Scalar) -> Result<Scalar, String> {
        if let Scalar::Value(value) = value {
            self.copied.add(value);
        }
        if self.copied.values > MAX_COPIED || self.copied.text > MAX_COPIED_TEXT {
            return Err(format!(
                "anchors and aliases copy more than {MAX_COPIED} values or {MAX_COPIED_TEXT} bytes of text"
            ));
        }
        Ok(value.clone())
    }
}

/// How much there is of values: a few of them may be long.
#[derive(Default)]
struct Size {
    values: usize,
    /// Bytes of text, keys included.
    text: usize,
}

impl Size {
    /// Adds `value` and all that is in it.
    fn add(&mut self, value: &Object) {
        self.values = self.values.saturating_add(1);
        match value {
            Object::List(items) => items.iter().for_each(|item| self.add(item)),
            Object::Map(map) => {
                for (key, value) in &map.entries {
                    self.text = self.text.saturating_add(key.len());
                    self.add(value);
                }
            }
            Object::Text(text) => self.text = self.text.saturating_add(text.len()),
            _ => {}
        }
    }
}

/// Applies an explicit tag to a collection; `own` is the tag it has without.
fn tagged(value: Object, tag: Option<&str>, own: &str, line: u64) -> Result<Scalar, String> {
    match tag {
        None | Some("!") => Ok(Scalar::Value(value)),
        Some(tag) if tag == own => Ok(Scalar::Value(value)),
        Some(tag) => match FOREIGN.iter().find(|(name, _)| *name == tag) {
            Some((_, kind)) => Ok(Scalar::Value(Object::Foreign(kind))),
            None => Err(format!("the tag {} at line {line} cannot be applied", quoted(tag))),
        },
    }
}

/// Adds the keys of `value`, a mapping or a list of mappings of which the first that has a key wins. Of
/// several `<<` the last wins.
fn merge(into: &mut Map, value: Object, line: u64) -> Result<(), String> {
    let maps = match value {
        map @ Object::Map(_) => vec![map],
        Object::List(maps) => maps,
        other => return Err(format!("'<<' at line {line} needs a mapping, not {}", other.kind())),
    };
    for map in maps.into_iter().rev() {
        let Object::Map(map) = map else {
            return Err(format!("'<<' at line {line} needs mappings, not {}", map.kind()));
        };
        into.entries.extend(map.entries);
        into.has_other_keys |= map.has_other_keys;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str, key: &str) -> Object {
        match parse(text) {
            Ok(Object::Map(map)) => map.entries.get(key).cloned().unwrap_or(Object::Foreign("absent")),
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    #[test]
    fn lists_may_close_in_column_zero() {
        let expected = Object::List(vec!["a".into(), "b".into()]);
        assert_eq!(entry("tags: [\na,\nb\n]\n", "tags"), expected);
    }

    #[test]
    fn tags_before_commas_do_not_stop_the_parser() {
        let text =
            "é: [!!str, 'wow !x, y', so !x, !!null , {a: !!str, b: !!int 1}] # é !x, y\nk: hey !x, é !y, z\n";
        let Object::List(items) = entry(text, "é") else { panic!("not a list") };
        assert_eq!(items[..4], ["".into(), "wow !x, y".into(), "so !x".into(), Object::Null]);
        assert_eq!(entry(text, "k"), "hey !x, é !y, z".into());
        assert!(parse("a: [!b, c]\n").is_err());
    }

    #[test]
    fn merged_keys_give_way() {
        let text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  c: 3\n  <<: [*x, *y]\n";
        let Object::Map(z) = entry(text, "z") else { panic!("not a mapping") };
        assert_eq!(z.entries["a"], Object::Int(1));
        assert_eq!(z.entries["b"], Object::Int(1));
        assert_eq!(z.entries["c"], Object::Int(3));
    }

    #[test]
    fn hostile_documents_are_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..30 {
            let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
            bomb += &format!("a{i}: &a{i} [{aliases}]\n");
        }
        let anchored = (0..100).map(|i| format!("&b{i} [")).collect::<String>();
        let anchors = format!("a: {anchored}{}{}\n", "x, ".repeat(10_000), "]".repeat(100));
        let deep_flow = "a: ".to_owned() + &"[".repeat(100_000) + "\n";
        let deep_block = (0..2000).map(|i| " ".repeat(i) + "a:\n").collect::<String>();
        for text in
            [&bomb, &anchors, &deep_flow, &deep_block, "a: &a [*a]\n", "a: *b\n", "a: &x 1\nb: &x 2\n"]
        {
            assert!(parse(text).is_err());
        }
        for text in ["a: \u{7}\n", "a: <<\n", "a: =\n", "[a]: b\n", "a: !b c\n", "a: b\n---\nc: d\n"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
