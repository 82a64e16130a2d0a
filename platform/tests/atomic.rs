//! Files that appear complete or not at all, on every file system there is (see common/mod.rs).

mod common;

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use common::{child_argument, everywhere, names};
use ggraft_platform::{AtomicFile, write_all_at};

/// Creates `path` with `contents`, not yet published.
fn written(path: &Path, contents: &[u8]) -> AtomicFile {
    let file = AtomicFile::create(path).unwrap();
    write_all_at(file.file(), contents, 0).unwrap();
    file
}

#[test]
fn dropping_leaves_nothing() {
    for dir in everywhere() {
        let path = dir.path().join("out.gguf");
        let file = written(&path, b"half");
        assert!(!path.exists());
        drop(file);
        assert!(names(dir.path()).is_empty());
    }
}

#[test]
fn publishing_replaces_at_once() {
    for dir in everywhere() {
        let path = dir.path().join("out.gguf");
        for contents in ["new", "newer"] {
            let before = fs::read(&path).ok();
            let file = written(&path, contents.as_bytes());
            assert_eq!(fs::read(&path).ok(), before, "not before it is published");
            AtomicFile::publish_all(vec![file], true).unwrap();
            assert_eq!(fs::read(&path).unwrap(), contents.as_bytes());
            assert_eq!(names(dir.path()), [Path::new("out.gguf")]);
        }
        File::create(dir.path().join("plain")).unwrap();
        let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode("out.gguf"), mode("plain"), "the mode is that of any new file");
        assert_eq!(fs::metadata(&path).unwrap().nlink(), 1);
    }
}

#[test]
fn a_set_that_cannot_be_published_whole_is_not_published() {
    for dir in everywhere() {
        let dir = dir.path();
        let files = ["a", "b", "c"].map(|name| written(&dir.join(name), b"x"));
        fs::create_dir(dir.join("b")).unwrap();
        assert!(AtomicFile::publish_all(files.into(), true).is_err(), "b is a directory");
        assert_eq!(names(dir), [Path::new("b")]);
    }
}

#[test]
fn only_regular_files_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("directory")).unwrap();
    assert!(Command::new("mkfifo").arg(dir.join("pipe")).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/null", dir.join("link-to-device")).unwrap();
    let before = names(dir);
    for name in ["directory", "pipe", "link-to-device", ".."] {
        let error = AtomicFile::create(&dir.join(name)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{name}");
    }
    assert_eq!(names(dir), before);

    // One that turns up while the file is being written.
    let file = written(&dir.join("late"), b"x");
    assert!(Command::new("mkfifo").arg(dir.join("late")).status().unwrap().success());
    assert!(AtomicFile::publish_all(vec![file], true).is_err());
    assert!(fs::symlink_metadata(dir.join("late")).unwrap().file_type().is_fifo());
}

#[test]
fn a_symbolic_link_is_replaced_not_followed() {
    for dir in everywhere() {
        let dir = dir.path();
        fs::write(dir.join("precious"), "keep").unwrap();
        for (name, to) in [("out", "precious"), ("dangling", "nowhere")] {
            std::os::unix::fs::symlink(to, dir.join(name)).unwrap();
            AtomicFile::publish_all(vec![written(&dir.join(name), b"new")], true).unwrap();
            assert!(fs::symlink_metadata(dir.join(name)).unwrap().is_file());
            assert_eq!(fs::read(dir.join(name)).unwrap(), b"new");
        }
        assert_eq!(fs::read(dir.join("precious")).unwrap(), b"keep");
        assert_eq!(names(dir).len(), 3);
    }
}

#[test]
fn names_of_every_length_work() {
    for dir in everywhere() {
        let path = dir.path().join("é".repeat(127) + "n");
        for contents in [b"1", b"2"] {
            AtomicFile::publish_all(vec![written(&path, contents)], true).unwrap();
        }
        assert_eq!(fs::read(path).unwrap(), b"2");
    }
}

/// What the child does: starts a file, says "ready", and waits to be killed.
#[test]
#[ignore = "run by another test in a process of its own"]
fn child() {
    let Some(path) = child_argument() else { return };
    let _file = written(&path, &[7; 1 << 20]);
    eprintln!("ready");
    sleep(Duration::from_secs(30));
}

// Elsewhere the file has a name from the start, and it stays.
#[cfg(all(target_os = "linux", not(feature = "portable")))]
#[test]
fn not_even_a_kill_leaves_anything() {
    for dir in common::real_file_systems() {
        for replaces in [false, true] {
            let path = dir.path().join("out.gguf");
            if replaces {
                fs::write(&path, "old").unwrap();
            }
            let before = names(dir.path());
            let (mut child, said) = common::start_child(&["env"], "child", path.as_os_str());
            common::expect_line(&said, "ready");
            child.0.kill().unwrap();
            child.0.wait().unwrap();
            assert_eq!(names(dir.path()), before, "{}", dir.path().display());
        }
    }
}
