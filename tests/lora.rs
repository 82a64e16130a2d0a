//! Adapters of small models of every family: each is converted, and what comes out must have the name, length and
//! SHA-256 of what the reference's `convert_lora_to_gguf.py` made of it (`golden/lora.json`, written by
//! `scripts/goldens/lora.py`).
//!
//! `cargo test --test lora FAMILY` runs those of one family.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// What the reference refuses, or spoils, by mistake.
const DEPARTURES: [(&str, &str); 5] = [
    ("gemma-gemma3n-", "its class asks pairs for `numel`, which they do not have"),
    ("mistral3-ministral3", "its class hands over to another one, and an empty model is written"),
    (
        "muse_glimmer-muse-glimmer-layers-self_attn-k_proj",
        "its class asks pairs for `ndim`, which they do not have",
    ),
    ("muse_glimmer-muse-glimmer-layers-self_attn-q_proj", "likewise"),
    ("qwen-qwen3next-linear_attn-in_proj_qkvz", "it cuts and joins along columns, where rows would do"),
];

/// Of a departure: that there are factors, and the rest as the reference would have it.
fn check_departure(adapter: &Path, base: &Path) -> Result<(), Failed> {
    let out = adapter.join("out.gguf");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.args(["lora", "--quiet"]).arg(adapter).arg("--base").arg(base).arg("--outfile").arg(&out);
    let run = command.output()?;
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).into_owned().into());
    }
    let text = fs::read(out)?;
    let has = |part: &str| text.windows(part.len()).any(|found| found == part.as_bytes());
    let parts = ["adapter.lora.alpha", ".weight.lora_a", ".weight.lora_b"];
    if parts.into_iter().all(has) { Ok(()) } else { Err("no factors".into()) }
}

fn check(case: &Case, tokenizers: &Path) -> Result<(), Failed> {
    if case.runs.is_empty() {
        return Err("no conversions".into());
    }
    let work = tempfile::tempdir()?;
    case.base.write(work.path(), tokenizers)?;
    case.adapter.write(work.path(), tokenizers)?;
    let adapter = work.path().join(&case.adapter.dir);
    if DEPARTURES.iter().any(|(id, _)| *id == case.id) {
        return check_departure(&adapter, &work.path().join("base"));
    }
    for run in &case.runs {
        compare_as(&["lora"], &adapter, run).map_err(|problem| format!("{}: {problem}", run.convert))?;
    }
    Ok(())
}
