//! Converts a model directory, and compares the files with what the reference made of it. What is the
//! reference's, `ggraft verify` must find equal.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

#[path = "manifest.rs"]
mod manifest;

/// What the reference made of a case with some flags.
#[derive(Deserialize)]
pub struct Conversion {
    /// Its flags, separated by spaces.
    pub convert: String,
    /// Why it refused.
    raises: Option<String>,
    #[serde(default)]
    pub files: Vec<File>,
}

#[derive(Deserialize)]
pub struct File {
    /// Below `@out` or `@dir`.
    path: String,
    bytes: usize,
    sha256: String,
    /// What is in it: a line for each key, and one for each tensor. Empty where nobody asked.
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    tensors: Vec<String>,
}

/// Converts `model` and compares what was made with what the reference made; with `verified`, `ggraft verify` must find it equal, too.
#[allow(dead_code, reason = "not all tests convert models")]
pub fn compare(model: &Path, expected: &Conversion, verified: bool) -> Result<(), String> {
    convert(&["convert", "--no-reflink"], model, expected, verified)
}

/// The same with another command and its flags.
#[allow(dead_code, reason = "most tests convert whole models")]
pub fn compare_as(command: &[&str], model: &Path, expected: &Conversion) -> Result<(), String> {
    convert(command, model, expected, false)
}

fn convert(command: &[&str], model: &Path, expected: &Conversion, verified: bool) -> Result<(), String> {
    let out = tempfile::tempdir().expect("a temporary directory");
    let roots = [("@out", out.path()), ("@dir", model), ("@base", &model.with_file_name("base"))];
    let place = |text: &str| {
        roots
            .iter()
            .fold(text.to_owned(), |text, (mark, root)| text.replace(mark, &root.display().to_string()))
    };
    let before: BTreeSet<PathBuf> = list(model);
    let run = Command::new(env!("CARGO_BIN_EXE_ggraft"))
        .args(command)
        .arg("--quiet")
        .arg(model)
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
        })?;
        let flags: Vec<String> = expected.convert.split_whitespace().map(place).collect();
        let mut sets = expected.files.iter().filter(|file| verified && is_first(&file.path));
        sets.try_for_each(|file| verify(&place(&file.path), model, &flags))
    })();
    for path in &list(model) - &before {
        fs::remove_file(path).expect("an output file");
    }
    result
}

/// Flags that a file does not tell of, and whether they take a value.
const TOLD: [(&str, bool); 5] = [
    ("--model-name", true),
    ("--metadata", true),
    ("--target-model-dir", true),
    ("--mistral-format", false),
    ("--disable-mistral-community-chat-template", false),
];

/// Whether a file is the first of its set: of those that are split, one is enough.
fn is_first(path: &str) -> bool {
    let no = path.rsplit_once("-of-").and_then(|(name, _)| name.get(name.len().saturating_sub(5)..));
    no.is_none_or(|no| no == "00001")
}

/// Holds `file`, which is the reference's to the byte, against `model`.
fn verify(file: &str, model: &Path, flags: &[String]) -> Result<(), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.arg("verify").arg(file).arg(model);
    for (i, flag) in flags.iter().enumerate() {
        if let Some((_, value)) = TOLD.iter().find(|(name, _)| name == flag) {
            command.args(&flags[i..=i + usize::from(*value)]);
        }
    }
    let run = command.output().expect("ggraft runs");
    match run.status.code() {
        Some(0) => Ok(()),
        _ => Err(format!(
            "verify refuses the reference's file: {}: {}{}",
            run.status,
            String::from_utf8_lossy(&run.stdout),
            String::from_utf8_lossy(&run.stderr)
        )),
    }
}

fn list(dir: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()).collect()
}

/// How `data` differs from the expected file: the first key or tensor that does.
fn difference(data: &[u8], expected: &File) -> Option<String> {
    if data.len() == expected.bytes && manifest::sha256(data) == expected.sha256 {
        return None;
    }
    if expected.keys.is_empty() {
        return Some("the bytes differ; scripts/conformance/run.py shows where".into());
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
