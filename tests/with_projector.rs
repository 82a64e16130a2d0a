//! `--with-mmproj`: model and projector in one run are what two runs make, and neither is there without the other.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::model_dir::ModelDir;
use serde_json::Value;

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// A small Qwen2-VL, with a tokenizer.
fn model(dir: &Path) -> PathBuf {
    let cases = fs::read(Path::new(TESTS).join("conformance/mmproj_qwen_vl.json")).unwrap();
    let cases: Value = serde_json::from_slice(&cases).unwrap();
    let mut model = cases["cases"][0]["model"].clone();
    model["tokenizer"] = "qwen2-trimmed".into();
    model["config"]["text_config"]["vocab_size"] = 151_936.into();
    let model: ModelDir = serde_json::from_value(model).unwrap();
    model.write(dir, &Path::new(TESTS).join("tokenizers")).unwrap();
    dir.join("tiny-qwen2-vl")
}

fn ggraft<'a>(args: impl IntoIterator<Item = &'a str>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ggraft")).args(args).output().unwrap()
}

fn convert(model: &Path, out: &Path, flags: &[&str]) -> Output {
    let [model, out] = [model, out].map(|path| path.to_str().unwrap());
    ggraft(["convert", model, "--outfile", out].into_iter().chain(flags.iter().copied()))
}

fn succeeds(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    stderr
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn both_files_are_what_two_runs_make() {
    let dir = tempfile::tempdir().unwrap();
    let (model, apart, together) = (model(dir.path()), dir.path().join("apart"), dir.path().join("together"));
    for out in [&apart, &together] {
        fs::create_dir(out).unwrap();
    }
    for kind in ["f16", "q8_0", "auto"] {
        let flags = ["--no-reflink", "--outtype", kind];
        let note = succeeds(&convert(&model, &apart, &flags));
        assert!(note.contains("--mmproj converts that part alone, --with-mmproj both"), "{note}");
        succeeds(&convert(&model, &apart, &[&flags[..], &["--mmproj"]].concat()));
        let report =
            succeeds(&convert(&model, &together, &[&flags[..], &["--with-mmproj", "--verify"]].concat()));
        assert!(!report.contains("left out"), "{report}");
    }
    assert_eq!(names(&apart), names(&together));
    assert_eq!(names(&together).len(), 6);
    for name in names(&apart) {
        assert_eq!(fs::read(apart.join(&name)).unwrap(), fs::read(together.join(&name)).unwrap(), "{name}");
    }
}

#[test]
fn a_projector_is_named_after_the_model_and_never_split() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (model(dir.path()), dir.path().join("out"));
    fs::create_dir(&out).unwrap();
    let flags = ["--with-mmproj", "--split-max-tensors", "8"];
    succeeds(&convert(&model, &out.join("m-{ftype}.gguf"), &flags));
    let found = names(&out);
    assert_eq!(found.first().unwrap(), "m-bf16-00001-of-00002.gguf");
    assert_eq!(found.last().unwrap(), "mmproj-m-bf16.gguf");
    let listed = convert(&model, &out.join("m-{ftype}.gguf"), &[&flags[..], &["--dry-run"]].concat());
    let listed = String::from_utf8(listed.stdout).unwrap();
    let listed: Vec<_> = listed.lines().map(|line| line.rsplit('/').next().unwrap()).collect();
    assert_eq!(listed, found);
    let planned = ggraft(["plan", model.to_str().unwrap(), "--with-mmproj", "--json"]);
    let planned: Value = serde_json::from_slice(&planned.stdout).unwrap();
    assert_eq!(planned["outputs"].as_array().unwrap().len(), 2);
}

#[test]
fn neither_is_there_without_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (model(dir.path()), dir.path().join("out"));
    fs::create_dir(&out).unwrap();
    // The second name is taken by what cannot be replaced.
    fs::create_dir(out.join("mmproj-m.gguf")).unwrap();
    let refused = convert(&model, &out.join("m.gguf"), &["--with-mmproj"]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
    assert_eq!(names(&out), ["mmproj-m.gguf"]);
    fs::remove_dir(out.join("mmproj-m.gguf")).unwrap();
    // What the projector needs, and the model does not.
    fs::remove_file(model.join("preprocessor_config.json")).unwrap();
    let refused = convert(&model, &out.join("m.gguf"), &["--with-mmproj"]);
    assert_eq!(refused.status.code(), Some(4), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(names(&out).is_empty());
    succeeds(&convert(&model, &out.join("m.gguf"), &[]));
}

/// As jobs of a batch: both in one, or each part in one of its own. What `--verify` proves is both files.
#[test]
fn batches_make_parts_and_wholes() {
    let dir = tempfile::tempdir().unwrap();
    let (model, path) = (model(dir.path()), |name: &str| dir.path().join(name));
    ["single", "whole", "parts"].iter().for_each(|name| fs::create_dir(path(name)).unwrap());
    let flags = ["--no-reflink", "--outtype", "q8_0"];
    succeeds(&convert(&model, &path("single/m.gguf"), &flags));
    succeeds(&convert(&model, &path("single/mmproj-m.gguf"), &[&flags[..], &["--mmproj"]].concat()));
    succeeds(&convert(&model, &path("single/vocab.gguf"), &[&flags[..], &["--vocab-only"]].concat()));
    let job = |more: Value| {
        let mut job = serde_json::json!({"model": model, "outtype": "q8_0", "no_reflink": true});
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        format!("{job}\n")
    };
    let whole = serde_json::json!({"name": "whole", "with_mmproj": true, "outfile": path("whole/m.gguf")});
    let parts = serde_json::json!({"name": "parts", "outputs": [
        {"mmproj": true, "outfile": path("parts/mmproj-m.gguf")},
        {"vocab_only": true, "outfile": path("parts/vocab.gguf")},
    ]});
    fs::write(path("jobs.jsonl"), job(whole) + &job(parts)).unwrap();
    let batch = |flags: &[&str]| {
        let output =
            ggraft(["batch", path("jobs.jsonl").to_str().unwrap()].into_iter().chain(flags.iter().copied()));
        let said = succeeds(&output);
        (String::from_utf8(output.stdout).unwrap(), said)
    };
    let len = |name: &str| fs::metadata(path("single").join(name)).unwrap().len();
    let bytes: u64 =
        ["m.gguf", "mmproj-m.gguf", "mmproj-m.gguf", "vocab.gguf"].iter().map(|name| len(name)).sum();
    let (lines, said) = batch(&["--dry-run"]);
    assert_eq!(lines.lines().filter(|line| line.starts_with("to do ")).count(), 3, "{lines}");
    let size = format!("3 to do ({:.2} MB", bytes as f64 / 1e6);
    assert!(said.contains(&size), "{said} does not say {size}");
    batch(&["--quiet"]);
    let same = |made: &str, expected: &str| {
        assert!(fs::read(path(made)).unwrap() == fs::read(path("single").join(expected)).unwrap(), "{made}");
    };
    let all = || {
        same("whole/m.gguf", "m.gguf");
        same("whole/mmproj-m.gguf", "mmproj-m.gguf");
        same("parts/mmproj-m.gguf", "mmproj-m.gguf");
        same("parts/vocab.gguf", "vocab.gguf");
    };
    all();
    assert!(batch(&[]).1.contains("0 finished, 0 failed, 3 skipped"));
    // A byte of the second file, at the time of the first: its size and times tell nothing.
    let damaged = path("whole/mmproj-m.gguf");
    let times = fs::FileTimes::new().set_modified(fs::metadata(&damaged).unwrap().modified().unwrap());
    let mut bytes = fs::read(&damaged).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let file = fs::File::options().write(true).open(&damaged).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    file.set_times(times).unwrap();
    drop(file);
    assert!(batch(&[]).1.contains("3 skipped"));
    assert!(batch(&["--verify"]).1.contains("1 finished, 0 failed, 2 skipped"));
    all();
}

#[test]
fn a_model_without_a_projector_is_converted_alone() {
    let dir = tempfile::tempdir().unwrap();
    let model: ModelDir = serde_json::from_value(serde_json::json!({
        "dir": "Blind", "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 96,
            "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 520,
        },
        "weights": {"seed": 1, "dtype": "bf16"},
    }))
    .unwrap();
    model.write(dir.path(), &Path::new(TESTS).join("tokenizers")).unwrap();
    let (model, out) = (dir.path().join("Blind"), dir.path().join("out"));
    fs::create_dir(&out).unwrap();
    let said = succeeds(&convert(&model, &out.join("m.gguf"), &["--with-mmproj"]));
    assert!(said.contains("this model has no projector"), "{said}");
    assert_eq!(names(&out), ["m.gguf"]);
    for flags in
        [["--with-mmproj", "--mmproj"], ["--with-mmproj", "--vocab-only"], ["--with-mmproj", "--mtp"]]
    {
        assert_eq!(convert(&model, &out.join("m.gguf"), &flags).status.code(), Some(2));
    }
}
