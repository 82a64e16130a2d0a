//! What somebody sees who uses ggraft for the first time: on a file system that cannot share, in a Hugging Face cache, in a
//! download with `--local-dir`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");
const COMMIT: &str = "4e20de362430cd3b72f300e6b0f18e50e7166e08";

fn ggraft(args: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ggraft")).args(args).args(paths).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A cache of the hub with one model, and a snapshot of it.
fn cache(top: &Path) -> (PathBuf, PathBuf) {
    let repository = top.join("models--some--Little-Thing");
    let snapshot = snapshot(&repository, COMMIT);
    (repository, snapshot)
}

/// A snapshot that leads to blobs named after the files.
fn snapshot(repository: &Path, commit: &str) -> PathBuf {
    let (blobs, snapshot) = (repository.join("blobs"), repository.join("snapshots").join(commit));
    fs::create_dir_all(&blobs).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    for entry in fs::read_dir(TINY).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if !blobs.join(&name).exists() {
            fs::copy(entry.path(), blobs.join(&name)).unwrap();
        }
        symlink(Path::new("../../blobs").join(&name), snapshot.join(&name)).unwrap();
    }
    snapshot
}

#[test]
fn where_nothing_is_shared_the_last_line_says_how_to_do_without() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let model = dir.path().join("it's here");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(TINY).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let output = ggraft(&["convert"], &[&model]);
    assert!(output.status.success(), "{}", said(&output));
    let word = format!("'{}'", model.display().to_string().replace('\'', r"'\''"));
    let last = said(&output).lines().last().unwrap().to_owned();
    assert!(last.contains(&format!("`ggraft mount {word} DIR`")), "{last}");
    assert!(last.contains(&format!("`ggraft with {word} -- COMMAND {{}}`")), "{last}");
    // Whoever does not want to share is not told how to.
    let output = ggraft(&["convert", "--no-reflink"], &[&model]);
    assert!(!said(&output).contains("ggraft mount"), "{}", said(&output));
}

#[test]
fn aligning_where_nothing_can_be_shared_is_warned_of_first() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let copy = dir.path().join("copy");
    let output = ggraft(&["align", TINY, "--output"], &[&copy]);
    let warned = |output: &Output| {
        let said = said(output);
        assert!(output.status.success(), "{said}");
        let first = said.lines().next().unwrap();
        assert!(
            first.contains("tmpfs cannot share blocks") && first.contains("`ggraft mount` needs no space"),
            "{said}"
        );
    };
    warned(&output);
    fs::remove_file(copy.join("model.safetensors")).unwrap();
    fs::copy(format!("{TINY}/model.safetensors"), copy.join("model.safetensors")).unwrap();
    warned(&ggraft(&["align", "--in-place"], &[&copy]));
}

#[test]
fn a_snapshot_is_called_after_its_repository() {
    let top = tempfile::tempdir().unwrap();
    let (_, snapshot) = cache(top.path());
    for (dir, model) in [(top.path(), &*snapshot), (&*snapshot, Path::new("."))] {
        let output = Command::new(env!("CARGO_BIN_EXE_ggraft"))
            .args(["convert", "--dry-run"])
            .arg(model)
            .current_dir(dir)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let name = Path::new(&path).file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name.starts_with("Little-Thing-"), "{path}");
    }
}

#[test]
fn an_aligned_copy_keeps_the_models_name() {
    let top = tempfile::tempdir().unwrap();
    let (_, snapshot) = cache(top.path());
    let copy = top.path().join("elsewhere");
    let output = ggraft(&["align", "--quiet", "-o"], &[&copy, &snapshot]);
    assert!(output.status.success(), "{}", said(&output));
    let converted = |model: &Path| {
        let out = top.path().join("out.gguf");
        let output = ggraft(&["convert", "--no-reflink", "--quiet", "--outfile"], &[&out, model]);
        assert!(output.status.success(), "{}", said(&output));
        fs::read(out).unwrap()
    };
    let first = converted(&snapshot);
    assert!(converted(&copy) == first);
    assert!(converted(Path::new(TINY)) != first, "names have no effect");
    // Neither does a copy of the copy lose it.
    let again = top.path().join("again");
    assert!(ggraft(&["align", "--quiet", "-o"], &[&again, &copy]).status.success());
    assert!(converted(&again) == first);
}

#[test]
fn in_a_cache_the_blob_stays_and_that_is_said() {
    let top = tempfile::tempdir().unwrap();
    let (repository, snapshot) = cache(top.path());
    let blob = repository.join("blobs/model.safetensors");
    let before = fs::read(&blob).unwrap();
    let output = ggraft(&["align", "--in-place"], &[&snapshot]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("--replace-blob"), "{}", said(&output));
    assert!(fs::read(&blob).unwrap() == before);
    assert!(!snapshot.join("model.safetensors").is_symlink());
}

#[test]
fn a_blob_is_replaced_if_nothing_else_needs_it() {
    let top = tempfile::tempdir().unwrap();
    let (repository, first) = cache(top.path());
    let second = snapshot(&repository, "other");
    let blob = repository.join("blobs/model.safetensors");
    let before = fs::read(&blob).unwrap();
    let output = ggraft(&["align", "--in-place", "--replace-blob"], &[&first]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains(&*second.join("model.safetensors").to_string_lossy()),
        "{}",
        said(&output)
    );
    assert!(fs::read(&blob).unwrap() == before);

    fs::remove_dir_all(second).unwrap();
    let output = ggraft(&["align", "--in-place", "--replace-blob"], &[&first]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("hf cache verify"), "{}", said(&output));
    assert!(first.join("model.safetensors").is_symlink());
    assert!(fs::read(&blob).unwrap() != before);
    let check = ggraft(&["align", "--check"], &[&first]);
    assert!(String::from_utf8_lossy(&check.stdout).contains("model.safetensors: aligned"));
    assert_eq!(ggraft(&["align", "--replace-blob", "-o", "x"], &[&first]).status.code(), Some(2));
}

/// The library downloads a file again that is younger than its note of it.
#[test]
fn a_download_keeps_its_times() {
    let top = tempfile::tempdir().unwrap();
    let model = top.path().join("Tiny");
    let notes = model.join(".cache/huggingface/download");
    fs::create_dir_all(&notes).unwrap();
    for entry in fs::read_dir(TINY).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    fs::write(notes.join("model.safetensors.metadata"), format!("{COMMIT}\n\"etag\"\n1700000000.0\n"))
        .unwrap();
    let weights = model.join("model.safetensors");
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_600_000_000, 123_456_789);
    fs::File::options().write(true).open(&weights).unwrap().set_modified(time).unwrap();
    let inode = fs::metadata(&weights).unwrap().ino();
    let output = ggraft(&["align", "--in-place"], &[&model]);
    assert!(output.status.success(), "{}", said(&output));
    let after = fs::metadata(&weights).unwrap();
    assert_ne!(after.ino(), inode);
    assert_eq!(after.modified().unwrap(), time);
}
