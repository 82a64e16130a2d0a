//! Clones, extent maps and atomic files on real file systems.
//!
//! Directories come from `GGRAFT_TEST_*` (see scripts/with-test-filesystems.sh). A test whose file system is not
//! there says so and passes, or fails if `GGRAFT_REQUIRE_FS` is set.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use ggraft_platform::{
    AtomicFile, CloneError, ExtentUsage, FileSystem, Refusal, can_clone, clone_range, shared_bytes,
    write_all_at,
};

/// A fresh directory on the file system that `variable` names.
fn directory(variable: &str) -> Option<tempfile::TempDir> {
    match std::env::var_os(variable) {
        Some(dir) => Some(tempfile::tempdir_in(dir).unwrap()),
        None => {
            assert!(std::env::var_os("GGRAFT_REQUIRE_FS").is_none(), "{variable} is not set");
            // Straight to the descriptor: the test harness captures what `eprintln!` prints.
            _ = writeln!(std::io::stderr(), "SKIPPED: {variable} is not set");
            None
        }
    }
}

fn file_of(dir: &Path, name: &str, len: usize) -> File {
    let path = dir.join(name);
    let bytes: Vec<u8> = (0..len).map(|i| (i / 4096 + i % 251) as u8).collect();
    fs::write(&path, bytes).unwrap();
    let file = File::options().read(true).write(true).open(path).unwrap();
    file.sync_all().unwrap();
    file
}

#[test]
fn clones_share_blocks() {
    for (variable, block) in
        [("GGRAFT_TEST_XFS", 4096), ("GGRAFT_TEST_XFS_1K", 1024), ("GGRAFT_TEST_BTRFS", 4096)]
    {
        let Some(dir) = directory(variable) else { continue };
        let source = file_of(dir.path(), "source", 1 << 20);
        let target = file_of(dir.path(), "target", 0);
        target.set_len(1 << 20).unwrap();
        assert_eq!(FileSystem::of(dir.path()).unwrap().block_size, block, "{variable}");
        assert_eq!(can_clone(&source, dir.path()), Ok(()), "{variable}");
        clone_range(&source, 4 * block, 128 * block, &target, 8 * block).unwrap();
        let expected = ExtentUsage { shared: 128 * block, unique: 0 };
        assert_eq!(shared_bytes(&target).unwrap(), Some(expected), "{variable}");
        write_all_at(&target, &[7; 100], 8 * block + 10).unwrap();
        let expected = ExtentUsage { shared: 127 * block, unique: block };
        assert_eq!(shared_bytes(&target).unwrap(), Some(expected), "{variable}: writing unshares one block");
    }
}

#[test]
fn misaligned_clones_ask_for_a_copy() {
    for variable in ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS"] {
        let Some(dir) = directory(variable) else { continue };
        let (source, target) = (file_of(dir.path(), "source", 65536), file_of(dir.path(), "target", 65536));
        for (from, len, to) in [(1, 4096, 0), (0, 4096, 32), (0, 100, 0)] {
            let result = clone_range(&source, from, len, &target, to);
            assert!(
                matches!(result, Err(CloneError::CopyInstead(Refusal::Mismatch))),
                "{variable}: {result:?}"
            );
        }
        assert!(
            matches!(clone_range(&source, 0, 0, &target, 0), Err(CloneError::Io(_))),
            "length 0 means all"
        );
    }
}

#[test]
fn refusals_say_why() {
    for (variable, name) in
        [("GGRAFT_TEST_EXT4", "ext4"), ("GGRAFT_TEST_TMPFS", "tmpfs"), ("GGRAFT_TEST_XFS_NOREFLINK", "xfs")]
    {
        let Some(dir) = directory(variable) else { continue };
        let source = file_of(dir.path(), "source", 65536);
        assert_eq!(can_clone(&source, dir.path()), Err(Refusal::NotSupported(name.into())));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the probe leaves nothing behind");
    }
    let (Some(xfs), Some(btrfs)) = (directory("GGRAFT_TEST_XFS"), directory("GGRAFT_TEST_BTRFS")) else {
        return;
    };
    let source = file_of(xfs.path(), "source", 65536);
    assert_eq!(can_clone(&source, btrfs.path()), Err(Refusal::CrossDevice));
    let target = file_of(btrfs.path(), "target", 65536);
    let result = clone_range(&source, 0, 4096, &target, 0);
    assert!(matches!(result, Err(CloneError::CopyInstead(Refusal::CrossDevice))), "{result:?}");
    let tiny = file_of(xfs.path(), "tiny", 100);
    assert_eq!(can_clone(&tiny, xfs.path()), Err(Refusal::TooSmall));
}

#[test]
fn files_without_copy_on_write_are_copied() {
    let Some(dir) = directory("GGRAFT_TEST_BTRFS") else { return };
    let nocow = dir.path().join("nocow");
    fs::create_dir(&nocow).unwrap();
    assert!(Command::new("chattr").arg("+C").arg(&nocow).status().unwrap().success());
    let source = file_of(&nocow, "source", 65536);
    assert_eq!(can_clone(&source, dir.path()), Err(Refusal::Mismatch));
    assert_eq!(can_clone(&source, &nocow), Ok(()), "within the directory both are NOCOW");
}

#[test]
fn tmpfs_has_no_extent_map() {
    let Some(dir) = directory("GGRAFT_TEST_TMPFS") else { return };
    assert_eq!(shared_bytes(&file_of(dir.path(), "file", 4096)).unwrap(), None);
}

/// Every kind of file system there is, and wherever temporary files go.
fn everywhere() -> Vec<tempfile::TempDir> {
    let variables = ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS", "GGRAFT_TEST_EXT4", "GGRAFT_TEST_TMPFS"];
    variables.iter().filter_map(|v| directory(v)).chain([tempfile::tempdir().unwrap()]).collect()
}

fn names(dir: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into()).collect();
    names.sort();
    names
}

#[test]
fn atomic_files_appear_complete_or_not_at_all() {
    for dir in everywhere() {
        let dir = dir.path();
        let path = dir.join("out.gguf");
        let file = AtomicFile::create(&path).unwrap();
        write_all_at(file.file(), b"half", 0).unwrap();
        assert!(!path.exists());
        drop(file);
        assert!(names(dir).is_empty());

        fs::write(&path, "old").unwrap();
        let file = AtomicFile::create(&path).unwrap();
        write_all_at(file.file(), b"new", 0).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        AtomicFile::publish_all(vec![file]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir), [Path::new("out.gguf")]);

        File::create(dir.join("plain")).unwrap();
        let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode();
        assert_eq!(mode("out.gguf"), mode("plain"), "the mode is that of any new file");
    }
}

#[test]
fn a_set_that_cannot_be_published_whole_is_not_published() {
    for dir in everywhere() {
        let dir = dir.path();
        fs::create_dir_all(dir.join("b/not-empty")).unwrap();
        let files = ["a", "b"].map(|name| AtomicFile::create(&dir.join(name)).unwrap());
        assert!(AtomicFile::publish_all(files.into()).is_err(), "b is a directory");
        assert_eq!(names(dir), [Path::new("b")]);
    }
}

#[test]
fn a_symbolic_link_is_replaced_not_followed() {
    for dir in everywhere() {
        let dir = dir.path();
        fs::write(dir.join("precious"), "keep").unwrap();
        std::os::unix::fs::symlink("precious", dir.join("out")).unwrap();
        AtomicFile::publish_all(vec![AtomicFile::create(&dir.join("out")).unwrap()]).unwrap();
        assert_eq!(fs::read(dir.join("precious")).unwrap(), b"keep");
        assert_eq!(fs::symlink_metadata(dir.join("out")).unwrap().size(), 0);
    }
}
