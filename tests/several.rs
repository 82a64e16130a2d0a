//! Several models and types in one `ggraft convert`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");

fn convert(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ggraft")).arg("convert").args(arguments).output().unwrap()
}

fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

/// A model like the tiny one, in a directory of another name.
fn copy(dir: &Path) -> String {
    fs::create_dir(dir).unwrap();
    for entry in fs::read_dir(TINY).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.join(path.file_name().unwrap())).unwrap();
    }
    dir.to_str().unwrap().to_owned()
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_model_is_written_in_every_type() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let other = copy(&dir.path().join("other-llama"));
    let to = out.to_str().unwrap();
    let done =
        convert(&[TINY, &other, "--outfile", to, "--outtype", "f16,q8_0,F16", "--no-reflink", "--json"]);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(
        names(&out),
        set([
            "Tiny-Llama-119K-F16.gguf",
            "Tiny-Llama-119K-Q8_0.gguf",
            "Other-Llama-119K-F16.gguf",
            "Other-Llama-119K-Q8_0.gguf"
        ])
    );
    let reports: Vec<serde_json::Value> =
        serde_json::Deserializer::from_slice(&done.stdout).into_iter().map(Result::unwrap).collect();
    let outputs = reports.iter().map(|report| report["outputs"][0]["path"].as_str().unwrap().to_owned());
    let outputs: Vec<_> = outputs.map(|path| path.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(outputs.iter().cloned().collect::<BTreeSet<_>>(), names(&out));
    assert_eq!(outputs[1], "Tiny-Llama-119K-Q8_0.gguf", "models in order, and types in order within them");
    let alone = dir.path().join("alone.gguf");
    assert!(
        convert(&[TINY, "--outtype", "q8_0", "--no-reflink", "--outfile", alone.to_str().unwrap()])
            .status
            .success()
    );
    assert_eq!(fs::read(alone).unwrap(), fs::read(out.join("Tiny-Llama-119K-Q8_0.gguf")).unwrap());
}

#[test]
fn what_fails_does_not_keep_the_others_from_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let (out, broken) = (dir.path().join("out"), dir.path().join("broken"));
    fs::create_dir(&out).unwrap();
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("config.json"), "{").unwrap();
    let done = convert(&[broken.to_str().unwrap(), TINY, "--outfile", out.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(4), "{done:?}");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.starts_with("ggraft: ") && said.contains("broken/config.json"), "{said}");
    assert_eq!(names(&out), set(["Tiny-Llama-119K-BF16.gguf"]));
}

#[test]
fn none_overwrites_another() {
    let dir = tempfile::tempdir().unwrap();
    let other = copy(&dir.path().join("tiny-llama"));
    let out = dir.path().join("out.gguf");
    let done = convert(&[TINY, &other, "--outfile", out.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(2), "{done:?}");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(
        said.contains("another of these conversions is written to") && said.contains("out.gguf, too"),
        "{said}"
    );
    assert_eq!(said.matches("wrote ").count(), 1, "{said}");
}

#[test]
fn several_are_for_files_only() {
    let one = convert(&[TINY, "--outtype", "f16,bf16", "--outfile", "-"]);
    assert_eq!((one.status.code(), one.stdout.len()), (Some(2), 0));
    let plan = Command::new(env!("CARGO_BIN_EXE_ggraft"))
        .args(["plan", TINY, "--outtype", "f16,bf16"])
        .output()
        .unwrap();
    assert_eq!(plan.status.code(), Some(2));
    assert!(String::from_utf8(plan.stderr).unwrap().contains("only `ggraft convert` takes several"));
}
