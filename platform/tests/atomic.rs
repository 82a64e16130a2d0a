//! Files that appear complete or not at all, on every file system there is (see common/mod.rs).

mod common;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use common::{child_argument, everywhere, names};
use ggraft_platform::{AtomicFile, Links, PublishError, Published, remove_leftovers, write_all_at};

fn publish(files: Vec<AtomicFile>, durable: bool) -> Result<Vec<Published>, PublishError> {
    AtomicFile::flush_all(files, durable)?.publish()
}

/// Creates `path` with `contents`, not yet published.
fn written(path: &Path, contents: &[u8]) -> AtomicFile {
    let file = AtomicFile::create(path, Links::Follow).unwrap();
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
            publish(vec![file], true).unwrap();
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
fn what_took_no_other_place_is_withdrawn_unless_another_has_its_place() {
    for dir in everywhere() {
        let path = dir.path().join("out.gguf");
        let published = publish(vec![written(&path, b"mine")], false).unwrap();
        published[0].withdraw();
        assert!(!path.exists(), "nothing was there before");
        published[0].withdraw();

        let published = publish(vec![written(&path, b"mine")], false).unwrap();
        fs::write(dir.path().join("other"), "theirs").unwrap();
        fs::rename(dir.path().join("other"), &path).unwrap();
        published[0].withdraw();
        assert_eq!(fs::read(&path).unwrap(), b"theirs", "somebody was there meanwhile");

        let published = publish(vec![written(&path, b"mine")], false).unwrap();
        published[0].withdraw();
        assert_eq!(fs::read(&path).unwrap(), b"mine", "what was there before is lost already");
    }
}

#[test]
fn a_set_that_cannot_be_published_whole_is_not_published() {
    for dir in everywhere() {
        let dir = dir.path();
        let files = ["a", "b", "c"].map(|name| written(&dir.join(name), b"x"));
        fs::create_dir(dir.join("b")).unwrap();
        assert!(publish(files.into(), true).is_err(), "b is a directory");
        assert_eq!(names(dir), [Path::new("b")]);
    }
}

#[test]
fn only_regular_files_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("directory")).unwrap();
    assert!(Command::new("mkfifo").arg(dir.join("pipe")).status().unwrap().success());
    symlink("/dev/null", dir.join("link-to-device")).unwrap();
    let before = names(dir);
    for name in ["directory", "pipe", "link-to-device", ".."] {
        let error = AtomicFile::create(&dir.join(name), Links::Follow).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{name}");
    }
    assert_eq!(names(dir), before);

    // One that turns up while the file is being written.
    let file = written(&dir.join("late"), b"x");
    assert!(Command::new("mkfifo").arg(dir.join("late")).status().unwrap().success());
    assert!(publish(vec![file], true).is_err());
    assert!(fs::symlink_metadata(dir.join("late")).unwrap().file_type().is_fifo());
}

#[test]
fn a_symbolic_link_is_followed_or_replaced() {
    for dir in everywhere() {
        let dir = dir.path();
        fs::create_dir(dir.join("elsewhere")).unwrap();
        fs::write(dir.join("elsewhere/precious"), "keep").unwrap();
        let links = [("out", "middle"), ("middle", "elsewhere/precious"), ("dangling", "elsewhere/new")];
        links.iter().for_each(|(name, to)| symlink(to, dir.join(name)).unwrap());
        let publish = |name: &str, links| {
            let file = AtomicFile::create(&dir.join(name), links).unwrap();
            write_all_at(file.file(), name.as_bytes(), 0).unwrap();
            publish(vec![file], true).unwrap();
        };
        let precious = || fs::read_to_string(dir.join("elsewhere/precious")).unwrap();

        publish("out", Links::Replace);
        assert!(fs::symlink_metadata(dir.join("out")).unwrap().is_file());
        assert_eq!(precious(), "keep");

        fs::remove_file(dir.join("out")).unwrap();
        symlink("middle", dir.join("out")).unwrap();
        publish("out", Links::Follow);
        publish("dangling", Links::Follow);
        for (name, to) in links {
            assert_eq!(fs::read_link(dir.join(name)).unwrap(), Path::new(to));
        }
        assert_eq!(precious(), "out");
        assert_eq!(fs::read(dir.join("elsewhere/new")).unwrap(), b"dangling");
        assert_eq!(names(&dir.join("elsewhere")).len(), 2, "nothing else is left");
        assert_eq!(names(dir).len(), 4);
    }
}

#[test]
fn links_that_lead_nowhere_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    symlink("circle", dir.join("circle")).unwrap();
    symlink("missing/file", dir.join("no-directory")).unwrap();
    // A file without a name, which /proc shows as one that it does not have.
    let nameless = tempfile::tempfile_in(dir).unwrap();
    let magic = format!("/proc/self/fd/{}", nameless.as_raw_fd());
    for path in [dir.join("circle"), dir.join("no-directory"), PathBuf::from(magic)] {
        if cfg!(target_os = "linux") || path.starts_with(dir) {
            AtomicFile::create(&path, Links::Follow).unwrap_err();
        }
    }
    assert_eq!(names(dir).len(), 2);
}

#[test]
fn the_mode_and_owner_of_what_was_there_are_kept() {
    for dir in everywhere() {
        for (name, mode) in [("private", 0o600), ("shared", 0o664), ("read-only", 0o444)] {
            let path = dir.path().join(name);
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            // Only root may do that.
            let given = std::os::unix::fs::chown(&path, Some(12345), Some(23456)).is_ok();
            let before = fs::metadata(&path).unwrap();
            let file = written(&path, b"new");
            assert_eq!(file.file().metadata().unwrap().mode() & 0o777, mode, "from the start");
            publish(vec![file], true).unwrap();
            let after = fs::metadata(&path).unwrap();
            assert_ne!(after.ino(), before.ino());
            assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
            assert!(!given || after.uid() == 12345);
        }
    }
}

#[test]
fn a_name_that_is_too_long_is_refused_before_anything_is_written() {
    for dir in everywhere() {
        // Names have 255 bytes; a path of 4095 leaves no room for a temporary name that is longer than the last part.
        let mut deep = dir.path().to_owned();
        while deep.as_os_str().len() < 4085 {
            let rest = 4090 - deep.as_os_str().len();
            deep.push("d".repeat(rest.min(201) - 1));
        }
        for path in [dir.path().join("n".repeat(256)), deep.join("out")] {
            let error = AtomicFile::create(&path, Links::Follow).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidFilename, "{} bytes", path.as_os_str().len());
        }
        assert!(names(dir.path()).is_empty());
    }
}

#[test]
fn a_set_over_an_old_one_is_all_new_or_all_old() {
    for dir in everywhere() {
        let dir = dir.path();
        let parts = ["1", "2", "3"].map(|name| dir.join(name));
        let contents = || parts.each_ref().map(|path| fs::read_to_string(path).unwrap_or_default());
        let set = |text: &str| parts.each_ref().map(|path| written(path, text.as_bytes())).into();
        publish(set("old"), true).unwrap();
        publish(set("new"), true).unwrap();
        assert_eq!(contents(), ["new"; 3]);

        // The last one cannot be replaced.
        let newer = set("newer");
        fs::remove_file(&parts[2]).unwrap();
        fs::create_dir(&parts[2]).unwrap();
        publish(newer, true).unwrap_err();
        assert_eq!(contents(), ["new", "new", ""]);
        assert_eq!(names(dir).len(), 3, "nothing is left behind");
    }
}

#[test]
fn leftovers_go_unless_somebody_holds_them() {
    for dir in everywhere() {
        let dir = dir.path();
        let old = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
        let put = |name: &str| {
            let file = File::create(dir.join(name)).unwrap();
            file.set_modified(old).unwrap();
            file
        };
        let held = put(".held.gguf.ggraft-1-0.tmp");
        held.try_lock().unwrap();
        for name in [".dead.gguf.ggraft-1-0.tmp", "out.gguf", ".other.tmp", ".x.ggraft-1-a.tmp"] {
            put(name);
        }
        fs::create_dir(dir.join(".dir.ggraft-1-0.tmp")).unwrap();
        symlink("out.gguf", dir.join(".link.ggraft-1-0.tmp")).unwrap();
        let foreign = dir.join(".foreign.ggraft-1-0.tmp");
        let is_root = {
            put(".foreign.ggraft-1-0.tmp");
            std::os::unix::fs::chown(&foreign, Some(12345), None).is_ok()
        };
        let before = names(dir);
        remove_leftovers(dir);
        let gone: Vec<_> = before.into_iter().filter(|name| !names(dir).contains(name)).collect();
        let dead = Path::new(".dead.gguf.ggraft-1-0.tmp");
        let expected = [dead, Path::new(".foreign.ggraft-1-0.tmp")];
        assert_eq!(gone, &expected[..if is_root { 1 } else { 2 }], "{}", dir.display());
        drop(held);
        remove_leftovers(dir);
        assert!(!dir.join(".held.gguf.ggraft-1-0.tmp").exists());
    }
}

#[test]
fn a_file_being_written_is_no_leftover() {
    for dir in everywhere() {
        let path = dir.path().join("out.gguf");
        let file = written(&path, b"x");
        // Where it has a temporary name, that is locked, however old it is.
        file.file().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        remove_leftovers(dir.path());
        publish(vec![file], true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }
}

#[test]
fn names_of_every_length_work() {
    for dir in everywhere() {
        let path = dir.path().join("é".repeat(127) + "n");
        for contents in [b"1", b"2"] {
            publish(vec![written(&path, contents)], true).unwrap();
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
