//! What is left under an output's name when the process is killed, or a call fails, at any step of giving it that name.

#[path = "common/faults.rs"]
mod faults;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use faults::{Action, Call, EIO, ENOENT, ENOSPC, Run};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");

/// Files by name.
type Files = Vec<(PathBuf, Vec<u8>)>;

/// Everything in `dir`, hidden files included.
fn contents(dir: &Path) -> Files {
    let mut files: Files = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().into(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn convert_plainly(dir: &Path, flags: &[&str]) -> Output {
    let out = dir.join("out.gguf");
    let arguments = [&["convert", TINY, "--quiet", "--outfile", out.to_str().unwrap()], flags].concat();
    Command::new(env!("CARGO_BIN_EXE_ggraft")).args(arguments).output().unwrap()
}

fn convert(run: Run, dir: &Path, flags: &[&str]) -> Option<(Output, Vec<Call>)> {
    let out = dir.join("out.gguf");
    run.ggraft(&[&["convert", TINY, "--quiet", "--outfile", out.to_str().unwrap()], flags].concat())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The files that a conversion with `flags` makes.
fn made_by(flags: &[&str]) -> Files {
    let dir = tempfile::tempdir().unwrap();
    let output = convert_plainly(dir.path(), flags);
    assert!(output.status.success(), "{}", said(&output));
    contents(dir.path())
}

fn put(dir: &Path, files: &Files) {
    files.iter().for_each(|(name, bytes)| fs::write(dir.join(name), bytes).unwrap());
}

/// Files without what a killed process leaves behind.
fn visible(files: Files) -> Files {
    files.into_iter().filter(|(name, _)| !name.to_str().unwrap().starts_with('.')).collect()
}

/// Interferes with each step in turn, until a run has fewer; tells `check` the call, and what happened to a directory
/// that held `old`.
fn at_each_step(
    old: &Files,
    flags: &[&str],
    named: bool,
    action: Action,
    check: &mut dyn FnMut(&Call, &Path, &Output),
) {
    for step in 1.. {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), old);
        let run = Run { fault: Some((step, action)), named, ..Run::default() };
        let Some((output, calls)) = convert(run, dir.path(), flags) else { return };
        let Some(call) = calls.get(step - 1) else {
            assert!(output.status.success() && step > 3, "{step} steps: {}", said(&output));
            return;
        };
        check(call, dir.path(), &output);
    }
}

#[test]
fn a_kill_leaves_the_old_file_or_the_new_one() {
    let (old, new) = (made_by(&["--outtype", "f16"]), made_by(&["--outtype", "f32"]));
    for named in [false, true] {
        at_each_step(&old, &["--outtype", "f32"], named, Action::Kill, &mut |call, dir, output| {
            assert_eq!(output.status.signal(), Some(9), "{call:?}");
            let left = visible(contents(dir));
            assert!(left == old || left == new, "killed before {call:?}");
            assert!(convert_plainly(dir, &["--outtype", "f32"]).status.success());
            assert!(contents(dir) == new, "the next run leaves nothing else, after {call:?}");
        });
    }
}

#[test]
fn an_error_leaves_the_old_file_or_the_new_one() {
    let (old, new) = (made_by(&["--outtype", "f16"]), made_by(&["--outtype", "f32"]));
    for (named, error) in [(false, EIO), (true, ENOSPC)] {
        let action = Action::Fail(error);
        let mut directories = 0;
        at_each_step(&old, &["--outtype", "f32"], named, action, &mut |call, dir, output| {
            let left = visible(contents(dir));
            match call.kind.as_str() {
                // Too late: the old file is gone, so the new one has to stay.
                "fsync-directory" => {
                    directories += 1;
                    assert!(left == new, "{call:?}");
                    assert!(said(output).contains("in place"), "{}", said(output));
                }
                // What has its name already, or was only for trying, decides nothing.
                "close" | "unlink" if output.status.success() => return assert!(left == new, "{call:?}"),
                _ => assert!(left == old, "{call:?}"),
            }
            assert_eq!(output.status.code(), Some(1), "{call:?}");
            assert_eq!(contents(dir).len(), 1, "nothing is left beside it, after {call:?}");
        });
        assert!(directories > 0 || convert(Run::default(), Path::new("/nowhere"), &[]).is_none());
    }
}

#[test]
fn an_error_of_close_is_an_error() {
    let old = made_by(&["--outtype", "f16"]);
    for flags in
        [&["--outtype", "f32", "--no-reflink"][..], &["--outtype", "f32", "--no-reflink", "--no-fsync"]]
    {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &old);
        let Some((_, calls)) = convert(Run::default(), dir.path(), flags) else { return };
        put(dir.path(), &old);
        let closing = calls.iter().position(|call| call.kind == "close").unwrap() + 1;
        let run = Run { fault: Some((closing, Action::Fail(ENOSPC))), ..Run::default() };
        let (output, _) = convert(run, dir.path(), flags).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("out.gguf: No space left on device"), "{}", said(&output));
        assert!(contents(dir.path()) == old);
    }
}

const OLD_SET: [&str; 4] = ["--outtype", "f16", "--split-max-tensors", "6"];
const NEW_SET: [&str; 4] = ["--outtype", "f32", "--split-max-tensors", "6"];

fn inspects(dir: &Path, files: &Files) -> bool {
    let path = dir.join(&files[0].0);
    Command::new(env!("CARGO_BIN_EXE_ggraft")).arg("inspect").arg(path).output().unwrap().status.success()
}

#[test]
fn a_kill_leaves_no_set_that_is_mixed() {
    let (old, new) = (made_by(&OLD_SET), made_by(&NEW_SET));
    assert!(old.len() > 2 && old.iter().zip(&new).all(|(old, new)| old.0 == new.0 && old.1 != new.1));
    for named in [false, true] {
        let mut states = [0; 3];
        at_each_step(&old, &NEW_SET, named, Action::Kill, &mut |call, dir, _| {
            let left = visible(contents(dir));
            let first = dir.join(&old[0].0);
            let state = [left == old, left == new, !first.exists()].iter().position(|s| *s);
            states[state.unwrap_or_else(|| panic!("killed before {call:?}: a mixed set"))] += 1;
            assert_eq!(inspects(dir, &old), left == old || left == new);
            assert!(convert_plainly(dir, &NEW_SET).status.success());
            assert!(contents(dir) == new, "the next run leaves nothing else, after {call:?}");
        });
        assert!(states[0] > 0 || states == [0; 3], "{states:?}");
    }
}

#[test]
fn an_error_leaves_the_old_set_or_the_new_one() {
    let (old, new) = (made_by(&OLD_SET), made_by(&NEW_SET));
    for (named, error) in [(false, EIO), (true, ENOSPC)] {
        at_each_step(&old, &NEW_SET, named, Action::Fail(error), &mut |call, dir, output| {
            let left = visible(contents(dir));
            assert!(left == old || left == new, "{call:?}: {}", said(output));
            let reported = output.status.code() == Some(1);
            assert!(reported || left == new && output.status.success(), "{call:?}: {}", said(output));
            // What could not be removed stays for the next run.
            assert!(call.kind == "unlink" || contents(dir).len() == old.len(), "{call:?} left something");
        });
    }
}

#[test]
fn an_error_leaves_nothing_of_a_new_set() {
    let new = made_by(&NEW_SET);
    at_each_step(&Files::new(), &NEW_SET, false, Action::Fail(ENOENT), &mut |call, dir, output| {
        let left = contents(dir);
        assert!(left.is_empty() || left == new, "{call:?}: {}", said(output));
        assert!(output.status.code() == Some(1) || left == new && output.status.success(), "{call:?}");
    });
}

/// Data are on the disk before they have a name, and the name before all is said to be done.
#[test]
fn the_order_of_syncs_and_names() {
    let old = made_by(&OLD_SET);
    for (flags, replaces) in [(&NEW_SET[..], false), (&NEW_SET, true), (&["--outtype", "f32"], false)] {
        for named in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            if replaces {
                put(dir.path(), &old);
            }
            let Some((output, calls)) = convert(Run { named, ..Run::default() }, dir.path(), flags) else {
                return;
            };
            assert!(output.status.success(), "{}", said(&output));
            let kinds: Vec<&str> = calls.iter().map(|c| c.kind.as_str()).collect();
            let parts: Vec<PathBuf> =
                visible(contents(dir.path())).into_iter().map(|(name, _)| name).collect();
            let gets_name = |name: &Path| {
                calls
                    .iter()
                    .rposition(|c| c.kind != "fsync" && c.kind != "close" && c.path == dir.path().join(name))
            };
            let named_at: Vec<usize> = parts.iter().map(|name| gets_name(name).unwrap()).collect();
            let synced = kinds.iter().enumerate().filter(|(_, kind)| **kind == "fsync");
            let synced: Vec<usize> = synced.map(|(at, _)| at).collect();
            assert_eq!(synced.len(), parts.len(), "{calls:?}");
            assert!(synced.iter().max() < named_at.iter().min(), "all data before the first name: {calls:?}");
            let (first, rest) = named_at.split_first().unwrap();
            assert!(rest.iter().all(|at| at < first), "the first file comes last: {calls:?}");
            let directory_synced = |from: usize, to: usize| kinds[from..to].contains(&"fsync-directory");
            assert!(directory_synced(*first, kinds.len()), "{calls:?}");
            if let Some(last) = rest.iter().max() {
                assert!(directory_synced(*last, *first), "before the first file: {calls:?}");
            }
            if replaces {
                let head_goes = kinds.iter().position(|kind| *kind == "rename").unwrap();
                let next =
                    head_goes + 1 + kinds[head_goes + 1..].iter().position(|k| *k == "rename").unwrap();
                assert!(directory_synced(head_goes, next), "after the old first file: {calls:?}");
            }
        }
    }
}

/// What replaces the only copy of a model is on the disk before it has the name.
#[test]
fn an_alignment_in_place_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(TINY).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let arguments = ["align", dir.path().to_str().unwrap(), "--in-place", "--quiet"];
    let Some((output, calls)) = Run::default().ggraft(&arguments) else { return };
    assert!(output.status.success(), "{}", said(&output));
    let at = |kind: &str| calls.iter().position(|call| call.kind == kind);
    let renamed = calls
        .iter()
        .position(|call| call.kind == "rename" && call.path.ends_with("model.safetensors"))
        .unwrap_or_else(|| panic!("{calls:?}"));
    assert!(at("fsync").is_some_and(|synced| synced < renamed), "{calls:?}");
    let directory = calls.iter().rposition(|call| call.kind == "fsync-directory");
    assert!(directory.is_some_and(|synced| synced > renamed), "{calls:?}");
}

#[test]
fn without_fsync_nothing_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let Some((output, calls)) = convert(Run::default(), dir.path(), &["--no-fsync"]) else { return };
    assert!(output.status.success());
    assert!(!calls.iter().any(|call| call.kind.starts_with("fsync")), "{calls:?}");
    let (output, calls) = convert(Run::default(), dir.path(), &["--no-fsync", "--fsync"]).unwrap();
    assert!(output.status.success() && calls.iter().any(|call| call.kind == "fsync"), "the last one counts");
}

/// In a directory of its own a link's target is replaced; the link stays.
#[test]
fn outputs_go_through_symbolic_links() {
    let dir = tempfile::tempdir().unwrap();
    let (links, files) = (dir.path().join("links"), dir.path().join("files"));
    fs::create_dir(&links).unwrap();
    fs::create_dir(&files).unwrap();
    fs::write(files.join("there"), "old").unwrap();
    fs::set_permissions(files.join("there"), Permissions::from_mode(0o640)).unwrap();
    for target in ["there", "new"] {
        let link = links.join("out.gguf");
        symlink(format!("../files/{target}"), &link).unwrap();
        let output = convert_plainly(&links, &[]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(link.is_symlink());
        assert_eq!(&fs::read(files.join(target)).unwrap()[..4], b"GGUF");
        fs::remove_file(link).unwrap();
    }
    assert_eq!(fs::metadata(files.join("there")).unwrap().mode() & 0o777, 0o640, "the mode is kept");
    assert_eq!((contents(&links).len(), contents(&files).len()), (0, 2));
}

#[test]
fn names_too_long_are_found_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    // 250 bytes and ".gguf" are all that a name may have; "-00001-of-00004" is what splits add.
    for (len, flags) in [(251, &[][..]), (240, &NEW_SET)] {
        let out = dir.path().join("n".repeat(len) + ".gguf");
        let arguments = [&["convert", TINY, "--outfile", out.to_str().unwrap()], flags].concat();
        let Some((output, calls)) = Run::default().ggraft(&arguments) else { return };
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("File name too long"), "{}", said(&output));
        assert!(!calls.iter().any(|call| call.kind == "fsync" || call.kind == "link"), "{calls:?}");
    }
    assert!(contents(dir.path()).is_empty());
}

/// The tiny model with more files beside it than may be open at once.
fn many_files(dir: &Path) -> PathBuf {
    let model = dir.join("model");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(TINY).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, model.join(path.file_name().unwrap())).unwrap();
    }
    for n in 0..700 {
        fs::write(model.join(format!("note-{n}.txt")), format!("{n}")).unwrap();
    }
    model
}

#[test]
fn more_files_than_may_be_open_are_aligned() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (many_files(dir.path()), dir.path().join("out"));
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 600 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_ggraft"), "align", "--quiet"])
        .args([&model, Path::new("-o"), &out])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let but_weights = |dir: &Path| {
        let mut files = contents(dir);
        let new = ["model.safetensors", "ggraft-name.txt"].map(Path::new);
        files.retain(|(name, _)| !new.contains(&name.as_path()));
        files
    };
    assert!(but_weights(&model) == but_weights(&out));
    // What the model is called, now that its directory is not.
    assert_eq!(fs::read_to_string(out.join("ggraft-name.txt")).unwrap().trim(), "model");
    assert!(out.join("model.safetensors").is_file());
}

#[test]
fn a_new_directory_is_taken_away_whenever_filling_it_fails() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (many_files(dir.path()), dir.path().join("out"));
    let arguments = ["align", model.to_str().unwrap(), "-o", out.to_str().unwrap(), "--quiet"];
    let Some((output, calls)) = Run::default().ggraft(&arguments) else { return };
    assert!(output.status.success(), "{}", said(&output));
    fs::remove_dir_all(&out).unwrap();
    let links: Vec<usize> =
        calls.iter().enumerate().filter(|(_, call)| call.kind == "link").map(|(at, _)| at + 1).collect();
    for step in [links[3], *links.last().unwrap()] {
        let run = Run { fault: Some((step, Action::Fail(ENOSPC))), ..Run::default() };
        let (output, _) = run.ggraft(&arguments).unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(!out.exists(), "step {step}");
    }
}
