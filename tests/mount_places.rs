//! Where `ggraft mount` and `ggraft with` mount, what they leave alone there, and what they take away.
//!
//! Needs root and /dev/fuse; without, the tests say so on stderr and pass, with `GGRAFT_REQUIRE_FS=1` they fail.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

#[path = "common/mounts.rs"]
mod mounts;

use mounts::{Mount, can_mount, copy, ggraft, is_mounted, signal};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs `ggraft with` and `command`, with `temp` for temporary files.
fn with(temp: &Path, command: &[&str]) -> Output {
    ggraft().args(["with", TINY, "--"]).args(command).env("TMPDIR", temp).output().unwrap()
}

/// Where all may write, anything may have the name that our mounts have, and lead anywhere.
#[test]
fn what_others_call_as_we_do_is_left_alone() {
    if !can_mount() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let [temp, precious, file] = ["tmp", "precious", "file"].map(|name| site.path().join(name));
    fs::create_dir(&temp).unwrap();
    fs::write(&file, "precious").unwrap();
    let elsewhere = Mount::of(Path::new(TINY), &precious, &[]);
    symlink(&precious, temp.join("ggraft-mount-link")).unwrap();
    fs::write(temp.join("ggraft-mount-link.lock"), "").unwrap();
    symlink(&file, temp.join("ggraft-mount-file.lock")).unwrap();
    fs::hard_link(&file, temp.join("ggraft-mount-hard.lock")).unwrap();
    let named = Mount::of(Path::new(TINY), &temp.join("ggraft-mount-named"), &[]);
    fs::create_dir(temp.join("ggraft-mount-empty")).unwrap();

    assert!(with(&temp, &["true"]).status.success());
    assert!(is_mounted(&precious) && is_mounted(&temp.join("ggraft-mount-named")));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    for name in ["link", "file.lock", "hard.lock", "empty"] {
        assert!(fs::symlink_metadata(temp.join(format!("ggraft-mount-{name}"))).is_ok(), "{name}");
    }
    elsewhere.end();
    named.end();
}

#[test]
fn only_an_empty_directory_will_do() {
    if !can_mount() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let [model, full, shown] = ["model", "full", "shown"].map(|name| site.path().join(name));
    for dir in [&model, &full] {
        copy(Path::new(TINY), dir);
    }
    let first = Mount::of(&model, &shown, &[]);
    let nothing = site.path().join("nothing");
    for (dir, problem) in [
        (&full, "is not empty"),
        (&model, "is not empty"),
        (&shown, "is not empty"),
        (&full.join("config.json"), "is not a directory"),
        (&nothing, "is not a directory"),
    ] {
        for flags in [&[][..], &["--background"]] {
            let output = ggraft().arg("mount").arg(&model).arg(dir).args(flags).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{}: {}", dir.display(), said(&output));
            assert!(said(&output).contains(problem), "{}: {}", dir.display(), said(&output));
        }
    }
    assert!(fs::read(first.files().remove(0)).is_ok());
    first.end();
}

/// As long as one is getting ready, nobody else mounts there: the first to end would take away the other's mount.
#[test]
fn of_two_that_begin_at_once_one_is_refused() {
    if !can_mount() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let dir = site.path().join("mnt");
    fs::create_dir(&dir).unwrap();
    let held = fs::File::open(&dir).unwrap();
    held.lock().unwrap();
    let output = ggraft().args(["mount", TINY]).arg(&dir).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("another process mounts"), "{}", said(&output));
}

#[test]
fn what_a_killed_mount_left_does_not_keep_the_next_from_mounting() {
    if !can_mount() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let dir = site.path().join("mnt");
    let mut killed = Mount::of(Path::new(TINY), &dir, &[]);
    signal(&killed.child, "KILL");
    killed.child.wait().unwrap();
    assert!(is_mounted(&dir));
    let output = ggraft().args(["mount", TINY]).arg(&dir).arg("--background").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("killed"), "{}", said(&output));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    assert!(Command::new("umount").arg(&dir).status().unwrap().success());
    assert!(!is_mounted(&dir), "one mount below another");
}

/// As `timeout` does, which sends its signal to a process and to its group.
#[test]
fn two_signals_in_a_row_unmount() {
    if !can_mount() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    for n in 0..5 {
        let dir = site.path().join(format!("mnt{n}"));
        let mut mount = Mount::of(Path::new(TINY), &dir, &[]);
        let pid = mount.child.id().to_string();
        let script = "kill -TERM \"$0\"; kill -HUP \"$0\"; kill -TERM \"$0\"; true";
        Command::new("sh").args(["-c", script, &pid]).output().unwrap();
        mount.child.wait().unwrap();
        assert!(!is_mounted(&dir));
    }
}

#[test]
fn the_path_leads_there_from_everywhere() {
    if !can_mount() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    fs::create_dir(site.path().join("tmp")).unwrap();
    let mut command = ggraft();
    command.args(["with", TINY, "--", "sh", "-c", "cd / && cat \"$0\" >/dev/null", "{}"]);
    let output = command.env("TMPDIR", "tmp").current_dir(site.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let output = with(&site.path().join("nowhere"), &["true"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("TMPDIR"), "{}", said(&output));
}
