//! Results of CPython's `json.loads`, unless a comment says otherwise.

use super::*;

fn read(text: &str) -> Result<Value, JsonError> {
    parse(text.as_bytes())
}

#[test]
fn python_extensions_are_read() {
    let Ok(Value::Array(items)) = read(r#" [NaN, -Infinity, 1e999, -0, 1E2, "\ud83d\ude00\/"] "#) else {
        panic!("not a list");
    };
    assert!(matches!(items[0], Value::Float(f) if f.is_nan()));
    let rest = [
        Value::Float(f64::NEG_INFINITY),
        Value::Float(f64::INFINITY),
        Value::Int(0),
        Value::Float(100.0),
        Value::from("😀/"),
    ];
    assert_eq!(items[1..], rest);
}

#[test]
fn integers_have_any_size() {
    for (text, value) in [
        ("-9223372036854775808", Value::Int(i64::MIN)),
        ("9223372036854775808", Value::BigInt(9_223_372_036_854_775_808.0)),
        ("1000000000000000019884624838656", Value::BigInt(1e30)),
        ("999999999", Value::Int(999_999_999)),
        ("-1234567890", Value::Int(-1_234_567_890)),
    ] {
        assert_eq!(read(text), Ok(value), "{text}");
    }
    let beyond = read(&format!("1{}", "0".repeat(400))).unwrap();
    assert_eq!((beyond.is_int(), beyond.as_f64()), (true, None));
}

#[test]
fn surrogates_without_a_partner_are_kept_apart() {
    for text in [r#""\ud800""#, r#""\udc00x""#, r#""\ud800\u0041""#] {
        assert_eq!(read(text), Ok(Value::Unpaired), "{text}");
    }
    let Ok(Value::Object(map)) = read(r#"{"\ud800": 1, "a": 2}"#) else { panic!("not an object") };
    assert_eq!((map.len(), map.get("a")), (2, Some(&Value::Int(2))));
}

#[test]
fn the_last_of_equal_keys_wins_at_the_place_of_the_first() {
    let value = read(r#"{"a": 1, "b": 2, "\u0061": [3]}"#).unwrap();
    assert_eq!(value.to_string(), r#"{"a":[3],"b":2}"#);
}

#[test]
fn what_python_refuses_is_refused() {
    let bad = [
        "",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "tru",
        "nan",
        "-NaN",
        "'a'",
        "\"\t\"",
        "\"long enough for eight\u{1f}\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12é4\"",
        "\"\\ud800\\u12\"",
        "[1] 2",
        "\u{a0}1",
        "-",
        "{1:2}",
        "\"a",
        "\"\\",
        "\"\\u",
    ];
    for text in bad {
        assert!(matches!(read(text), Err(JsonError::Syntax(_))), "{text:?}: {:?}", read(text));
    }
    assert!(matches!(parse(b"\"\xff\""), Err(JsonError::Limit(_))));
}

#[test]
fn a_byte_order_mark_is_called_one() {
    let problem = read("\u{feff}{}").unwrap_err().to_string();
    assert!(problem.contains("byte order mark"), "{problem}");
}

/// Python's own limit is 994 where nothing else is on its stack.
#[test]
fn nesting_is_read_as_deep_as_python_does() {
    let nested = |depth: usize, open: &str, close: &str| open.repeat(depth) + "1" + &close.repeat(depth);
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let value = read(&nested(994, open, close)).unwrap();
        assert_eq!(value.clone().to_string(), nested(994, open, close));
        let mut skipped = nested(994, open, close);
        assert_eq!(Reader::new(skipped.as_bytes()).unwrap().skip(), Ok(()));
        skipped = nested(100_000, open, close);
        assert!(matches!(read(&skipped), Err(JsonError::Limit(_))));
        assert!(matches!(Reader::new(skipped.as_bytes()).unwrap().skip(), Err(JsonError::Limit(_))));
    }
}

#[test]
fn values_and_digits_are_limited() {
    for text in [format!("[{}]", "[],".repeat(1 << 22)), "9".repeat(5000)] {
        assert!(matches!(read(&text), Err(JsonError::Limit(_))));
    }
}

/// Every byte, at every place in a word: ends are found wherever they are.
#[test]
fn strings_end_where_they_do() {
    for len in 0..20 {
        for special in ['"', '\\', '\u{1f}', '\u{7f}', '\u{80}', '\u{a2}', '\u{dc}', '!', '#', ' ', '[', ']']
        {
            let (before, after) = ("é".repeat(len), "x".repeat(9));
            let json = match special {
                '"' | '\\' => format!("\"{before}\\{special}{after}\" "),
                _ => format!("\"{before}{special}{after}\""),
            };
            let expected = Value::String(format!("{before}{special}{after}"));
            match special {
                '\u{1f}' => assert!(read(&json).is_err(), "{json}"),
                _ => assert_eq!(read(&json), Ok(expected), "{json}"),
            }
        }
    }
}

#[test]
fn values_fit_types_as_strict_json_does() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    enum Kind {
        Plain,
        With(u8),
    }
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Type {
        kinds: Vec<Kind>,
        pair: (String, f64),
        #[serde(default)]
        missing: Option<bool>,
    }
    let text = r#"{"kinds": ["Plain", {"With": 3}], "pair": ["a", 2], "other": NaN}"#;
    let value = read(text).unwrap();
    let expected = Type { kinds: vec![Kind::Plain, Kind::With(3)], pair: ("a".into(), 2.0), missing: None };
    assert_eq!(<Type as serde::Deserialize>::deserialize(&value), Ok(expected));
    for text in [
        r#"{"kinds": ["Plain"], "pair": ["a", 2, 3]}"#,
        r#"{"kinds": [1], "pair": ["a", 2]}"#,
        r#"{"kinds": [{"With": 3, "Plain": null}], "pair": ["a", 2]}"#,
        r#"{"kinds": [{"With": 300}], "pair": ["a", 2]}"#,
    ] {
        let value = read(text).unwrap();
        assert!(<Type as serde::Deserialize>::deserialize(&value).is_err(), "{text}");
    }
}

/// Limits of this program, not of Python.
#[test]
fn trees_stay_within_their_memory() {
    let within = |json: &str, most| parse_within(json.as_bytes(), Memory::new(most));
    for item in ["0", "[]", "{}", "\"x\"", "{\"a\": 0}"] {
        let json = format!("[{}0]", format!("{item},").repeat(20_000));
        assert!(within(&json, 1 << 19).unwrap_err().to_string().contains("MiB of memory"), "{item}");
        assert!(within(&json, 16 << 20).is_ok(), "{item}");
    }
    assert!(within(&format!("\"{}\"", "x".repeat(1 << 20)), 1 << 20).is_err());
    let list = format!("[{}0]", "0,".repeat(100_000));
    assert!(parse(format!("[{}0]", format!("{list},").repeat(10)).as_bytes()).is_err());

    let with = |json: &str| parse_object_with(json.as_bytes(), "a", Memory::new(1 << 24));
    let whole = format!("{{\"a\": {list}, \"b\": [1, {{}}], \"a\": {list}}}");
    assert_eq!(with(&whole).unwrap(), parse_object(whole.as_bytes()).unwrap());
    for json in ["", "[]", "{} 1", "{\"a\" 1}"] {
        assert_eq!(with(json).unwrap_err(), parse_object(json.as_bytes()).unwrap_err(), "{json}");
    }
}

#[test]
fn lists_of_one_form_are_read_as_others_are() {
    let texts = [
        r#"[["a","b"],["c","d"],["e","f"],["g","h"]]                        "#,
        "[\n [\n  \"a\",\n  2\n ],\n [\n  \"b\",\n  3\n ],\n [\n  ],\n [\n  \"c\"\n ],\n [],\n [\n  \"d\",\n  5\n ]\n]             ",
        r#"[ [ "a" , "b" ] , [ ] , [  ] , [ "c" ,"d"] ,[ "e", "f" ] , [ "g" , [ "h" , "i" ] ] ]                 "#,
        r#"[["a","b"],["c","d",]]                        "#,
        r#"[["a","b"],["c","d"}]                        "#,
        r#"[["a","b"],["c",,"d"]]                        "#,
        r#"[["a","b"],]                        "#,
        r#"[["a","b"],["c","d"]                        "#,
    ];
    for text in texts {
        let mut reader = Reader::new(text.as_bytes()).unwrap();
        let (mut gaps, mut lists) = (Gaps::default(), Vec::new());
        let read = reader.array(|reader| {
            let mut items = Vec::new();
            reader.array_like(&mut gaps, |reader| reader.value().map(|item| items.push(item)))?;
            lists.push(Value::Array(items));
            Ok(())
        });
        let found = read.and_then(|()| reader.end()).map(|()| Value::Array(lists));
        let message = |result: Result<Value, JsonError>| result.map_err(|error| error.to_string());
        assert_eq!(message(found), message(parse(text.as_bytes())), "{text}");
    }
}

#[test]
fn small_numbers_are_read_where_others_are_left() {
    for (text, expected) in
        [("0,         ", Some(0)), (" 999999999,    ", Some(999_999_999)), ("10]           ", Some(10))]
    {
        let mut reader = Reader::new(text.as_bytes()).unwrap();
        assert_eq!(
            (reader.small_number(), reader.peek().is_some_and(|b| b != b' ')),
            (expected, true),
            "{text}"
        );
    }
    for text in [
        "1",
        "1000000000     ",
        "01        ",
        "-1         ",
        "1.0        ",
        "1e2        ",
        "\"1\"        ",
        "x         ",
    ] {
        let mut reader = Reader::new(text.as_bytes()).unwrap();
        let first = reader.peek();
        assert_eq!((reader.small_number(), reader.peek()), (None, first), "{text}");
    }
}
