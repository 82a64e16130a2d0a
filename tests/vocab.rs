//! Vocabularies: every variation of the small tokenizers in `golden/vocab.json` gives the `tokenizer.*`
//! keys that the reference wrote, or is refused where the reference refuses (recorded by
//! `scripts/goldens/vocab.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::{Map, Value};

#[path = "golden/manifest.rs"]
mod manifest;
#[path = "golden/routes.rs"]
mod routes;

#[derive(Deserialize)]
struct Goldens {
    bases: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    /// A directory of `tests/tokenizers`.
    base: String,
    /// The route to take, whatever the architecture.
    route: Option<String>,
    /// The reference converts it, this program says that it does not.
    #[serde(default)]
    unsupported: bool,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    set: Map<String, Value>,
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Keys(Vec<String>),
    /// Token ids with this hash belong to no pre-tokenizer that the reference knows.
    UnknownHash(String),
    Raises(String),
}

#[test]
fn gpt2() {
    check("gpt2-trimmed");
}

#[test]
fn llama_hf() {
    check("llama-hf");
}

#[test]
fn llama3() {
    check("llama3-trimmed");
}

#[test]
fn qwen2() {
    check("qwen2-trimmed");
}

#[test]
fn smollm() {
    check("smollm-trimmed");
}

#[test]
fn spm() {
    check("spm");
}

#[test]
fn wordpiece() {
    check("wordpiece");
}

#[test]
fn tekken() {
    check("tekken");
}

#[test]
fn t5() {
    check("t5");
}

#[test]
fn xlm_roberta() {
    check("xlm-roberta");
    check("xlm-roberta-model");
}

#[test]
#[rustfmt::skip]
fn every_case_is_run() {
    let tested = [
        "gpt2-trimmed", "llama-hf", "llama3-trimmed", "qwen2-trimmed", "smollm-trimmed", "spm", "t5", "tekken",
        "wordpiece", "xlm-roberta", "xlm-roberta-model",
    ];
    let goldens = goldens();
    assert_eq!(goldens.bases.keys().map(String::as_str).collect::<Vec<_>>(), tested);
    assert!(goldens.cases.iter().all(|case| goldens.bases.contains_key(&case.base)));
}

fn tests_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn goldens() -> Goldens {
    let text = fs::read(tests_dir().join("golden/vocab.json")).expect("tests/golden/vocab.json");
    serde_json::from_slice(&text).expect("what scripts/goldens/vocab.py writes")
}

/// Converts every case of `base` and reports all that differ.
fn check(base: &str) {
    let goldens = goldens();
    let config = &goldens.bases[base];
    let mut failures = vec![];
    for case in goldens.cases.iter().filter(|case| case.base == base) {
        let work = tempfile::tempdir().expect("a temporary directory");
        let model = work.path().join("model");
        write(&model, &files(case, config));
        if let Err(difference) = compare(case, &model) {
            failures.push(format!("{}\n    {difference}", case.id));
        }
    }
    assert!(failures.is_empty(), "{} vocabularies differ:\n{}", failures.len(), failures.join("\n"));
}

fn compare(case: &Case, model: &Path) -> Result<(), String> {
    let (code, message, made) = match &case.route {
        Some(route) => match routes::convert(route, model) {
            Ok(made) => (0, String::new(), Some(made)),
            Err(error) => {
                let lines = std::iter::once(error.to_string());
                let lines = lines.chain(error.hints().into_iter().map(|hint| format!("  hint: {hint}")));
                (i32::from(error.exit_code()), lines.collect::<Vec<_>>().join("\n"), None)
            }
        },
        None => convert(model),
    };
    let refused = made.is_none()
        && matches!(code, 3 | 4)
        && message.lines().filter(|line| !line.starts_with("  hint: ")).count() == 1;
    match &case.expected {
        _ if case.unsupported => match (refused, code) {
            (true, 3) => Ok(()),
            _ => Err(format!("is to be refused with exit code 3, but this is {code}: {message}")),
        },
        Expected::Raises(_) if refused => Ok(()),
        Expected::UnknownHash(hash)
            if refused && code == 3 && message.contains(hash) && message.contains("report the hash") =>
        {
            Ok(())
        }
        Expected::Raises(reason) | Expected::UnknownHash(reason) => {
            Err(format!("the reference refuses ({reason}), but this is {code}: {message}"))
        }
        Expected::Keys(expected) => {
            let data = made.ok_or_else(|| format!("{code}: {}", message.trim()))?;
            let found = manifest::read(&data).ok_or("not a complete GGUF file")?.keys;
            let found: Vec<_> = found.into_iter().filter(|line| line.starts_with("tokenizer.")).collect();
            let longest = found.len().max(expected.len());
            match (0..longest).find(|&i| found.get(i) != expected.get(i)) {
                None => Ok(()),
                Some(i) => Err(format!("line {i} is {:?}\n    expected {:?}", found.get(i), expected.get(i))),
            }
        }
    }
}

/// Exit code, standard error and output of `ggraft convert --vocab-only`.
fn convert(model: &Path) -> (i32, String, Option<Vec<u8>>) {
    let out = model.with_file_name("vocab.gguf");
    let run = Command::new(env!("CARGO_BIN_EXE_ggraft"))
        .arg("convert")
        .arg(model)
        .args(["--vocab-only", "--quiet", "--outfile"])
        .arg(&out)
        .output()
        .expect("ggraft runs");
    let message = String::from_utf8_lossy(&run.stderr).into_owned();
    (run.status.code().unwrap_or(-1), message, fs::read(out).ok())
}

enum Content {
    Json(Value),
    Bytes(Vec<u8>),
}

/// The files of a case, by name.
fn files(case: &Case, config: &Value) -> BTreeMap<String, Content> {
    let mut files = BTreeMap::from([("config.json".to_owned(), Content::Json(config.clone()))]);
    let base = tests_dir().join("tokenizers").join(&case.base);
    for entry in fs::read_dir(base).expect("a tokenizer").map(|e| e.expect("an entry")) {
        let name = entry.file_name().into_string().expect("UTF-8");
        let bytes = fs::read(entry.path()).expect("a file");
        let content = match name.ends_with(".json") {
            true => Content::Json(serde_json::from_slice(&bytes).expect("JSON")),
            false => Content::Bytes(bytes),
        };
        if name != "expected.json" {
            files.insert(name, content);
        }
    }
    for place in &case.remove {
        let Some((name, pointer)) = place.split_once('#') else {
            files.remove(place);
            continue;
        };
        let (parent, key) = parent(&mut files, name, pointer);
        parent.as_object_mut().expect("an object").shift_remove(&key);
    }
    for (place, value) in &case.set {
        let Some((name, pointer)) = place.split_once('#') else {
            let content = match value {
                Value::String(text) => Content::Bytes(text.as_bytes().to_vec()),
                value => Content::Json(value.clone()),
            };
            files.insert(place.clone(), content);
            continue;
        };
        match parent(&mut files, name, pointer) {
            (Value::Array(list), key) if key == "-" => list.push(value.clone()),
            (Value::Array(list), key) => list[key.parse::<usize>().expect("an index")] = value.clone(),
            (parent, key) => _ = parent.as_object_mut().expect("an object").insert(key, value.clone()),
        }
    }
    files
}

/// The container of a changed place in file `name`, and the key in it.
fn parent<'a>(
    files: &'a mut BTreeMap<String, Content>,
    name: &str,
    pointer: &str,
) -> (&'a mut Value, String) {
    let (parent, key) = pointer.rsplit_once('/').expect("a JSON pointer");
    match files.get_mut(name) {
        Some(Content::Json(json)) => (json.pointer_mut(parent).expect("a place"), key.to_owned()),
        _ => panic!("{name} is no JSON file"),
    }
}

fn write(dir: &Path, files: &BTreeMap<String, Content>) {
    for (name, content) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        let bytes = match content {
            Content::Json(json) => json.to_string().into_bytes(),
            Content::Bytes(bytes) => bytes.clone(),
        };
        fs::write(path, bytes).expect("a file");
    }
}
