//! `cargo run --example golden_checkpoints -- OUT [CASES]`: writes every model directory of
//! `tests/golden/cases.json`, or of another such file, to `OUT/ID/NAME`, for the scripts that run the
//! reference on them.

use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Deserialize;

#[path = "../common/mod.rs"]
mod common;

/// What of a case matters here.
#[derive(Deserialize)]
struct Case {
    id: String,
    model: common::model_dir::ModelDir,
}

fn main() {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut arguments = env::args_os().skip(1);
    let out = arguments.next().expect("usage: golden_checkpoints OUT [CASES]");
    let cases = arguments.next().map_or_else(|| tests.join("golden/cases.json"), PathBuf::from);
    let text = fs::read(&cases).unwrap_or_else(|e| panic!("{}: {e}", cases.display()));
    let cases: Vec<Case> =
        serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", cases.display()));
    for case in cases {
        let parent = Path::new(&out).join(&case.id);
        case.model.write(&parent, &tests.join("tokenizers")).unwrap_or_else(|e| panic!("{}: {e}", case.id));
    }
}
