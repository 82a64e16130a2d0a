//! `ggraft edit`, `split`, `merge` and `diff`. Without sharing, what they write is the reference's to the byte: `scripts/goldens/surgery.py`
//! has gguf-py and llama-gguf-split work on the same files, and notes digests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ggraft::gguf;
use serde_json::{Value as Json, json};

#[path = "common/filesystems.rs"]
mod filesystems;
mod handmade;
#[path = "surgery/made.rs"]
mod made;
#[path = "surgery/site.rs"]
mod site;

use filesystems::directory;
use made::{EDITS, FUTURE, Made, SPLITS};
use site::{MADE, digest, done, ggraft, names, refused, site};

fn digests() -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/surgery/digests.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
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
    let output = ggraft(dir, ["edit", "in.gguf", "--name", "n", "-q", "-o", "-"]);
    assert!(output.status.success() && output.stdout == fs::read(dir.join("out.gguf")).unwrap());
    done(dir, &["split", "in.gguf", "--max-tensors", "4", "-q", "-o", "p"]);
    done(dir, &["merge", "p-00002-of-00003.gguf", "--no-reflink", "-q", "-o", "m.gguf"]);
    let output = ggraft(dir, ["merge", "p-00001-of-00003.gguf", "-q", "-o", "-"]);
    assert!(output.status.success() && output.stdout == fs::read(dir.join("m.gguf")).unwrap());
    refused(dir, &["edit", "in.gguf", "--name", "n", "-o", "-", "--json"], 2);
    refused(dir, &["merge", "p-00001-of-00003.gguf", "-o", "-", "--remove-inputs"], 2);
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
fn differences_are_told_one_by_one() {
    let dir = site(&Made { tensors: 40, size: 3000, ..MADE });
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
    let output = ggraft(dir, ["diff", "a.gguf", "b.gguf", "--json"]);
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
        done(dir, &["diff", "out.gguf", "p-00001-of-00004.gguf"]);
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
