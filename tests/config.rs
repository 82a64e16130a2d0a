//! Many small `config.json` files, each read as the reference reads it (`scripts/goldens/configs.py`).

use std::fs;
use std::path::Path;

use ggraft::config::Config;
use ggraft::json::{self, Map, Value};

fn golden() -> Vec<(Map<String, Value>, Value)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/configs.json");
    let Value::Array(cases) = json::parse(&fs::read(path).unwrap()).unwrap() else { panic!("no cases") };
    let pair = |case: Value| match case {
        Value::Array(pair) => <[Value; 2]>::try_from(pair).unwrap(),
        other => panic!("{other}"),
    };
    let case = |[json, expected]: [Value; 2]| (json.as_object().unwrap().clone(), expected);
    cases.into_iter().map(pair).map(case).collect()
}

fn read(json: Map<String, Value>) -> Config {
    Config::from_json("model/config.json".into(), json).unwrap()
}

/// Differences between what the reference reads and what is read here.
fn differences(json: &Map<String, Value>, expected: &Value, first: &Map<String, Value>) -> Vec<String> {
    let mut found = read(json.clone()).map().clone();
    if let Some(Value::Object(text)) = found.get("text_config").cloned() {
        found.extend(text);
    }
    let set = expected.get("set").and_then(Value::as_object).unwrap();
    let unset = expected.get("unset").and_then(Value::as_array).unwrap();
    let mut expected: Map<String, Value> = first.clone();
    expected.extend(set.clone());
    expected.retain(|key, _| !unset.contains(&Value::from(key.as_str())));
    // What is no number equals nothing.
    let same = |a: &Value, b: &Value| a == b || a.to_string() == b.to_string();
    let differs = expected.iter().filter(|(key, value)| !found.get(*key).is_some_and(|v| same(v, value)));
    let missing = differs.map(|(key, value)| format!("{key} is {:?}, expected {value}", found.get(key)));
    let beyond = unset.iter().filter_map(Value::as_str).filter(|key| found.contains_key(*key));
    missing.chain(beyond.map(|key| format!("{key} is set"))).collect()
}

#[test]
fn files_are_read_as_the_reference_reads_them() {
    let mut failures = Vec::new();
    let mut first = Map::new();
    let mut kind = Value::Null;
    let mut compared = 0;
    for (json, expected) in golden() {
        let starts = kind != json["model_type"];
        kind = json["model_type"].clone();
        if expected.is_null() {
            // Refused by the class: nothing is added to the file.
            let found = read(json.clone());
            if found.map().contains_key("_name_or_path") {
                failures.push(format!("{}: is accepted", Value::Object(json)));
            }
        } else {
            let base = if starts { Map::new() } else { first.clone() };
            let differences = differences(&json, &expected, &base);
            if !differences.is_empty() {
                failures.push(format!("{}:\n    {}", Value::Object(json), differences.join("\n    ")));
            }
            if starts {
                first = expected.get("set").and_then(Value::as_object).unwrap().clone();
            }
        }
        compared += 1;
    }
    assert!(failures.is_empty(), "{} files differ:\n{}", failures.len(), failures.join("\n"));
    assert!(compared > 1000, "only {compared} files were compared");
}

/// Whatever a stranger writes where, the file is read or refused.
#[test]
fn no_value_anywhere_causes_a_panic() {
    let hostile = [
        "null",
        "true",
        "0",
        "-1",
        "18446744073709551615",
        "-9223372036854775808",
        "1e308",
        "NaN",
        "-Infinity",
        r#"{"__float__": "Infinity"}"#,
        r#""""#,
        r#""auto""#,
        r#""\ud800""#,
        "[]",
        "[[]]",
        "{}",
        r#"{"full_attention": [], "rope_type": "longrope", "model_type": "llava", "99": {}}"#,
    ];
    let hostile = hostile.map(|text| json::parse(text.as_bytes()).unwrap());
    let cases = golden();
    let mut defaults = Map::new();
    for (at, (json, expected)) in cases.iter().enumerate() {
        let starts = at == 0 || cases[at - 1].0["model_type"] != json["model_type"];
        if starts {
            defaults = expected.get("set").and_then(Value::as_object).cloned().unwrap_or_default();
        }
        let keys: Vec<&String> = json.keys().chain(defaults.keys().filter(|_| starts)).collect();
        for (key, value) in keys.iter().flat_map(|key| hostile.iter().map(move |value| (key, value))) {
            let mut json = json.clone();
            json.insert((*key).clone(), value.clone());
            let _: Result<Config, _> = Config::from_json("model/config.json".into(), json);
        }
    }
}
