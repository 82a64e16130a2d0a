//! Whole files, byte for byte: every case of `golden/cases.json` is converted, and what comes out must
//! have the name, length and SHA-256 of what the reference made of the same model directory
//! (`golden/expected.json`, written by `scripts/goldens/convert.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

#[path = "golden/case.rs"]
mod case;
mod common;
#[path = "golden/manifest.rs"]
mod manifest;

use case::Case;

#[derive(Deserialize)]
struct Expected {
    cases: BTreeMap<String, Vec<Conversion>>,
}

/// What the reference made of a case with some flags.
#[derive(Deserialize)]
struct Conversion {
    convert: String,
    /// Why it refused.
    raises: Option<String>,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    /// Below `@out` or `@dir`.
    path: String,
    bytes: usize,
    sha256: String,
    keys: Vec<String>,
    tensors: Vec<String>,
}

#[test]
fn dtypes() {
    check("dtypes");
}

#[test]
fn files() {
    check("files");
}

#[test]
fn fp8() {
    check("fp8");
}

#[test]
fn llama() {
    check("llama");
}

#[test]
fn metadata() {
    check("metadata");
}

#[test]
fn mistral() {
    check("mistral");
}

#[test]
fn quantized() {
    check("quantized");
}

#[test]
fn qwen() {
    check("qwen");
}

#[test]
fn refused() {
    check("refused");
}

#[test]
fn splits() {
    check("splits");
}

#[test]
fn vocab() {
    check("vocab");
}

#[test]
fn every_case_is_run_and_expected() {
    let tested = [
        "dtypes",
        "files",
        "llama",
        "metadata",
        "mistral",
        "quantized",
        "qwen",
        "refused",
        "splits",
        "vocab",
    ];
    let groups: BTreeSet<String> = case::load().into_iter().map(|c| c.group).collect();
    assert_eq!(groups.iter().map(String::as_str).collect::<Vec<_>>(), tested);

    let flags = |c: Case| (c.id, c.convert);
    let cases: BTreeMap<_, _> = case::load().into_iter().map(flags).collect();
    let expected = expected().cases.into_iter();
    let expected = expected.map(|(id, done)| (id, done.into_iter().map(|c| c.convert).collect())).collect();
    assert_eq!(cases, expected, "run scripts/goldens/convert.py");
}

fn expected() -> Expected {
    let text = fs::read(case::tests_dir().join("golden/expected.json")).expect("tests/golden/expected.json");
    serde_json::from_slice(&text).expect("what scripts/goldens/convert.py writes")
}

/// Runs all conversions of a group and reports all that differ.
fn check(group: &str) {
    let expected = expected();
    let mut failures = vec![];
    for case in case::load().iter().filter(|c| c.group == group) {
        let work = tempfile::tempdir().expect("a temporary directory");
        case.model.write(work.path(), &case::tests_dir().join("tokenizers")).expect("the model directory");
        let model = work.path().join(&case.model.dir);
        for conversion in &expected.cases[&case.id] {
            if let Err(difference) = compare(&model, conversion) {
                failures.push(format!("{} {}\n    {difference}", case.id, conversion.convert));
            }
        }
    }
    assert!(failures.is_empty(), "{} conversions differ:\n{}", failures.len(), failures.join("\n"));
}

/// Converts `model` and compares what was made with what the reference made.
fn compare(model: &Path, expected: &Conversion) -> Result<(), String> {
    let out = tempfile::tempdir().expect("a temporary directory");
    let roots = [("@out", out.path()), ("@dir", model)];
    let place = |text: &str| {
        roots
            .iter()
            .fold(text.to_owned(), |text, (mark, root)| text.replace(mark, &root.display().to_string()))
    };
    let before: BTreeSet<PathBuf> = list(model);
    let run = Command::new(env!("CARGO_BIN_EXE_ggraft"))
        .arg("convert")
        .arg(model)
        .args(["--no-reflink", "--quiet"])
        .args(expected.convert.split_whitespace().map(place))
        .output()
        .expect("ggraft runs");
    let made: BTreeSet<PathBuf> = &list(out.path()) | &(&list(model) - &before);
    let result = (|| {
        let message = String::from_utf8_lossy(&run.stderr);
        let code = run.status.code();
        if let Some(reason) = &expected.raises {
            return match code {
                Some(3 | 4) if made.is_empty() => Ok(()),
                Some(3 | 4) => Err(format!("refused, but left {made:?}")),
                _ => Err(format!("the reference refuses ({reason}), but this is {}: {message}", run.status)),
            };
        }
        if code != Some(0) {
            return Err(format!("{}: {}", run.status, message.trim()));
        }
        let wanted: BTreeSet<PathBuf> = expected.files.iter().map(|f| place(&f.path).into()).collect();
        if made != wanted {
            return Err(format!("made {made:?}\n    expected {wanted:?}"));
        }
        expected.files.iter().try_for_each(|file| {
            let data = fs::read(place(&file.path)).map_err(|e| e.to_string())?;
            difference(&data, file).map_or(Ok(()), |d| Err(format!("{}: {d}", file.path)))
        })
    })();
    for path in &list(model) - &before {
        fs::remove_file(path).expect("an output file");
    }
    result
}

fn list(dir: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()).collect()
}

/// How `data` differs from the expected file: the first key or tensor that does.
fn difference(data: &[u8], expected: &File) -> Option<String> {
    if data.len() == expected.bytes && manifest::sha256(data) == expected.sha256 {
        return None;
    }
    let Some(found) = manifest::read(data) else {
        return Some("not a complete GGUF file".into());
    };
    first_difference(&found.keys, &expected.keys)
        .or_else(|| first_difference(&found.tensors, &expected.tensors))
        .or_else(|| {
            let lengths = format!("{} bytes, expected {}", data.len(), expected.bytes);
            Some(format!("keys and tensors agree, the bytes between or after them do not ({lengths})"))
        })
}

fn first_difference(found: &[String], expected: &[String]) -> Option<String> {
    let longest = found.len().max(expected.len());
    let at = (0..longest).find(|&i| found.get(i) != expected.get(i))?;
    let show = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "nothing".into());
    Some(format!("line {at} is\n      {}\n    expected\n      {}", show(found), show(expected)))
}
