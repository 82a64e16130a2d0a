//! What `ggraft edit`, `split` and `merge` refuse, and what they leave behind if something goes wrong: hostile files, outputs that
//! are inputs, full disks, kills.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use ggraft::gguf::{self, Value};
use serde_json::Value as Json;

#[path = "common/filesystems.rs"]
mod filesystems;
mod handmade;
#[path = "surgery/made.rs"]
mod made;
#[path = "surgery/site.rs"]
mod site;

use filesystems::{Mount, directory, skip};
use made::{FUTURE, Made};
use site::{MADE, digest, done, ggraft, names, refused, said, site};

/// Every command must refuse the file `name` in `dir` as invalid, with these words.
#[track_caller]
fn refused_by_all(dir: &Path, name: &str, words: &str) {
    for args in [
        &["edit", name, "--name", "n", "-o", "o.gguf"][..],
        &["split", name, "-o", "p"],
        &["merge", name, "-o", "o.gguf"],
        &["diff", name, name],
    ] {
        let said = refused(dir, args, 4);
        assert!(said.contains(words), "{args:?}: {said}");
    }
}

#[test]
fn in_place_a_file_is_replaced_and_what_leads_to_it_stays() {
    let dir = site(&MADE);
    let (dir, file) = (dir.path(), dir.path().join("in.gguf"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("in.gguf", dir.join("link.gguf")).unwrap();
    fs::hard_link(&file, dir.join("other.gguf")).unwrap();
    let before = fs::read(&file).unwrap();
    let output = ggraft(dir, ["edit", "link.gguf", "--name", "Mine", "--in-place"]);
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
        refused_by_all(dir, name, word);
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

/// Tensors behind one of unknown type may begin anywhere on the grid, but not in front of it.
#[test]
fn hostile_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let start =
        |tensors| handmade::Bytes::start(3, tensors, 1).string("general.architecture").u32(8).string("x");
    let back = start(3).tensor("a", &[8], FUTURE, 0).tensor("b", &[8], FUTURE, 96).tensor("c", &[8], 0, 32);
    for (name, file, word) in [
        ("back.gguf", back, "\"c\" has offset 32, expected a multiple of 32, at least 96"),
        (
            "over.gguf",
            start(2).tensor("a", &[8], 0, 0).tensor("b", &[8], 0, 0),
            "\"b\" has offset 0, expected 32",
        ),
        ("huge.gguf", start(1).tensor("a", &[1 << 62, 2], 0, 0), "overflows"),
        ("short.gguf", start(1).tensor("a", &[1000], 0, 0), "incomplete"),
    ] {
        fs::write(dir.join(name), file.data(32, 256).0).unwrap();
        let before = names(dir);
        refused_by_all(dir, name, word);
        assert_eq!(names(dir), before);
    }
}

/// What a set says of itself is held against what is there.
#[test]
fn sets_that_are_not_whole_are_refused() {
    let dir = site(&MADE);
    let dir = dir.path();
    done(dir, &["split", "in.gguf", "--max-tensors", "3", "--no-reflink", "-q", "-o", "p"]);
    let refuses = |file: &str, word: &str| {
        for args in [["merge", file, "-o", "m.gguf"], ["split", file, "-o", "q"]] {
            let said = refused(dir, &args, 4);
            assert!(said.contains(word), "{args:?}: {said}");
        }
        assert!(names(dir).iter().all(|name| !name.starts_with(['m', 'q'])));
    };
    let (first, third) = ("p-00001-of-00003.gguf", "p-00003-of-00003.gguf");
    let copy = |from: &str, to: &str| fs::copy(dir.join(from), dir.join(to)).unwrap();
    copy(first, "renamed.gguf");
    refuses("renamed.gguf", "is one of 3 files, but its name does not say");
    copy(first, "p-00001-of-00009.gguf");
    refuses("p-00001-of-00009.gguf", "split.count is 3, but the name says 9");
    fs::rename(dir.join(third), dir.join("away")).unwrap();
    refuses(first, "1 of 3 splits are missing: \"p-00003-of-00003.gguf\"");
    copy("p-00002-of-00003.gguf", third);
    refuses(first, "split.no is U16(1), expected 2");
    fs::rename(dir.join("away"), dir.join(third)).unwrap();
    done(dir, &["edit", first, "--set", "split.tensors.count=8", "--force", "--in-place", "-q"]);
    refuses(first, "split.tensors.count");
}

/// The alignment may be longer than a block.
#[test]
fn a_wide_grid_is_kept_where_blocks_are_shared() {
    for variable in ["GGRAFT_TEST_XFS", "GGRAFT_TEST_XFS_1K", "GGRAFT_TEST_BTRFS"] {
        let Some(dir) = directory(variable) else { continue };
        let dir = dir.path();
        fs::write(dir.join("in.gguf"), Made { alignment: 1 << 16, ..MADE }.bytes()).unwrap();
        done(dir, &["edit", "in.gguf", "--description", "d", "-q", "-o", "out.gguf"]);
        assert_eq!(gguf::read(&dir.join("out.gguf")).unwrap().alignment, 1 << 16);
        done(dir, &["edit", "in.gguf", "--description", "d", "--no-reflink", "-q", "-o", "copy.gguf"]);
        done(dir, &["diff", "out.gguf", "copy.gguf", "--read-all"]);
    }
}

/// Where there is no room, or nothing may be written, what was there stays, alone.
#[test]
fn outputs_that_cannot_be_written_leave_nothing() {
    let Some(mount) = Mount::tmpfs("size=4m") else { return skip("cannot mount a small tmpfs") };
    let at = mount.dir.path();
    fs::write(at.join("in.gguf"), MADE.bytes()).unwrap();
    let before = digest(&at.join("in.gguf"));
    for args in [
        &["edit", "in.gguf", "--name", "n", "--in-place"][..],
        &["edit", "in.gguf", "--name", "n", "-o", "out.gguf"],
        &["split", "in.gguf", "--max-tensors", "3", "-o", "p"],
    ] {
        let said = refused(at, args, 1);
        assert!(said.contains("space"), "{args:?}: {said}");
        assert_eq!((names(at), digest(&at.join("in.gguf"))), (vec!["in.gguf".to_owned()], before.clone()));
    }
    assert!(mount.again("ro,size=64m"));
    let said = refused(at, &["edit", "in.gguf", "--name", "n", "--in-place"], 1);
    assert!(said.contains("Read-only"), "{said}");
}

/// A text is not cut off, and a key is one that readers take.
#[test]
fn what_no_reader_takes_is_not_written() {
    let dir = site(&MADE);
    let dir = dir.path();
    let long = format!("{}:u8=1", "k".repeat(70_000));
    let said = refused(dir, &["edit", "in.gguf", "--set", &long, "-o", "out.gguf"], 2);
    assert!(said.contains("70000 bytes, expected 1 to 65535"), "{said}");
    fs::File::create(dir.join("long")).unwrap().set_len((64 << 20) + 1).unwrap();
    for args in [["--chat-template", "long"], ["--chat-template", "-"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_ggraft"))
            .current_dir(dir)
            .args(["edit", "in.gguf", "-o", "out.gguf"])
            .args(args)
            .stdin(fs::File::open(dir.join("long")).unwrap())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(4), "{args:?}: {}", site::said(&output));
    }
    assert_eq!(names(dir), ["in.gguf", "long"]);
}

/// What names a set is of no use to what becomes of it.
#[test]
fn the_identifier_of_a_set_does_not_outlive_it() {
    let dir = site(&MADE);
    let dir = dir.path();
    let identifier = ["--set", "ggraft.split.set:string=0123", "-q"];
    done(dir, &[&["edit", "in.gguf", "-o", "old.gguf"][..], &identifier[..]].concat());
    done(dir, &["split", "old.gguf", "--max-tensors", "3", "--no-reflink", "-q", "-o", "p"]);
    for name in names(dir).iter().filter(|name| name.starts_with("p-")) {
        assert_eq!(gguf::read(&dir.join(name)).unwrap().metadata.get("ggraft.split.set"), None);
        done(dir, &[&["edit", name.as_str(), "--in-place", "--force"][..], &identifier[..]].concat());
    }
    done(dir, &["merge", "p-00001-of-00003.gguf", "--no-reflink", "-q", "-o", "m.gguf"]);
    assert_eq!(gguf::read(&dir.join("m.gguf")).unwrap().metadata.get("ggraft.split.set"), None);
    done(dir, &["split", "m.gguf", "--max-tensors", "2", "-q", "-o", "again"]);
    done(dir, &["diff", "in.gguf", "again-00001-of-00005.gguf"]);
}
