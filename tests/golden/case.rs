//! The golden cases: model directories, and the conversions to compare with the reference.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::common::model_dir::ModelDir;

/// One model directory and what is done with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Names the case in messages and in `expected.json`.
    #[allow(dead_code, reason = "not all tests name cases")]
    pub id: String,
    /// Which test runs it.
    #[allow(dead_code, reason = "the checkpoint writer has no use for it")]
    pub group: String,
    pub model: ModelDir,
    /// Flags, separated by spaces. `@out` stands for an empty directory, `@dir` for the model's.
    #[allow(dead_code, reason = "the checkpoint writer has no use for it")]
    pub convert: Vec<String>,
}

/// All cases, in the order of the file.
pub fn load() -> Vec<Case> {
    let path = tests_dir().join("golden/cases.json");
    let text = fs::read(&path).expect("tests/golden/cases.json");
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// `tests/` of this repository.
pub fn tests_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}
