//! Adapters of small models of every family: each is converted, and what comes out must have the name, length and
//! SHA-256 of what the reference's `convert_lora_to_gguf.py` made of it (`golden/lora.json`, written by
//! `scripts/goldens/lora.py`).
//!
//! `cargo test --test lora FAMILY` runs those of one family.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;

mod common;
#[path = "golden/compare.rs"]
mod compare;

use common::model_dir::ModelDir;
use compare::{Conversion, compare_as};

#[derive(Deserialize)]
struct Goldens {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    base: ModelDir,
    adapter: ModelDir,
    runs: Vec<Conversion>,
}

fn main() {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    let text = fs::read(tests.join("golden/lora.json")).expect("golden/lora.json");
    let goldens: Goldens = serde_json::from_slice(&text).expect("goldens");
    let trials = goldens.cases.into_iter().map(|case| {
        let tokenizers = tests.join("tokenizers");
        Trial::test(case.id.clone(), move || check(&case, &tokenizers))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

fn check(case: &Case, tokenizers: &Path) -> Result<(), Failed> {
    if case.runs.is_empty() {
        return Err("no conversions".into());
    }
    let work = tempfile::tempdir()?;
    case.base.write(work.path(), tokenizers)?;
    case.adapter.write(work.path(), tokenizers)?;
    let adapter = work.path().join(&case.adapter.dir);
    for run in &case.runs {
        compare_as(&["lora"], &adapter, run).map_err(|problem| format!("{}: {problem}", run.convert))?;
    }
    Ok(())
}
