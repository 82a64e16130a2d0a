//! What people mistake for a model, or ask for in other words: each is told what it is and what to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");

fn ggraft(arguments: &[&str]) -> Output {
    // Tests ask nobody else; what hubs say is in tests/hub.rs.
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.env("HF_HUB_OFFLINE", "1").args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Runs a command that must fail with `code` and say all of `expected`.
#[track_caller]
fn says(arguments: &[&str], code: i32, expected: &[&str]) {
    let output = ggraft(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    for text in expected {
        assert!(said.contains(text), "{arguments:?} does not say {text:?}:\n{said}");
    }
}

/// A directory with these files, below `parent`.
fn directory(parent: &Path, name: &str, files: &[(&str, &str)]) -> String {
    for (file, content) in files {
        let path = parent.join(name).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    parent.join(name).to_str().unwrap().to_owned()
}

/// A copy of the tiny model, below `parent`.
fn tiny(parent: &Path) -> PathBuf {
    let model = parent.join("tiny");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(TINY).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    model
}

#[test]
fn paths_that_are_no_directories() {
    let scratch = tempfile::tempdir().unwrap();
    let gguf = scratch.path().join("a.gguf");
    fs::write(&gguf, "GGUF").unwrap();
    let gguf = gguf.to_str().unwrap();
    says(&["convert", gguf], 2, &["is not a directory but a GGUF file", "hint: `ggraft inspect"]);
    let weights = format!("{TINY}/model.safetensors");
    says(
        &["convert", &weights],
        2,
        &["one of a model's files", &format!("name the directory it is in: {TINY}")],
    );
    says(
        &["plan", "no-such-org/no-such-name"],
        2,
        &[
            "hf://no-such-org/no-such-name",
            "HF_HUB_OFFLINE",
            "the cache does not have it",
            "or name a directory",
        ],
    );
    says(
        &["align", "no-such-org/no-such-name", "--check"],
        2,
        &["nothing of that name", "`ggraft pull no-such-org/"],
    );
    says(&["convert", "./nosuch"], 2, &["nothing of that name", "name the directory that holds a model"]);
}

#[test]
fn directories_that_hold_no_model() {
    let scratch = tempfile::tempdir().unwrap();
    let at = scratch.path();
    let adapter =
        directory(at, "adapter", &[("adapter_config.json", "{}"), ("adapter_model.safetensors", "")]);
    says(&["convert", &adapter], 3, &["is an adapter", "`ggraft lora` converts it"]);
    let pipeline = directory(at, "pipeline", &[("model_index.json", "{}"), ("unet/config.json", "{}")]);
    says(&["convert", &pipeline], 3, &["is a diffusers pipeline"]);
    let mistral = directory(at, "mistral", &[("params.json", "{}"), ("consolidated.safetensors", "")]);
    says(&["convert", &mistral], 4, &["Mistral's own format", "--mistral-format"]);
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let config = format!("models--a--b/snapshots/{commit}/config.json");
    let cache = directory(at, "hub", &[(&config, "{}"), ("models--a--b/refs/main", commit)]);
    says(&["convert", &cache], 4, &["is a Hugging Face cache", &format!("{cache}/models--a--b/snapshots")]);
    let repository = format!("{cache}/models--a--b");
    let snapshot = format!("{repository}/snapshots/{commit}");
    says(&["convert", &repository], 4, &["a repository of the Hugging Face cache", &snapshot]);
    let models = directory(at, "models", &[("a/notes.txt", ""), ("b/config.json", "{}")]);
    let hint = format!("hint: there is a model in it: {models}/b; `ggraft batch --scan`");
    says(&["convert", &models], 4, &["models/config.json: no such file", &hint]);
    let other = directory(at, "other", &[("notes.txt", "")]);
    says(&["convert", &other], 4, &["config.json: no such file"]);
}

#[test]
fn files_that_are_not_here_yet() {
    const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n";
    let scratch = tempfile::tempdir().unwrap();
    let model = tiny(scratch.path());
    let path = model.to_str().unwrap();
    let (config, weights) = (model.join("config.json"), model.join("model.safetensors"));
    for name in ["tokenizer.json", "config.json", "model.safetensors", "tokenizer_config.json"] {
        let original = fs::read(model.join(name)).unwrap();
        fs::write(model.join(name), POINTER).unwrap();
        says(&["convert", path], 4, &[&format!("{name}: this is a Git LFS pointer"), "`git lfs pull`"]);
        fs::write(model.join(name), original).unwrap();
    }
    assert!(config.exists());
    fs::rename(&weights, model.join("x.safetensors.incomplete")).unwrap();
    says(&["convert", path], 4, &["an unfinished download", "x.safetensors.incomplete", "`hf download`"]);
    fs::create_dir_all(model.join(".cache/huggingface/download")).unwrap();
    let below = model.join(".cache/huggingface/download/y.incomplete");
    fs::rename(model.join("x.safetensors.incomplete"), below).unwrap();
    says(&["convert", path], 4, &["an unfinished download", "y.incomplete"]);
}

#[test]
fn commands_that_nearly_fit() {
    says(
        &["quantize", TINY],
        2,
        &["hint: llama.cpp quantizes: `ggraft with MODEL -- llama-quantize {} OUT.gguf Q4_K_M`"],
    );
    says(&[TINY], 2, &[&format!("hint: name a command first: `ggraft convert {TINY}`")]);
    says(
        &["some/model", "--outtype", "f16"],
        2,
        &["hint: name a command first: `ggraft convert some/model`"],
    );
    says(
        &["with", TINY, "ls", "{}"],
        2,
        &["hint: the command stands behind a --: `ggraft with MODEL -- ls …`"],
    );
    for plain in [&["frobnicate"][..], &["with", TINY, "--frob", "--", "ls"], &["plan", TINY, "and"]] {
        let said = String::from_utf8(ggraft(plain).stderr).unwrap();
        assert!(!said.contains("`ggraft "), "{said}");
    }
}

#[test]
fn flags_that_nearly_fit() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out.gguf");
    let out = out.to_str().unwrap();
    says(
        &["convert", TINY, "--outtype", "q4_k_m"],
        2,
        &["ggraft with MODEL -- llama-quantize {} OUT.gguf Q4_K_M"],
    );
    says(&["convert", TINY, "--outtype", "iq3_xxs"], 2, &["OUT.gguf IQ3_XXS"]);
    let said = String::from_utf8(ggraft(&["convert", TINY, "--outtype", "fp8"]).stderr).unwrap();
    assert!(!said.contains("llama-quantize"), "{said}");
    says(
        &["convert", TINY, "--metadata", "nosuch.json", "--outfile", out],
        2,
        &["--metadata: there is no file nosuch.json"],
    );
    assert!(!Path::new(out).exists());
    says(&["align", TINY], 2, &["--check, --output or --in-place", "hint: --check writes nothing"]);
    assert!(ggraft(&["convert", TINY, "--outtype", "BF16", "--outfile", out]).status.success());
    let relaxed = ggraft(&["convert", TINY, "--layout", "split", "--alignment", "relaxed", "--outfile", out]);
    assert!(String::from_utf8(relaxed.stderr).unwrap().contains("warning: --alignment relaxed"));
}

#[test]
fn standard_output_gets_the_bytes_that_a_file_would() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("tiny.gguf");
    let name = file.to_str().unwrap();
    for outtype in ["f32", "f16", "q8_0"] {
        let flags = ["convert", TINY, "--outtype", outtype, "--no-reflink", "--outfile"];
        assert!(ggraft(&[&flags[..], &[name]].concat()).status.success());
        let streamed = ggraft(&[&flags[..], &["-"]].concat());
        assert!(streamed.status.success(), "{}", String::from_utf8_lossy(&streamed.stderr));
        assert!(streamed.stdout == fs::read(&file).unwrap(), "{outtype}");
    }
    assert!(!Path::new("-").exists());
    says(&["convert", TINY, "--outfile", "-", "--json"], 2, &["not with --json"]);
    says(&["convert", TINY, "--outfile", "-", "--split-max-tensors", "3"], 2, &["expected one file"]);
    says(&["convert", TINY, "--outfile", "-", "--reflink", "always"], 5, &["cannot share blocks"]);
}
