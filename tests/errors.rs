//! What `--json` prints where a command fails: one object with kind, place, message and hints.

use std::fs;
use std::path::Path;
use std::process::Command;

use ggraft::error::Error;
use serde_json::Value;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");

/// Runs a command that must fail; gives the error it prints, after checking what holds for all.
#[track_caller]
fn error(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_ggraft")).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let printed: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {arguments:?}: {said}"));
    assert_eq!(printed.as_object().unwrap().len(), 1);
    let error = printed["error"].clone();
    let fields: Vec<_> = error.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = ["kind", "file", "tensor", "message", "hints", "exit_code"];
    expected.sort_unstable();
    let mut sorted = fields.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!(error["exit_code"], output.status.code().unwrap());
    assert!(said.contains(error["message"].as_str().unwrap()), "{error}: {said}");
    for hint in error["hints"].as_array().unwrap() {
        assert!(said.lines().any(|line| line == format!("  hint: {}", hint.as_str().unwrap())), "{said}");
    }
    error
}

fn is(error: &Value, kind: &str, exit_code: i32, file: Option<&Path>) {
    assert_eq!((&error["kind"], &error["exit_code"]), (&kind.into(), &exit_code.into()), "{error}");
    assert_eq!(error["file"].as_str().map(Path::new), file, "{error}");
}

/// A copy of the tiny model in `parent`.
fn tiny(parent: &Path) -> std::path::PathBuf {
    let dir = parent.join("tiny-llama");
    fs::create_dir(&dir).unwrap();
    for entry in fs::read_dir(TINY).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
    }
    dir
}

#[test]
fn usage_is_told_with_its_place() {
    let found = error(&["convert", "/nonexistent/model", "--json"]);
    is(&found, "usage", 2, Some(Path::new("/nonexistent/model")));
    assert_eq!(found["hints"], serde_json::json!(["name the directory that holds a model"]));
    is(&error(&["plan", "--json", "--no-such-flag"]), "usage", 2, None);
    is(
        &error(&["align", "/nonexistent/model", "--check", "--json"]),
        "usage",
        2,
        Some(Path::new("/nonexistent/model")),
    );
}

#[test]
fn models_are_refused_with_their_place() {
    let scratch = tempfile::tempdir().unwrap();
    let model = tiny(scratch.path());
    let path = model.to_str().unwrap();
    let weights = model.join("model.safetensors");
    let config = model.join("config.json");

    let original = fs::read_to_string(&config).unwrap();
    fs::write(&config, original.replace("LlamaForCausalLM", "LlamaForCasualLM")).unwrap();
    let found = error(&["plan", path, "--json"]);
    is(&found, "unsupported", 3, Some(&config));
    assert_eq!(found["hints"][0], "did you mean LlamaForCausalLM?");
    assert!(!found["message"].as_str().unwrap().contains("did you mean"), "{found}");
    fs::write(&config, original).unwrap();

    fs::write(&weights, "version https://git-lfs.github.com/spec/v1").unwrap();
    let found = error(&["convert", path, "--json"]);
    is(&found, "invalid", 4, Some(&weights));
    assert_eq!(found["hints"][0], "run `git lfs pull` in the repository it is from");
    is(&error(&["inspect", path, "--json"]), "invalid", 4, Some(&weights));

    let header = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 4]].concat();
    fs::write(&weights, bytes).unwrap();
    let found = error(&["convert", path, "--json"]);
    is(&found, "invalid", 4, Some(&weights));
    assert_eq!(found["tensor"], "w");

    fs::remove_file(&weights).unwrap();
    is(&error(&["convert", path, "--json"]), "no-weights", 4, Some(&model));
}

#[test]
fn outputs_are_refused_with_their_place() {
    let scratch = tempfile::tempdir().unwrap();
    let model = tiny(scratch.path());
    let target = scratch.path().to_str().unwrap();
    let found = error(&[
        "convert",
        model.to_str().unwrap(),
        "--outfile",
        &format!("{target}/tiny-llama/model.safetensors"),
        "--json",
    ]);
    is(&found, "usage", 2, Some(&model.join("model.safetensors")));
    // No file takes anything there.
    let found = error(&["convert", model.to_str().unwrap(), "--outfile", "/proc/ggraft.gguf", "--json"]);
    assert_eq!((&found["kind"], &found["exit_code"]), (&"io".into(), &1.into()), "{found}");
}

/// Kinds that no command line leads to on every machine.
#[test]
fn each_kind_has_its_word_and_exit_code() {
    let locked = Error::Locked { path: "m".into(), holder: "process 1".into() };
    for (error, kind, exit_code, hints) in [
        (locked, "locked", 1, 1),
        (Error::Internal("x".into()), "internal", 1, 1),
        (Error::cannot_share("x").about("m"), "cannot-share", 5, 0),
        (Error::Jobs { failed: 1, jobs: 2 }, "jobs", 7, 0),
        (Error::Interrupted, "interrupted", 130, 0),
        (Error::io("cannot write", "m", std::io::ErrorKind::FileTooLarge.into()), "io", 1, 1),
    ] {
        let json = error.to_json();
        assert_eq!((&json["kind"], &json["exit_code"]), (&kind.into(), &exit_code.into()), "{json}");
        assert_eq!(json["hints"].as_array().unwrap().len(), hints, "{json}");
        assert_eq!(json["message"], error.to_string());
    }
}
