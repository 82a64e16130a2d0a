use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::json;
use crate::vocab::lists::Merge;

fn lists(json: &str) -> Option<Vec<(String, String)>> {
    let parsed = parse(Path::new("tokenizer.json"), json.as_bytes()).unwrap();
    let whole: Map<String, Value> = json::parse_object(json.as_bytes()).unwrap();
    let Some(lists) = parsed.lists else {
        assert_eq!(parsed.tree, whole);
        return None;
    };
    let vocab = lists.vocabulary.iter().map(|(text, id)| (text.to_owned(), id.into())).collect();
    assert_eq!(Value::Object(vocab), *whole["model"].get("vocab").unwrap());
    assert_eq!(parsed.tree.get("other"), whole.get("other"));
    assert_eq!(parsed.tree["model"].get("vocab"), None);
    let parts = lists.merges.iter().map(|merge| lists.parts(*merge));
    Some(parts.map(|(left, right)| (left.to_owned(), right.to_owned())).collect())
}

fn bpe(vocab: &str, merges: &str) -> String {
    format!(
        r#"{{"other": [1], "model": {{"type": "BPE", "vocab": {vocab}, "merges": {merges}, "unk_token": null}}}}"#
    )
}

#[test]
fn what_is_usual_becomes_lists() {
    let vocab = r#"{"a": 0, "\"": 1, "a\"": 4, "\"\ud83d\ude00": 3, "😀": 2}"#;
    let expected = Some(vec![("a".to_owned(), "\"".to_owned()), ("\"".into(), "😀".into())]);
    assert_eq!(lists(&bpe(vocab, r#"["a \"", "\" 😀"]"#)), expected);
    assert_eq!(lists(&bpe(vocab, r#"[["a", "\""], ["\"", "\ud83d\ude00"]]"#)), expected);
    assert_eq!(lists(&bpe("{}", "[]")), Some(vec![]));
}

#[test]
fn what_is_unusual_stays_json() {
    let vocab = r##"{"a": 0, "b": 1, "ab": 2, "#version": 3, "#versionab": 4, " ": 5, " a": 6}"##;
    let merges = [
        r#"["a b", ["a", "b"]]"#,
        r#"[["a", "b", "ab"]]"#,
        r#"[["a"]]"#,
        r#"["ab"]"#,
        r#"["b a"]"#,
        r#"["a c"]"#,
        r#"["a b "]"#,
        r##"["#version ab"]"##,
        r#"[null]"#,
        "{}",
    ];
    merges.iter().for_each(|merges| assert_eq!(lists(&bpe(vocab, merges)), None, "{merges}"));
    for vocab in [r#"{"a": 0, "b": 0}"#, r#"{"a": -1}"#, r#"{"a": 4294967296}"#, r#"{"a": 1.0}"#, "[]"] {
        assert_eq!(lists(&bpe(vocab, "[]")), None, "{vocab}");
    }
    assert_eq!(lists(r#"{"model": {"type": "BPE", "vocab": {"a": 0, "a": 1}, "merges": []}}"#), None);
    assert_eq!(lists(r#"{"model": {"type": "BPE", "merges": [], "vocab": {}}}"#), None);
    assert_eq!(lists(r#"{"model": {"type": "BPE", "vocab": {}}}"#), None);
    assert_eq!(lists(r#"{"model": {"type": "WordLevel", "vocab": {}, "merges": []}}"#), None);
    assert_eq!(lists(r#"{"model": {"vocab": {}, "merges": []}}"#), None);
    assert_eq!(lists(r#"{"model": 1, "model": {"type": "BPE", "vocab": {}, "merges": []}}"#), None);
    assert_eq!(lists(r#"{"other": 1}"#), None);
}

#[test]
fn what_is_no_object_is_an_error() {
    for text in ["", "[]", "{} 1", r#"{"model": {"vocab": {"a": 1"#, "{\"a\": \"\t\"}"] {
        assert!(parse(Path::new("tokenizer.json"), text.as_bytes()).is_err(), "{text}");
    }
    assert!(parse(Path::new("tokenizer.json"), b"{\"a\": \"\xff\"}").is_err());
}

#[test]
fn unigram_vocabularies_become_lists() {
    let parse = |kind: &str, vocab: &str| {
        let json = format!(r#"{{"model": {{"vocab": {vocab}, "type": "{kind}", "unk_id": 0}}}}"#);
        parse(Path::new("tokenizer.json"), json.as_bytes()).unwrap()
    };
    let parsed = parse("Unigram", r#"[["<unk>", 0], ["\u2581a", -1.5], ["b", -2e1]]"#);
    let unigram = parsed.unigram.unwrap();
    assert!(unigram.vocabulary.iter().eq([("<unk>", 0), ("\u{2581}a", 1), ("b", 2)]));
    assert_eq!(unigram.scores, [0.0, -1.5, -20.0]);
    assert_eq!(parsed.tree["model"].get("vocab"), None);
    for vocab in [r#"[["a", 0], ["a", 0]]"#, r#"[["a"]]"#, r#"[["a", 0, 0]]"#, r#"[["a", "b"]]"#, "[0]", "{}"]
    {
        let parsed = parse("Unigram", vocab);
        assert!(parsed.unigram.is_none() && parsed.tree["model"].get("vocab").is_some(), "{vocab}");
    }
    assert!(parse("BPE", "[]").unigram.is_none());
}

/// Texts as they are written, some of them the same, some of which only Python takes or nobody.
const TEXTS: [&str; 16] = [
    r#""""#,
    r#""a""#,
    r#""b""#,
    r#""ab""#,
    r#""abb""#,
    r#""\u0061b""#,
    r#"" ""#,
    r#""a b""#,
    r##""#version""##,
    r#""é\n""#,
    r#""\"]""#,
    r#""\ud83d\ude00""#,
    r#""\ud83d""#,
    r#""abbabbabbabbabbabbabbabbabb""#,
    r#""\x""#,
    "\"\u{120}\"",
];
/// Ids in the same way.
const IDS: [&str; 14] = [
    "0",
    "1",
    "2",
    "7",
    "007",
    "12345",
    "999999999",
    "1234567890",
    "4294967296",
    "-1",
    "1.0",
    "1e2",
    "null",
    "[1]",
];
/// What stands between them.
const SPACES: [&str; 6] = ["", "", " ", "\n", "\n      ", "\r\n\t                      "];

/// Tokens of which each but the first two is a merge of those before.
const TOKENS: [&str; 6] =
    [r#""a""#, r#""\n""#, r#""a\u000a""#, r#""aa\n""#, r#""a\na\n""#, r#""a\na\na\na\na\na\na\n""#];
const MERGES: [(usize, usize); 4] = [(0, 1), (0, 2), (2, 2), (0, 1)];

/// Nearly always the one that is given.
fn text(usual: impl Strategy<Value = usize>) -> impl Strategy<Value = String> {
    let usual = usual.prop_map(|at| TOKENS[at].to_owned());
    prop_oneof![12 => usual, 1 => (0..TEXTS.len()).prop_map(|at| TEXTS[at].to_owned())]
}

fn merge() -> impl Strategy<Value = (String, String, u8)> {
    (0..MERGES.len()).prop_flat_map(|at| {
        let (left, right) = MERGES[at];
        (text(Just(left)), text(Just(right)), 0u8..60)
    })
}

/// A document of a BPE model: all of the same layout or nearly, then with a few bytes changed.
fn document() -> impl Strategy<Value = Vec<u8>> {
    let id = || prop_oneof![12 => Just(None), 1 => (0..IDS.len()).prop_map(Some)];
    let vocab: Vec<_> = (0..TOKENS.len()).map(|place| (text(Just(place)), id())).collect();
    let merges = vec(merge(), 0..7);
    let spaces = [(); 4].map(|()| (0..SPACES.len()).prop_map(|at| SPACES[at]));
    let as_lines = any::<bool>();
    let changes = vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..12), 0..3);
    (vocab, merges, spaces, as_lines, changes).prop_map(|(vocab, merges, [a, b, c, d], as_lines, changes)| {
        let entry = |(place, (text, id)): (usize, &(String, Option<usize>))| {
            format!("{text}{a}:{b}{}", id.map_or(place.to_string(), |id| IDS[id].to_owned()))
        };
        let pair = |(left, right, kind): &(String, String, u8)| match (as_lines, kind) {
            (_, 0) => format!("[{left}]"),
            (_, 1) => format!("[{left},{right},{left}]"),
            (_, 2) => "[]".to_owned(),
            (true, _) => format!("{} {}", left.trim_end_matches('"'), right.trim_start_matches('"')),
            (false, 3) => format!("[{left}, {right}]"),
            (false, _) => format!("[{c}{left}{d},{c}{right}{d}]"),
        };
        let vocab: Vec<_> = vocab.iter().enumerate().map(entry).collect();
        let merges: Vec<_> = merges.iter().map(pair).collect();
        let (vocab, merges) = (vocab.join(&format!("{b},{c}")), merges.join(&format!("{a},{c}")));
        let mut json = format!(
            r#"{{"other":{a}[1],{b}"model": {{"type": "BPE",{c}"vocab":{d}{{{b}{vocab}{a}}},"merges": [{a}{merges}{c}], "x": {{"x": 1, "x": NaN}}}}{d}}}{a}"#
        )
        .into_bytes();
        for (at, byte, kind) in changes {
            // Nothing may be left of it.
            if json.is_empty() {
                break;
            }
            let at = at.index(json.len());
            match kind {
                0 => json[at] = byte,
                1 => _ = json.remove(at),
                2 => json.insert(at, b' '),
                3 => json.truncate(at),
                _ => {}
            }
        }
        json
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// What is read without a tree is what is in the tree, which is read in another way; and what the tree's reader refuses
    /// is refused.
    #[test]
    fn lists_hold_what_the_tree_would(json in document()) {
        let Ok(parsed) = usual(&json) else { return Ok(()) };
        let (whole, mut found) = (json::parse(&json).expect("what is usual is valid"), parsed.tree);
        if let Some(lists) = &parsed.lists {
            let vocab: Value = lists.vocabulary.iter().collect();
            let parts = |merge: &Merge| { let (left, right) = lists.parts(*merge); vec![left, right] };
            let expected = whole.get("model").and_then(|model| model.get("merges")?.as_array()).expect("a list");
            let as_pairs = |merge: &Value| match merge {
                Value::String(line) => line.split(' ').collect(),
                merge => merge.clone(),
            };
            let expected: Vec<Value> = expected.iter().map(as_pairs).collect();
            let merges: Vec<Value> = lists.merges.iter().map(|merge| parts(merge).into()).collect();
            prop_assert_eq!(merges, expected);
            let model = found.get_mut("model").and_then(Value::as_object_mut).expect("an object");
            model.insert("vocab".into(), vocab);
            model.insert("merges".into(), whole.get("model").and_then(|model| model.get("merges")).expect("merges").clone());
        }
        // As text, for NaN is unlike itself.
        prop_assert_eq!(sorted(&found.into()), sorted(&whole));
    }
}

/// As text, keys in order: the lists were put at the end.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort();
            format!("{entries:?}")
        }
        other => other.to_string(),
    }
}

/// Without this, the test above could have nothing to compare.
#[test]
fn many_documents_become_lists() {
    let mut runner = TestRunner::deterministic();
    let mut usual_ones = 0;
    for _ in 0..1000 {
        let json = document().new_tree(&mut runner).expect("a document").current();
        usual_ones +=
            usize::from(usual(&json).is_ok_and(|parsed| parsed.lists.is_some_and(|l| !l.merges.is_empty())));
    }
    assert!(usual_ones > 50, "{usual_ones}");
}
