//! Small models of every family: each case of `conformance/FAMILY.json` is converted, and what comes out
//! must have the length and SHA-256 of what the reference made of the same model directory. The files are
//! written by `scripts/conformance/run.py`, and contain only what this program converts.
//!
//! `cargo test --test conformance FAMILY` runs one family. The first file of each case is held against its model by
//! `ggraft verify`; with `GGRAFT_TEST_VERIFY=each` all are.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;

mod common;
#[path = "golden/compare.rs"]
mod compare;

use common::model_dir::ModelDir;
use compare::{Conversion, compare};

/// The cases of a family.
#[derive(Deserialize)]
struct Family {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    model: ModelDir,
    runs: Vec<Run>,
}

/// A conversion of the case's model, cut into so many files.
#[derive(Deserialize)]
struct Run {
    shards: usize,
    #[serde(flatten)]
    conversion: Conversion,
}

fn main() {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut trials = Vec::new();
    for entry in fs::read_dir(tests.join("conformance")).expect("tests/conformance") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read(&path).expect("a file");
        let family: Family =
            serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for case in family.cases {
            let tokenizers = tests.join("tokenizers");
            trials.push(Trial::test(format!("{name}::{}", case.id), move || check(case, &tokenizers)));
        }
    }
    trials.sort_by(|a, b| a.name().cmp(b.name()));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn check(mut case: Case, tokenizers: &Path) -> Result<(), Failed> {
    if case.runs.is_empty() {
        return Err("no conversions".into());
    }
    for (i, run) in case.runs.iter().enumerate() {
        let work = tempfile::tempdir()?;
        case.model.weights.shards = run.shards;
        case.model.write(work.path(), tokenizers)?;
        let verified = i == 0 || std::env::var_os("GGRAFT_TEST_VERIFY").is_some();
        compare(&work.path().join(&case.model.dir), &run.conversion, verified)
            .map_err(|problem| format!("{} of {} files: {problem}", run.conversion.convert, run.shards))?;
    }
    Ok(())
}
