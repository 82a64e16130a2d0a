//! `ggraft edit`, `split`, `merge` and `diff`. Without sharing, what they write is the reference's to the byte: `scripts/goldens/surgery.py`
//! has gguf-py and llama-gguf-split work on the same files, and notes digests.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ggraft::gguf::{self, Value};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

#[path = "common/filesystems.rs"]
mod filesystems;
mod handmade;
#[path = "surgery/made.rs"]
mod made;

use filesystems::directory;
use made::{EDITS, FUTURE, Made, SPLITS};

fn ggraft<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ggraft")).args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs ggraft in `dir`, which must succeed.
fn done(dir: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ggraft")).current_dir(dir).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs ggraft in `dir`, which must exit with `code`; what it says.
fn refused(dir: &Path, args: &[&str], code: i32) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ggraft")).current_dir(dir).args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
    said(&output)
}

fn digest(path: &Path) -> String {
    Sha256::digest(fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digests() -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/surgery/digests.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const MADE: Made = Made { seed: 5, version: 3, alignment: 32, tensors: 9, size: 300_000, ones: false };

/// A directory in which `in.gguf` is `made`.
fn site(made: &Made) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in.gguf"), made.bytes()).unwrap();
    dir
}

#[test]
fn files_for_the_reference() {
    let Some(work) = std::env::var_os("GGRAFT_WRITE_SURGERY").map(PathBuf::from) else { return };
    let write = |name: String, made: Made, case: Json, text: &str| {
        let job = work.join(name);
        fs::create_dir(&job).unwrap();
        fs::write(job.join("in.gguf"), made.bytes()).unwrap();
        fs::write(job.join("case.json"), case.to_string()).unwrap();
        fs::write(job.join("text"), text).unwrap();
    };
    for (i, edit) in EDITS.iter().enumerate() {
        let case = json!({"tool": format!("{:?}", edit.tool), "theirs": edit.theirs});
        write(format!("edit-{i:02}"), made::edited(i), case, edit.text);
    }
    for (i, (theirs, _)) in SPLITS.iter().enumerate() {
        write(format!("split-{i:02}"), made::split(i), json!({"theirs": theirs}), "");
    }
}

#[test]
fn edited_files_are_the_references_to_the_byte() {
    let digests = digests();
    for (i, edit) in EDITS.iter().enumerate() {
        let dir = site(&made::edited(i));
        fs::write(dir.path().join("text"), edit.text).unwrap();
        let mut args = vec!["edit", "in.gguf", "--no-reflink", "--no-fsync", "-q", "-o", "out.gguf"];
        args.extend(edit.ours.iter().map(|arg| if *arg == "FILE" { "text" } else { arg }));
        done(dir.path(), &args);
        assert_eq!(digest(&dir.path().join("out.gguf")), digests["edits"][i], "{:?}", edit.ours);
    }
}

#[test]
fn split_and_merged_files_are_the_references_to_the_byte() {
    let digests = digests();
    for (i, (_, ours)) in SPLITS.iter().enumerate() {
        let dir = site(&made::split(i));
        let dir = dir.path();
        let mut args = vec!["split", "in.gguf", "--no-reflink", "--no-fsync", "-q", "-o", "part"];
        args.extend(*ours);
        done(dir, &args);
        let parts: BTreeMap<String, String> = names(dir)
            .into_iter()
            .filter(|name| name.starts_with("part"))
            .map(|name| (name.clone(), digest(&dir.join(name))))
            .collect();
        assert_eq!(json!(parts), digests["splits"][i]["parts"], "{i}: {ours:?}");
        let first = parts.keys().next().unwrap();
        done(dir, &["merge", first, "--no-reflink", "--no-fsync", "-q", "-o", "merged.gguf"]);
        assert_eq!(digest(&dir.join("merged.gguf")), digests["splits"][i]["merged"], "{i}: {ours:?}");
        done(dir, &["diff", "merged.gguf", "in.gguf"]);
        done(dir, &["diff", first, "in.gguf"]);
    }
}

/// What is written elsewhere is what is streamed, and nothing is left beside it.
#[test]
fn standard_output_gets_the_same_bytes() {
    let dir = site(&MADE);
    let dir = dir.path();
    done(dir, &["edit", "in.gguf", "--name", "n", "--no-reflink", "-q", "-o", "out.gguf"]);
    let output = Command::new(env!("CARGO_BIN_EXE_ggraft"))
        .current_dir(dir)
        .args(["edit", "in.gguf", "--name", "n", "-q", "-o", "-"])
        .output()
        .unwrap();
    assert!(output.status.success() && output.stdout == fs::read(dir.join("out.gguf")).unwrap());
    done(dir, &["split", "in.gguf", "--max-tensors", "4", "-q", "-o", "p"]);
    done(dir, &["merge", "p-00002-of-00003.gguf", "--no-reflink", "-q", "-o", "m.gguf"]);
    let output = Command::new(env!("CARGO_BIN_EXE_ggraft"))
        .current_dir(dir)
        .args(["merge", "p-00001-of-00003.gguf", "-q", "-o", "-"])
        .output()
        .unwrap();
    assert!(output.status.success() && output.stdout == fs::read(dir.join("m.gguf")).unwrap());
    refused(dir, &["edit", "in.gguf", "--name", "n", "-o", "-", "--json"], 2);
    refused(dir, &["merge", "p-00001-of-00003.gguf", "-o", "-", "--remove-inputs"], 2);
}

#[test]
fn in_place_a_file_is_replaced_and_what_leads_to_it_stays() {
    let dir = site(&MADE);
    let (dir, file) = (dir.path(), dir.path().join("in.gguf"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("in.gguf", dir.join("link.gguf")).unwrap();
    fs::hard_link(&file, dir.join("other.gguf")).unwrap();
    let before = fs::read(&file).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ggraft"))
        .current_dir(dir)
        .args(["edit", "link.gguf", "--name", "Mine", "--in-place"])
        .output()
        .unwrap();
    assert!(output.status.success() && said(&output).contains("hard links"), "{}", said(&output));
    assert!(dir.join("link.gguf").is_symlink());
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
    assert_eq!(
        gguf::read(&file).unwrap().metadata.get("general.name"),
        Some(&Value::String(b"Mine".to_vec()))
    );
    assert_eq!(fs::read(dir.join("other.gguf")).unwrap(), before);
    assert_eq!(names(dir), ["in.gguf", "link.gguf", "other.gguf"]);
    // A file of a Hugging Face cache is named after its content: the link is replaced.
    for name in ["cache/blobs", "cache/snapshots/main"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    fs::rename(dir.join("other.gguf"), dir.join("cache/blobs/abc")).unwrap();
    let link = dir.join("cache/snapshots/main/m.gguf");
    symlink("../../blobs/abc", &link).unwrap();
    done(dir, &["edit", link.to_str().unwrap(), "--name", "Mine", "--in-place", "-q"]);
    assert!(!link.is_symlink());
    assert_eq!(fs::read(dir.join("cache/blobs/abc")).unwrap(), before);
}

#[test]
fn outputs_that_are_inputs_or_exist_are_refused() {
    let dir = site(&MADE);
    let dir = dir.path();
    let before = fs::read(dir.join("in.gguf")).unwrap();
    symlink("in.gguf", dir.join("link.gguf")).unwrap();
    fs::hard_link(dir.join("in.gguf"), dir.join("hard.gguf")).unwrap();
    fs::write(dir.join("old.gguf"), "old").unwrap();
    fs::create_dir(dir.join("directory")).unwrap();
    for (output, word) in [
        ("in.gguf", "that is read"),
        ("link.gguf", "that is read"),
        ("hard.gguf", "that is read"),
        ("old.gguf", "exists"),
        ("directory", "is a directory"),
        ("nowhere/x.gguf", "no directory"),
    ] {
        let said = refused(dir, &["edit", "in.gguf", "--name", "n", "-o", output], 2);
        assert!(said.contains(word), "{output}: {said}");
    }
    // Also with --force: nothing overwrites what it reads.
    refused(dir, &["edit", "in.gguf", "--name", "n", "--force", "-o", "hard.gguf"], 2);
    assert_eq!(fs::read(dir.join("in.gguf")).unwrap(), before);
    done(dir, &["edit", "in.gguf", "--name", "n", "--force", "-q", "-o", "old.gguf"]);
    done(dir, &["split", "in.gguf", "--max-tensors", "5", "-q", "-o", "p"]);
    refused(dir, &["split", "in.gguf", "--max-tensors", "5", "-o", "p"], 2);
    refused(dir, &["merge", "p-00001-of-00002.gguf", "-o", "p-00002-of-00002.gguf", "--force"], 2);
    refused(dir, &["merge", "in.gguf", "-o", "m.gguf"], 4);
    refused(dir, &["edit", "in.gguf", "-o", "m.gguf"], 2);
    assert!(!dir.join("m.gguf").exists());
}

#[test]
fn what_would_not_load_needs_force() {
    let dir = site(&MADE);
    let dir = dir.path();
    for args in [
        ["--set", "general.architecture=llama"],
        ["--set", "general.alignment:u32=64"],
        ["--set", "split.count:u16=2"],
        ["--set", "made-up.small:u32=2"],
        ["--remove", "general.architecture"],
        ["--rename", "general.architecture=x"],
        ["--rename", "general.name=split.no"],
    ] {
        let said = refused(dir, &["edit", "in.gguf", args[0], args[1], "-o", "out.gguf"], 2);
        assert!(said.contains("--force"), "{args:?}: {said}");
    }
    // Moved to the new grid, since that is where readers look.
    done(dir, &["edit", "in.gguf", "--set", "general.alignment:u32=256", "--force", "-q", "-o", "256.gguf"]);
    let found = gguf::read(&dir.join("256.gguf")).unwrap();
    assert!(found.tensors.iter().all(|tensor| tensor.offset % 256 == 0) && found.alignment == 256);
    done(dir, &["diff", "in.gguf", "256.gguf"]);
    for (args, word) in [
        (["--set", "not.there=1"], "name the type"),
        (["--set", "made-up.small=65536"], "u16"),
        (["--set", "made-up.numbers=[1,2.5]"], "i32"),
        (["--set", "made-up.new:u33=1"], "no type"),
        (["--rename", "general.name=general.url"], "already"),
        (["--rename", "not.there=x"], "no key"),
    ] {
        let said = refused(dir, &["edit", "in.gguf", args[0], args[1], "-o", "out.gguf"], 2);
        assert!(said.contains(word), "{args:?}: {said}");
    }
    refused(dir, &["edit", "in.gguf", "--special-token", "eos", "nothing", "-o", "out.gguf"], 2);
    refused(dir, &["edit", "in.gguf", "--special-token-by-id", "eos", "6", "-o", "out.gguf"], 2);
    refused(dir, &["edit", "in.gguf", "--special-token", "oes", "é", "-o", "out.gguf"], 2);
}

/// A model that llama.cpp loads is not edited into one that it refuses.
#[test]
fn models_stay_loadable() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/tiny-llama");
    let tiny = tiny.to_str().unwrap();
    done(dir, &["convert", tiny, "--outfile", "in.gguf", "--no-reflink", "-q"]);
    let said = refused(dir, &["edit", "in.gguf", "--remove", "llama.block_count", "-o", "out.gguf"], 4);
    assert!(said.contains("block_count") && said.contains("--force"), "{said}");
    done(dir, &["edit", "in.gguf", "--remove", "tokenizer.ggml.tokens", "--force", "-q", "-o", "bare.gguf"]);
    // Its own tokenizer brings back what was taken away.
    done(dir, &["edit", "bare.gguf", "--tokenizer-from", tiny, "--no-reflink", "-q", "-o", "out.gguf"]);
    done(dir, &["diff", "in.gguf", "out.gguf"]);
    done(dir, &["verify", "out.gguf", tiny]);
    let phi = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/tiny-phi3");
    if phi.is_dir() {
        refused(dir, &["edit", "in.gguf", "--tokenizer-from", phi.to_str().unwrap(), "-o", "other.gguf"], 4);
    }
}

/// Tensors of a type that nobody knows yet are moved as they are.
#[test]
fn types_of_the_future_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let data: Vec<u8> = (0..160u8).collect();
    let file = handmade::Bytes::start(3, 3, 1).string("general.architecture").u32(8).string("x");
    let file = file.tensor("a", &[8], 0, 0).tensor("b", &[7, 3], FUTURE, 32).tensor("c", &[9], 24, 128);
    fs::write(dir.join("in.gguf"), file.data(32, 0).raw(&data).0).unwrap();
    done(dir, &["edit", "in.gguf", "--name", "n", "-q", "-o", "out.gguf"]);
    done(dir, &["split", "out.gguf", "--max-tensors", "1", "-q", "-o", "p"]);
    done(dir, &["merge", "p-00001-of-00003.gguf", "-q", "-o", "m.gguf"]);
    let found = gguf::read(&dir.join("m.gguf")).unwrap();
    let bytes = fs::read(dir.join("m.gguf")).unwrap();
    assert_eq!(found.tensors[1].type_id, FUTURE);
    assert_eq!(bytes[found.data_start as usize..][..137], data[..137]);
    let said =
        refused(dir, &["edit", "in.gguf", "--set", "general.alignment:u32=8", "--force", "-o", "8.gguf"], 3);
    assert!(said.contains("\"b\""), "{said}");
    assert_eq!(refused(dir, &["diff", "in.gguf", "m.gguf"], 6).matches("1 place").count(), 1);
}

#[test]
fn old_and_foreign_versions_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut bytes = MADE.bytes();
    bytes[4] = 1;
    fs::write(dir.join("1.gguf"), &bytes).unwrap();
    bytes[4..8].copy_from_slice(&[0, 0, 0, 3]);
    fs::write(dir.join("big.gguf"), &bytes).unwrap();
    for (name, word) in [("1.gguf", "version 1"), ("big.gguf", "big-endian")] {
        for args in [
            &["edit", name, "--name", "n", "-o", "o.gguf"][..],
            &["split", name, "-o", "p"],
            &["merge", name, "-o", "o.gguf"],
            &["diff", name, name],
        ] {
            let said = refused(dir, args, 4);
            assert!(said.contains(word), "{args:?}: {said}");
        }
    }
    assert_eq!(names(dir), ["1.gguf", "big.gguf"]);
}

#[test]
fn inputs_are_removed_once_the_output_is_there() {
    let dir = site(&MADE);
    let dir = dir.path();
    done(dir, &["split", "in.gguf", "--max-tensors", "3", "-q", "-o", "p"]);
    // A link is not removed, nor what it leads to.
    fs::rename(dir.join("p-00002-of-00003.gguf"), dir.join("elsewhere")).unwrap();
    symlink("elsewhere", dir.join("p-00002-of-00003.gguf")).unwrap();
    refused(dir, &["merge", "p-00001-of-00003.gguf", "-o", "m.gguf", "--remove-inputs"], 2);
    assert_eq!(names(dir).len(), 5);
    fs::rename(dir.join("elsewhere"), dir.join("p-00002-of-00003.gguf")).unwrap();
    let report =
        done(dir, &["merge", "p-00001-of-00003.gguf", "-o", "m.gguf", "--remove-inputs", "--json", "-q"]);
    let report: Json = serde_json::from_str(&report).unwrap();
    assert_eq!(report["removed"].as_array().unwrap().len(), 3);
    assert!(report["verified"].is_object());
    assert_eq!(names(dir), ["in.gguf", "m.gguf"]);
    done(dir, &["diff", "in.gguf", "m.gguf"]);
}

#[test]
fn differences_are_told_one_by_one() {
    let dir = site(&MADE);
    let dir = dir.path();
    let mut bytes = fs::read(dir.join("in.gguf")).unwrap();
    let found = gguf::read(&dir.join("in.gguf")).unwrap();
    let float = found.tensors.iter().find(|tensor| tensor.type_id == 0).expect("a tensor of F32");
    let at = float.offset as usize + 8;
    bytes[at..at + 4].copy_from_slice(&1.5f32.to_le_bytes());
    fs::write(dir.join("a.gguf"), &bytes).unwrap();
    bytes[at..at + 4].copy_from_slice(&(-2.0f32).to_le_bytes());
    fs::write(dir.join("b.gguf"), &bytes).unwrap();
    done(
        dir,
        &[
            "edit",
            "b.gguf",
            "--in-place",
            "--name",
            "New",
            "--remove",
            "general.url",
            "--set",
            "x.y:[u8]=[1]",
            "-q",
        ],
    );
    let output = ggraft([
        "diff",
        dir.join("a.gguf").to_str().unwrap(),
        dir.join("b.gguf").to_str().unwrap(),
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(6));
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    let keys: Vec<_> = report["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (&key["key"], &key["a"]["value"], &key["b"]["value"]))
        .collect();
    let null = Json::Null;
    assert_eq!(
        keys,
        [
            (&json!("general.name"), &json!("Old name"), &json!("New")),
            (&json!("general.url"), &json!("https://example.org/ä"), &null),
            (&json!("x.y"), &null, &json!([1])),
        ]
    );
    let differing: Vec<_> =
        report["tensors"].as_array().unwrap().iter().filter(|t| t["state"] == "differs").collect();
    assert_eq!(differing.len(), 1);
    assert_eq!(
        (&differing[0]["name"], &differing[0]["largest_difference"]),
        (&json!(float.name), &json!(3.5))
    );
    assert_eq!(differing[0]["first"].as_u64().map(|first| first / 4), Some(2));
}

/// On file systems that share blocks, tensors are the same blocks, in whatever files.
#[test]
fn blocks_are_shared_where_they_can_be() {
    for variable in ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS"] {
        let Some(dir) = directory(variable) else { continue };
        let dir = dir.path();
        let made = Made { tensors: 30, size: 2_000_000, ..MADE };
        fs::write(dir.join("in.gguf"), made.bytes()).unwrap();
        fs::write(dir.join("chat.jinja"), "{{ messages }}").unwrap();
        let report = |args: &[&str]| -> Json { serde_json::from_str(&done(dir, args)).unwrap() };
        let share = |report: &Json| {
            let (cloned, total) =
                (report["bytes"]["cloned"].as_f64().unwrap(), report["bytes"]["total"].as_f64().unwrap());
            cloned / total
        };
        let edited =
            report(&["edit", "in.gguf", "--chat-template", "chat.jinja", "-o", "out.gguf", "--json", "-q"]);
        assert!(share(&edited) > 0.97, "{variable}: {edited}");
        assert!(edited["measured"]["unique"].as_u64().unwrap() < 1 << 20, "{edited}");
        let split = report(&["split", "out.gguf", "--max-tensors", "8", "-o", "p", "--json", "-q"]);
        assert!(share(&split) > 0.97, "{variable}: {split}");
        done(dir, &["verify", "p-00001-of-00004.gguf"]);
        let merged = report(&["merge", "p-00001-of-00004.gguf", "-o", "m.gguf", "--json", "-q", "--verify"]);
        assert!(share(&merged) > 0.97, "{variable}: {merged}");
        let found: Json =
            serde_json::from_str(&done(dir, &["diff", "out.gguf", "m.gguf", "--json"])).unwrap();
        assert!(found["bytes"]["shared"].as_u64() > Some(50 << 20), "{variable}: {}", found["bytes"]);
        done(dir, &["diff", "out.gguf", "m.gguf", "--read-all"]);
        // In place, what is shared is the old file, which is gone then.
        done(dir, &["edit", "m.gguf", "--name", "x", "--in-place", "-q"]);
        done(
            dir,
            &[
                "edit",
                "in.gguf",
                "--name",
                "x",
                "--chat-template",
                "chat.jinja",
                "--no-reflink",
                "-q",
                "-o",
                "copy.gguf",
            ],
        );
        done(dir, &["diff", "copy.gguf", "m.gguf"]);
    }
}

/// Short form of the part `surgery` of `scripts/faults/run.py`.
#[test]
fn a_killed_merge_leaves_inputs_or_a_whole_output() {
    let dir = site(&Made { tensors: 40, ..MADE });
    let dir = dir.path();
    done(dir, &["split", "in.gguf", "--max-tensors", "10", "-q", "-o", "kept"]);
    done(dir, &["merge", "kept-00001-of-00004.gguf", "--no-reflink", "-q", "-o", "whole.gguf"]);
    let whole = digest(&dir.join("whole.gguf"));
    let parts = || (1..=4).map(|n| format!("part-{n:05}-of-00004.gguf"));
    let mut seen = [0; 2];
    for round in 0..20u64 {
        _ = fs::remove_file(dir.join("out.gguf"));
        for name in parts() {
            fs::copy(dir.join(name.replace("part", "kept")), dir.join(name)).unwrap();
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_ggraft"))
            .current_dir(dir)
            .args([
                "merge",
                "part-00001-of-00004.gguf",
                "-o",
                "out.gguf",
                "--remove-inputs",
                "--no-reflink",
                "-q",
            ])
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let left: Vec<String> = parts().filter(|name| dir.join(name).exists()).collect();
        for name in &left {
            assert_eq!(digest(&dir.join(name)), digest(&dir.join(name.replace("part", "kept"))), "{name}");
        }
        let complete = dir.join("out.gguf").exists();
        seen[usize::from(complete)] += 1;
        assert!(complete || left.len() == 4, "round {round}: {left:?}");
        assert!(!complete || digest(&dir.join("out.gguf")) == whole, "round {round}");
    }
    assert!(seen[0] > 0, "no kill came in time: {seen:?}");
}

/// Files of the relaxed layout, whose tensors lie on a grid of 8 bytes, become an ordinary file.
#[test]
fn relaxed_splits_merge_to_a_strict_file() {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/tiny-llama");
    let tiny = tiny.to_str().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    done(dir, &["convert", tiny, "--outfile", "strict.gguf", "--no-reflink", "-q"]);
    done(dir, &["split", "strict.gguf", "--max-tensors", "6", "--no-reflink", "-q", "-o", "p"]);
    // The files behind the first, as `convert --layout split --alignment relaxed` writes them.
    for name in names(dir).iter().filter(|name| name.starts_with("p-") && !name.starts_with("p-00001")) {
        done(dir, &["edit", name, "--set", "general.alignment:u32=8", "--force", "--in-place", "-q"]);
        assert_eq!(gguf::read(&dir.join(name)).unwrap().alignment, 8);
    }
    let first = names(dir).into_iter().find(|name| name.starts_with("p-00001")).unwrap();
    done(dir, &["merge", &first, "--no-reflink", "-q", "-o", "merged.gguf"]);
    let merged = gguf::read(&dir.join("merged.gguf")).unwrap();
    assert!(merged.alignment == 32 && merged.metadata.get("general.alignment").is_none());
    done(dir, &["verify", "merged.gguf", tiny]);
    done(dir, &["diff", "strict.gguf", "merged.gguf", "--read-all"]);
}
