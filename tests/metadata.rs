//! `general.*` keys and file names against the reference's, recorded by `scripts/goldens/metadata.py`.

use std::fs;
use std::path::{Path, PathBuf};

use ggraft::gguf::{KeyValues, Value};
use ggraft::metadata::{Inputs, Metadata, ParameterCount, fill_file_name_template};
use ggraft::source::ModelDir;
use serde_json::{Value as Json, json};

/// The golden's form of a value: type name and readable value, floats as their bits.
fn readable(value: &Value) -> Json {
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({"hex": bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()}),
    };
    match value {
        Value::String(bytes) => json!(["STRING", text(bytes)]),
        Value::U32(n) => json!(["UINT32", n]),
        Value::I32(n) => json!(["INT32", n]),
        Value::F32(f) => json!(["FLOAT32", f.to_bits()]),
        Value::Strings(items) => json!(["STRINGS", items.iter().map(text).collect::<Vec<_>>()]),
        Value::I32s(items) => json!(["INT32S", items]),
        Value::F32s(items) => json!(["FLOAT32S", items.iter().map(|f| f.to_bits()).collect::<Vec<_>>()]),
        Value::Bools(items) => json!(["BOOLS", items]),
        other => panic!("metadata has no such type: {other:?}"),
    }
}

/// A file of the case: text, or hexadecimal where it is not UTF-8.
fn content(case: &Json, file: &str) -> Option<Vec<u8>> {
    if let Some(text) = case[file].as_str() {
        return Some(text.as_bytes().to_vec());
    }
    let hex = case[format!("{file}_hex")].as_str()?;
    Some((0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect())
}

/// Key-values, file name and vocabulary's file name; errors are null.
fn run(case: &Json, root: &Path) -> [Json; 3] {
    // Joined as text: Path::join would drop what the case is about ("x/.").
    let mut dir = root.display().to_string();
    for part in case["dir"].as_str().unwrap().split('/') {
        dir = format!("{dir}/{part}");
        fs::create_dir_all(&dir).unwrap();
    }
    let dir = PathBuf::from(dir);
    let write =
        |file: &str, path: PathBuf| content(case, file).map(|bytes| fs::write(&path, bytes).map(|()| path));
    write("card", dir.join("README.md")).transpose().unwrap();
    write("config", dir.join("config.json")).transpose().unwrap();
    write("generation", dir.join("generation_config.json")).transpose().unwrap();
    let metadata_override = write("override", root.join("override.json")).transpose().unwrap();
    let param = |i: usize| case["params"][i].as_u64().unwrap_or(0);
    let loaded = Metadata::load(&Inputs {
        dir: &ModelDir::open(&dir).unwrap(),
        metadata_override: metadata_override.as_deref(),
        model_name: case["model_name"].as_str(),
        params: ParameterCount {
            total: param(0),
            shared: param(1),
            expert: param(2),
            expert_count: param(3),
            of_adapter: false,
        },
    });
    let Ok(metadata) = loaded else { return [Json::Null, Json::Null, Json::Null] };
    let mut kv = KeyValues::new();
    let kv = match metadata.write(&mut kv) {
        Ok(()) => {
            let row = |(key, value): (&str, &Value)| {
                let value = readable(value);
                json!([key, value[0], value[1]])
            };
            Json::Array(kv.iter().map(row).collect())
        }
        Err(_) => Json::Null,
    };
    let name = |vocab_only| metadata.default_file_name("BF16", vocab_only).map_or(Json::Null, Json::String);
    [kv, name(false), name(true)]
}

fn golden() -> Json {
    serde_json::from_str(include_str!("golden/metadata.json")).unwrap()
}

/// The reference's result; null where it raised.
fn expected(result: &Json) -> Json {
    if result.get("raised").is_some() { Json::Null } else { result.clone() }
}

#[test]
fn metadata_equals_the_references() {
    let golden = golden();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 1000);
    let mut failures = Vec::new();
    for case in cases {
        let root = tempfile::tempdir().unwrap();
        for (result, found) in ["kv", "file", "vocab_file"].iter().zip(run(case, root.path())) {
            let mut expected = expected(&case[result]);
            if *result != "kv"
                && let Json::String(name) = &mut expected
            {
                *name = tamed(name);
            }
            let deviates = case["deviates"] == true;
            if (found == expected) == deviates {
                let mut case = case.clone();
                case.as_object_mut()
                    .unwrap()
                    .retain(|key, _| !["kv", "file", "vocab_file"].contains(&key.as_str()));
                failures
                    .push(format!("{case}\n  {result}: expected {expected}\n  {result}: found    {found}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// The reference's name without what must not be in one.
fn tamed(name: &str) -> String {
    let name = name.replace(['/', '\0', '\t', '\n', '\u{1f}', '\u{2028}'], "-");
    match name.strip_prefix('-') {
        Some(rest) => format!("ggml-model-{}", rest.trim_start_matches('-')),
        None => name,
    }
}

/// A name from a stranger reaches a shell, a terminal and a log.
#[test]
fn file_names_are_harmless() {
    for (name, expected) in [
        ("a\u{1b}[31mb", "a-[31mb-BF16.gguf"),
        ("a\nb\rc\td\u{7f}e", "a-b-c-d-e-BF16.gguf"),
        ("a\u{9b}31m", "a-31m-BF16.gguf"),
        ("fdp\u{202e}fugg.\u{2066}x", "fdp-fugg.-x-BF16.gguf"),
        ("a\0b", "a-b-BF16.gguf"),
        ("../../etc/passwd", "..-..-etc-passwd-BF16.gguf"),
        ("--outfile=x", "ggml-model-outfile=x-BF16.gguf"),
        ("\u{1b}", "ggml-model-BF16.gguf"),
        ("", "ggml-model-BF16.gguf"),
        ("-/-", "ggml-model-BF16.gguf"),
        ("..", "..-BF16.gguf"),
        ("naïve 模型", "naïve-模型-BF16.gguf"),
    ] {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("m");
        fs::create_dir(&dir).unwrap();
        let settings = dir.join("metadata.json");
        fs::write(&settings, json!({"general.basename": name}).to_string()).unwrap();
        let metadata = Metadata::load(&Inputs {
            dir: &ModelDir::open(&dir).unwrap(),
            metadata_override: Some(&settings),
            model_name: Some("x"),
            params: ParameterCount::default(),
        });
        let metadata = metadata.unwrap();
        let found = metadata.default_file_name("BF16", false).unwrap();
        assert_eq!(found, expected, "{name:?}");
        let drafted = metadata.prediction_file_name("BF16").unwrap();
        assert!(drafted.starts_with("mtp-") && !drafted.contains(char::is_control), "{drafted:?}");
    }
}

#[test]
fn templates_are_filled_like_the_references() {
    for case in golden()["templates"].as_array().unwrap() {
        let template = case[0].as_str().unwrap();
        let found = fill_file_name_template(template, "Q8_0").map_or(Json::Null, Json::String);
        assert_eq!(found, expected(&case[1]), "{template}");
    }
}
