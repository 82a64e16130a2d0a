//! Clones, extent maps and facts on real file systems (see common/mod.rs).
//!
//! Directories come from `GGRAFT_TEST_*` (see scripts/with-test-filesystems.sh). A test whose file system is not
//! there says so and passes, or fails if `GGRAFT_REQUIRE_FS` is set.

#![cfg(all(target_os = "linux", not(feature = "portable")))]

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::directory;
use ggraft_platform::{
    CloneError, Extent, ExtentUsage, FileSystem, Refusal, can_clone, clone_range, copy_in_kernel, extents_at,
    for_each_extent, preallocate, read_exact_at, shared_bytes, write_all_at,
};

fn file_of(dir: &Path, name: &str, len: usize) -> File {
    let path = dir.join(name);
    let bytes: Vec<u8> = (0..len).map(|i| (i / 4096 + i % 251) as u8).collect();
    fs::write(&path, bytes).unwrap();
    let file = File::options().read(true).write(true).open(path).unwrap();
    file.sync_all().unwrap();
    file
}

fn bytes_at(file: &File, offset: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    read_exact_at(file, &mut bytes, offset).unwrap();
    bytes
}

fn extents(file: &File) -> Vec<Extent> {
    let mut extents = Vec::new();
    assert!(for_each_extent(file, |extent| extents.push(extent)).unwrap());
    extents
}

/// Where byte `at` of a file is on the disk, and whether it is shared.
fn place(extents: &[Extent], at: u64) -> Option<(u64, bool)> {
    let extent = extents.iter().find(|e| (e.logical..e.logical + e.len).contains(&at))?;
    Some((extent.physical + (at - extent.logical), extent.is_shared()))
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
        // XFS frees the blocks of an unlinked file a moment later.
        let deadline = Instant::now() + Duration::from_secs(20);
        while shared_bytes(&source, true).unwrap().unwrap().shared > 0 {
            assert!(Instant::now() < deadline, "{variable}: the probe is still there");
            sleep(Duration::from_millis(20));
        }

        clone_range(&source, 4 * block, 128 * block, &target, 8 * block).unwrap();
        let expected = ExtentUsage { shared: 128 * block, unique: 0 };
        assert_eq!(shared_bytes(&target, true).unwrap(), Some(expected), "{variable}");
        let (from, to) = (extents(&source), extents(&target));
        for n in [0, 1, 127] {
            let (from, to) = (place(&from, (4 + n) * block), place(&to, (8 + n) * block));
            assert!(from.is_some_and(|(_, shared)| shared), "{variable}: {from:?}");
            assert_eq!(from, to, "{variable}: block {n} is the same on the disk");
        }
        assert_eq!(place(&to, 7 * block), None, "{variable}: a hole before");
        assert_eq!(place(&to, 136 * block), None, "{variable}: a hole behind");
        assert_eq!(bytes_at(&target, 8 * block, 128 * block), bytes_at(&source, 4 * block, 128 * block));

        write_all_at(&target, &[7; 100], 8 * block + 10).unwrap();
        let expected = ExtentUsage { shared: 127 * block, unique: block };
        assert_eq!(
            shared_bytes(&target, true).unwrap(),
            Some(expected),
            "{variable}: writing unshares one block"
        );
    }
}

/// No offset is cut to 32 bits: what lies 4 GiB before is something else.
#[test]
fn offsets_have_64_bits() {
    const FAR: u64 = 1 << 32;
    for variable in ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS", "GGRAFT_TEST_EXT4"] {
        let Some(dir) = directory(variable) else { continue };
        let source = file_of(dir.path(), "source", 65536);
        source.set_len(FAR + 65536).unwrap();
        write_all_at(&source, &[0xa5; 8192], FAR + 8192).unwrap();
        assert_ne!(bytes_at(&source, 8192, 8192), [0xa5; 8192], "{variable}: written where it belongs");
        assert_eq!(bytes_at(&source, FAR + 8192, 8192), [0xa5; 8192], "{variable}");

        let target = file_of(dir.path(), "target", 0);
        target.set_len(FAR + 65536).unwrap();
        let copied = copy_in_kernel(&source, FAR + 8192, &target, FAR + 100, 8192);
        assert_eq!(bytes_at(&target, 100, 8192), [0; 8192], "{variable}");
        assert!(
            copied == 0 || bytes_at(&target, FAR + 100, copied) == vec![0xa5; copied as usize],
            "{variable}"
        );
        match clone_range(&source, FAR + 8192, 8192, &target, FAR + 16384) {
            Ok(()) => {
                assert_eq!(bytes_at(&target, FAR + 16384, 8192), [0xa5; 8192], "{variable}");
                assert_eq!(bytes_at(&target, 16384, 8192), [0; 8192], "{variable}");
                let shared = extents(&target).into_iter().filter(Extent::is_shared).collect::<Vec<_>>();
                assert!(shared.iter().all(|extent| extent.logical >= FAR), "{variable}: {shared:?}");
            }
            Err(error) => assert_eq!(variable, "GGRAFT_TEST_EXT4", "{error}"),
        }
    }
}

/// The block is the finest unit that works: half of it is refused.
#[test]
fn misaligned_clones_ask_for_a_copy() {
    for (variable, block) in
        [("GGRAFT_TEST_XFS", 4096), ("GGRAFT_TEST_XFS_1K", 1024), ("GGRAFT_TEST_BTRFS", 4096)]
    {
        let Some(dir) = directory(variable) else { continue };
        let (source, target) = (file_of(dir.path(), "source", 65536), file_of(dir.path(), "target", 65536));
        clone_range(&source, block, block, &target, 3 * block).unwrap();
        for (from, len, to) in
            [(1, block, 0), (0, block, 32), (0, 100, 0), (block / 2, block, 0), (0, block, block / 2)]
        {
            let result = clone_range(&source, from, len, &target, to);
            assert!(
                matches!(result, Err(CloneError::CopyInstead(Refusal::Unexplained))),
                "{variable}: {result:?}"
            );
        }
        assert!(
            matches!(clone_range(&source, 0, 0, &target, 0), Err(CloneError::Io(_))),
            "length 0 means all"
        );
        let read_only = File::open(dir.path().join("target")).unwrap();
        assert!(
            matches!(clone_range(&source, 0, block, &read_only, 0), Err(CloneError::Io(_))),
            "a mistake of the caller is not a reason to copy"
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
        let target = file_of(dir.path(), "target", 65536);
        let result = clone_range(&source, 0, 4096, &target, 0);
        assert!(matches!(result, Err(CloneError::CopyInstead(Refusal::NotSupported(_)))), "{result:?}");
    }
    let (Some(xfs), Some(btrfs), Some(tmpfs)) =
        (directory("GGRAFT_TEST_XFS"), directory("GGRAFT_TEST_BTRFS"), directory("GGRAFT_TEST_TMPFS"))
    else {
        return;
    };
    let source = file_of(xfs.path(), "source", 65536);
    assert_eq!(can_clone(&source, btrfs.path()), Err(Refusal::CrossDevice));
    assert_eq!(can_clone(&source, tmpfs.path()), Err(Refusal::CrossDevice));
    let target = file_of(btrfs.path(), "target", 65536);
    let result = clone_range(&source, 0, 4096, &target, 0);
    assert!(matches!(result, Err(CloneError::CopyInstead(Refusal::CrossDevice))), "{result:?}");
    let tiny = file_of(xfs.path(), "tiny", 100);
    assert_eq!(can_clone(&tiny, xfs.path()), Err(Refusal::TooSmall));
    let nowhere = can_clone(&source, &xfs.path().join("nowhere"));
    assert!(matches!(nowhere, Err(Refusal::Failed(_))), "{nowhere:?}");
}

#[test]
fn subvolumes_share_with_each_other() {
    let Some(dir) = directory("GGRAFT_TEST_BTRFS") else { return };
    let volume = dir.path().join("volume");
    let btrfs = |what: &str| {
        let status =
            Command::new("btrfs").args(["--quiet", "subvolume", what]).arg(&volume).status().unwrap();
        assert!(status.success());
    };
    btrfs("create");
    let source = file_of(dir.path(), "source", 65536);
    assert_eq!(can_clone(&source, &volume), Ok(()));
    btrfs("delete");
}

#[test]
fn files_without_copy_on_write_are_copied() {
    let Some(dir) = directory("GGRAFT_TEST_BTRFS") else { return };
    let nocow = dir.path().join("nocow");
    fs::create_dir(&nocow).unwrap();
    assert!(Command::new("chattr").arg("+C").arg(&nocow).status().unwrap().success());
    let source = file_of(&nocow, "source", 65536);
    assert_eq!(can_clone(&source, dir.path()), Err(Refusal::Unexplained));
    assert_eq!(can_clone(&source, &nocow), Ok(()), "within the directory both are NOCOW");
}

#[test]
fn tmpfs_has_no_extent_map() {
    let Some(dir) = directory("GGRAFT_TEST_TMPFS") else { return };
    assert_eq!(shared_bytes(&file_of(dir.path(), "file", 4096), true).unwrap(), None);
}

/// More extents than one call returns, and a length that is not a multiple of the block.
#[test]
fn extents_of_a_range_are_cut_to_it() {
    const MIB: u64 = 1 << 20;
    for variable in ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS", "GGRAFT_TEST_EXT4"] {
        let Some(dir) = directory(variable) else { continue };
        // Data, a hole of 2 MiB, and data again; not yet written back.
        let file = file_of(dir.path(), "file", MIB as usize);
        write_all_at(&file, &[7; 8192], 3 * MIB).unwrap();
        let found = |start: u64, len: u64| {
            let extents = extents_at(&file, start, len).unwrap().unwrap().into_iter();
            let mut ranges: Vec<(u64, u64)> = Vec::new();
            for extent in extents {
                match ranges.last_mut() {
                    Some((_, end)) if *end == extent.logical => *end += extent.len,
                    _ => ranges.push((extent.logical, extent.logical + extent.len)),
                }
            }
            ranges
        };
        assert_eq!(found(10_000, 50_000), [(10_000, 60_000)], "{variable}");
        assert_eq!(found(MIB, 2 * MIB), [], "{variable}: a hole");
        let both = [(MIB - 4096, MIB), (3 * MIB, 3 * MIB + 4096)];
        assert_eq!(found(MIB - 4096, 2 * MIB + 8192), both, "{variable}");
    }
    if let Some(dir) = directory("GGRAFT_TEST_TMPFS") {
        assert_eq!(extents_at(&file_of(dir.path(), "file", 8192), 0, 8192).unwrap(), None);
    }
}

#[test]
fn extent_maps_of_any_length_add_up() {
    const BLOCK: u64 = 4096;
    const COUNT: u64 = 700;
    for variable in ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS"] {
        let Some(dir) = directory(variable) else { continue };
        let (source, target) = (file_of(dir.path(), "source", 65536), file_of(dir.path(), "target", 0));
        let len = 2 * COUNT * BLOCK - 96;
        target.set_len(len).unwrap();
        // Every other block, and always the same one, so that no two extents merge.
        for n in 0..COUNT {
            clone_range(&source, 0, BLOCK, &target, 2 * n * BLOCK).unwrap();
        }
        write_all_at(&target, &[1; 4000], len - 4000).unwrap();
        let extents = extents(&target);
        assert_eq!(extents.len() as u64, COUNT + 1, "{variable}");
        assert!(extents.is_sorted_by_key(|e| e.logical), "{variable}");
        assert_eq!(extents.last().map(|e| e.logical + e.len), Some(len), "{variable}: not past the end");
        let expected = ExtentUsage { shared: COUNT * BLOCK, unique: 4000 };
        assert_eq!(shared_bytes(&target, true).unwrap(), Some(expected), "{variable}");
    }
}

#[test]
fn aligned_copies_share_silently() {
    for variable in ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS"] {
        let Some(dir) = directory(variable) else { continue };
        let source = file_of(dir.path(), "source", 1 << 20);
        for (offset, shared) in [(0, 65536), (32, 0)] {
            let target = file_of(dir.path(), "target", 0);
            assert_eq!(copy_in_kernel(&source, offset, &target, 0, 65536), 65536);
            assert_eq!(bytes_at(&target, 0, 65536), bytes_at(&source, offset, 65536), "{variable}");
            assert_eq!(
                shared_bytes(&target, true).unwrap().unwrap().shared,
                shared,
                "{variable}: from {offset}"
            );
        }
    }
}

#[test]
fn what_is_copied_across_file_systems_is_right() {
    let (Some(xfs), Some(tmpfs)) = (directory("GGRAFT_TEST_XFS"), directory("GGRAFT_TEST_TMPFS")) else {
        return;
    };
    let source = file_of(xfs.path(), "source", 1 << 20);
    let target = file_of(tmpfs.path(), "target", 0);
    let copied = copy_in_kernel(&source, 5, &target, 77, 500_000);
    assert_eq!(bytes_at(&target, 77, copied), bytes_at(&source, 5, copied));
}

#[test]
fn reserved_space_is_taken_at_once() {
    for variable in ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS", "GGRAFT_TEST_EXT4", "GGRAFT_TEST_TMPFS"] {
        use std::os::unix::fs::MetadataExt;
        let Some(dir) = directory(variable) else { continue };
        let file = file_of(dir.path(), "file", 0);
        file.set_len(8 << 20).unwrap();
        preallocate(&file, 1 << 20, 2 << 20).unwrap();
        file.sync_all().unwrap();
        let metadata = file.metadata().unwrap();
        assert_eq!(metadata.len(), 8 << 20, "{variable}");
        assert!((2 << 20..3 << 20).contains(&(metadata.blocks() * 512)), "{variable}: {}", metadata.blocks());
        assert_eq!(bytes_at(&file, 1 << 20, 4096), [0; 4096], "{variable}");
        let error = preallocate(&file, 0, 1 << 50).unwrap_err();
        let too_much = [std::io::ErrorKind::StorageFull, std::io::ErrorKind::FileTooLarge];
        assert!(too_much.contains(&error.kind()), "{variable}: {error}");
    }
}

/// `df` is the witness.
#[test]
fn facts_are_those_of_df() {
    for variable in ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS", "GGRAFT_TEST_EXT4", "GGRAFT_TEST_TMPFS"] {
        let Some(dir) = directory(variable) else { continue };
        let output =
            Command::new("df").args(["-B1", "--output=fstype,avail"]).arg(dir.path()).output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let mut words = output.lines().nth(1).unwrap().split_whitespace();
        let facts = FileSystem::of(dir.path()).unwrap();
        assert_eq!(words.next(), Some(facts.name.as_str()));
        let free: u64 = words.next().unwrap().parse().unwrap();
        // Other tests write meanwhile.
        assert!(facts.free_bytes.abs_diff(free) < 64 << 20, "{variable}: {facts:?}, df says {free}");
    }
}

#[test]
fn looking_at_a_pipe_does_not_wait_for_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(FileSystem::of(&pipe).unwrap().name, FileSystem::of(dir.path()).unwrap().name);
}
