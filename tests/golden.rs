//! Whole files, byte for byte: every case of `golden/cases.json` is converted, and what comes out must
//! have the name, length and SHA-256 of what the reference made of the same model directory
//! (`golden/expected.json`, written by `scripts/goldens/convert.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde::Deserialize;

#[path = "golden/case.rs"]
mod case;
mod common;
#[path = "golden/compare.rs"]
mod compare;

use case::Case;
use compare::{Conversion, compare};

#[derive(Deserialize)]
struct Expected {
    cases: BTreeMap<String, Vec<Conversion>>,
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
        "fp8",
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
            if let Err(difference) = compare(&model, conversion, true) {
                failures.push(format!("{} {}\n    {difference}", case.id, conversion.convert));
            }
        }
    }
    assert!(failures.is_empty(), "{} conversions differ:\n{}", failures.len(), failures.join("\n"));
}
