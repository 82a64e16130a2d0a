//! What is named where a GGUF file, an adapter or a list was expected: each is told what it is and what to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

fn ggraft(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.env("HF_HUB_OFFLINE", "1").args(arguments).current_dir(dir).stdin(Stdio::null()).output().unwrap()
}

/// Runs a command that must fail with `code`, write nothing, and say all of `expected`.
#[track_caller]
fn says(dir: &Path, arguments: &[&str], code: i32, expected: &[&str]) {
    let before = files(dir);
    let output = ggraft(dir, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    for text in expected {
        assert!(said.contains(text), "{arguments:?} does not say {text:?}:\n{said}");
    }
    assert_eq!(files(dir), before, "{arguments:?}");
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The tiny model as `tiny.gguf`, and as a set of three files `part-…` in a directory `set`.
fn ggufs() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::create_dir(at.join("set")).unwrap();
    for arguments in [
        &["convert", TINY, "--outfile", "tiny.gguf"][..],
        &["convert", TINY, "--outfile", "set/part.gguf", "--split-max-tensors", "8"],
    ] {
        let done = ggraft(at, arguments);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    dir
}

/// Arguments of every command that reads a GGUF file, with `file` in its place.
fn reading(file: &str) -> [Vec<&str>; 6] {
    [
        vec!["verify", file],
        vec!["diff", file, "tiny.gguf"],
        vec!["diff", "tiny.gguf", file],
        vec!["edit", file, "--name", "x", "--in-place"],
        vec!["split", file, "-o", "new"],
        vec!["merge", file, "-o", "new.gguf"],
    ]
}

#[test]
fn a_directory_is_not_a_gguf_file() {
    let dir = ggufs();
    fs::create_dir(dir.path().join("empty")).unwrap();
    for (named, hint) in [
        ("set", "hint: there is one in it: set/part-00001-of-00003.gguf"),
        (TINY, &*format!("hint: this is a model: `ggraft convert {TINY}` makes a GGUF file of it")),
        ("empty", "hint: name the file"),
    ] {
        for arguments in reading(named) {
            let problem = format!("{named} is a directory: expected a GGUF file");
            says(dir.path(), &arguments, 2, &[&problem, hint]);
        }
    }
}

#[test]
fn a_pattern_that_the_shell_left_alone_is_explained() {
    let dir = ggufs();
    for arguments in reading("part-*.gguf").iter().chain(&[vec!["inspect", "part-?.gguf"]]) {
        let problem = "hint: no file fits this pattern, or it is in quotes";
        says(dir.path(), arguments, 2, &["there is no file part-", problem, "any of its files"]);
    }
    let plain = ggraft(dir.path(), &["merge", "part.gguf", "-o", "new.gguf"]);
    assert!(!String::from_utf8_lossy(&plain.stderr).contains("pattern"), "{plain:?}");
}

#[test]
fn other_files_are_told_by_what_they_begin_with() {
    let dir = ggufs();
    let at = dir.path();
    fs::write(at.join("weights.bin"), [b"PK\x03\x04\x14\0\x08\x08".as_slice(), &[0; 90]].concat()).unwrap();
    fs::write(at.join("empty.txt"), "").unwrap();
    fs::write(at.join("pointer"), "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
        .unwrap();
    let weights = format!("{TINY}/model.safetensors");
    for (named, found) in [
        (README, "found a text that begins with \"# ggraft\""),
        ("weights.bin", "found a ZIP archive, which is what PyTorch saves"),
        ("empty.txt", "found nothing: it is empty"),
        ("pointer", "this is a Git LFS pointer, not the file itself\n  hint: run `git lfs pull`"),
        (&weights, "expected a GGUF file, found a safetensors file"),
    ] {
        for arguments in reading(named) {
            says(at, &arguments, 4, &[found]);
        }
        if named != weights {
            says(at, &["inspect", named], 4, &[found]);
        }
    }
    says(at, &["inspect", README], 4, &["expected a GGUF or a safetensors file, or a model's directory"]);
    says(at, &["inspect", "weights.bin"], 4, &["`ggraft inspect .` shows all of that model"]);
}

#[test]
fn verify_says_what_comes_first() {
    let dir = ggufs();
    let order = "is a directory: the GGUF file comes first, then the model";
    let hint = format!("hint: `ggraft verify tiny.gguf {TINY}`");
    says(dir.path(), &["verify", TINY, "tiny.gguf"], 2, &[order, &hint]);
    let hint = "hint: `ggraft diff tiny.gguf set/part-00001-of-00003.gguf` compares two GGUF files";
    says(dir.path(), &["verify", "tiny.gguf", "set/part-00001-of-00003.gguf"], 2, &[hint]);
}

#[test]
fn merge_takes_all_files_of_a_set_and_no_other() {
    let dir = ggufs();
    let set = files(&dir.path().join("set"));
    let set: Vec<_> = set.iter().map(|path| path.to_str().unwrap()).collect();
    let done = ggraft(dir.path(), &[&["merge"], &set[..], &["-o", "all.gguf"]].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(ggraft(dir.path(), &["merge", set[0], "-o", "one.gguf"]).status.success());
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    assert!(read("all.gguf") == read("one.gguf"));
    let other = "tiny.gguf is not of the same set as ";
    says(
        dir.path(),
        &["merge", set[0], "tiny.gguf", "-o", "new.gguf"],
        2,
        &[other, "one file of the set is enough"],
    );
    says(dir.path(), &["merge", set[0], "gone.gguf", "-o", "new.gguf"], 2, &["there is no file gone.gguf"]);
}

#[test]
fn a_set_is_edited_in_its_first_file() {
    let dir = ggufs();
    let second = "set/part-00002-of-00003.gguf";
    let problem = "is file 2 of a set of 3, and key-values are read from the first";
    let hints =
        ["hint: name that: set/part-00001-of-00003.gguf", "hint: --force edits this file all the same"];
    let before = fs::read(dir.path().join(second)).unwrap();
    says(dir.path(), &["edit", second, "--name", "x", "--in-place"], 2, &[problem, hints[0], hints[1]]);
    assert!(fs::read(dir.path().join(second)).unwrap() == before);
    fs::copy(dir.path().join(second), dir.path().join("renamed.gguf")).unwrap();
    let name = "hint: expected a name like model-00001-of-00003.gguf";
    says(dir.path(), &["edit", "renamed.gguf", "--name", "x", "-o", "new.gguf"], 2, &[problem, name]);
    let first = "set/part-00001-of-00003.gguf";
    for named in [&[first][..], &[second, "--force"]] {
        let flags = ["--name", "x", "--in-place"];
        assert!(ggraft(dir.path(), &[&["edit"], named, &flags].concat()).status.success());
    }
    assert!(fs::read(dir.path().join(second)).unwrap() != before);
}

#[test]
fn an_adapter_that_is_not_there_is_not_called_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for arguments in
        [&["lora", "./gone"][..], &["lora", "./gone", "--merge"], &["convert", TINY, "--lora", "./gone"]]
    {
        let hint = "hint: name the directory that holds the adapter";
        says(at, arguments, 2, &["./gone is not a directory: there is nothing of that name", hint]);
    }
    let hint = "an adapter on the Hugging Face hub has to be downloaded for this: `hf download some/adapter`";
    says(at, &["convert", TINY, "--lora", "some/adapter"], 2, &[hint]);
    fs::write(at.join("adapter_model.safetensors"), "").unwrap();
    let hint = "one of an adapter's files\n  hint: name the directory it is in: .";
    says(at, &["lora", "adapter_model.safetensors"], 2, &[hint]);
    says(at, &["lora", README], 2, &["hint: name the one that PEFT's save_pretrained has written"]);
}

#[test]
fn a_list_of_jobs_that_is_not_there_is_usage() {
    let dir = tempfile::tempdir().unwrap();
    says(dir.path(), &["batch", "nope.toml"], 2, &["there is no file nope.toml"]);
    says(dir.path(), &["batch", "nope.toml", "--dry-run"], 2, &["there is no file nope.toml"]);
    says(dir.path(), &["batch", "--scan", "nope"], 2, &["--scan: there is no directory nope"]);
}

#[test]
fn sizes_are_written_alike_in_all_reports() {
    let dir = ggufs();
    let said = |arguments: &[&str]| String::from_utf8(ggraft(dir.path(), arguments).stdout).unwrap();
    let verified = said(&["verify", "tiny.gguf", TINY]);
    assert!(
        verified.starts_with("20 tensors in 1 file: 237.57 kB compared, 1.28 kB computed again\n"),
        "{verified}"
    );
    let differ = said(&["diff", "tiny.gguf", "set/part-00001-of-00003.gguf"]);
    let summary = "20 tensors: 0 in the same blocks, 20 equal, 0 different; 0 B shared, 238.85 kB compared\n";
    assert!(differ.ends_with(summary), "{differ}");
}

#[test]
fn a_page_may_go_to_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    let file = ggraft(dir.path(), &["plan", TINY, "--outfile", "tiny.gguf", "--html", "page.html"]);
    assert!(file.status.success(), "{file:?}");
    let streamed = ggraft(dir.path(), &["plan", TINY, "--outfile", "tiny.gguf", "--html", "-"]);
    assert!(streamed.status.success(), "{}", String::from_utf8_lossy(&streamed.stderr));
    assert!(streamed.stdout == fs::read(dir.path().join("page.html")).unwrap());
    assert_eq!(files(dir.path()), [dir.path().join("page.html")]);
    let only = "only `ggraft convert` and `ggraft lora` write to standard output";
    says(dir.path(), &["plan", TINY, "--outfile", "-"], 2, &[only]);
}
