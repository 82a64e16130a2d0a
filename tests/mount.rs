//! `ggraft mount` and `ggraft with`: the mounted file is the converted one, and nothing stays mounted.
//!
//! Needs root and /dev/fuse; without, the tests say so on stderr and pass, with `GGRAFT_REQUIRE_FS=1` they fail.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models");

/// Whether file systems can be mounted here.
fn can_mount() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    let can = root && fs::File::options().read(true).write(true).open("/dev/fuse").is_ok();
    if !can {
        assert!(std::env::var_os("GGRAFT_REQUIRE_FS").is_none(), "this needs root and /dev/fuse");
        _ = writeln!(std::io::stderr(), "SKIPPED: needs root and /dev/fuse");
    }
    can
}

fn ggraft() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ggraft"))
}

/// A running `ggraft mount`.
struct Mount {
    child: Child,
    dir: PathBuf,
}

impl Mount {
    fn of(model: &Path, dir: &Path, flags: &[&str]) -> Self {
        fs::create_dir_all(dir).unwrap();
        let mut child = ggraft();
        child.arg("mount").arg(model).arg(dir).args(flags).args(["--quiet"]).stderr(Stdio::piped());
        let mount = Self { child: child.spawn().unwrap(), dir: dir.to_owned() };
        let start = Instant::now();
        while fs::read_dir(dir).unwrap().next().is_none() {
            assert!(start.elapsed() < Duration::from_secs(20), "nothing is mounted");
            thread::sleep(Duration::from_millis(10));
        }
        mount
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Ends it as a service manager does.
    fn end(mut self) -> String {
        signal(&self.child, "TERM");
        self.child.wait().unwrap();
        assert!(!is_mounted(&self.dir));
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

fn is_mounted(dir: &Path) -> bool {
    let dir = dir.to_str().unwrap();
    fs::read_to_string("/proc/self/mounts").unwrap().lines().any(|line| line.split(' ').nth(1) == Some(dir))
}

fn tiny() -> PathBuf {
    Path::new(MODELS).join("tiny-llama")
}

#[test]
fn shows_what_convert_writes() {
    if !can_mount() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    for (n, flags) in [
        &["--outtype=f32"][..],
        &["--outtype=f16"],
        &["--outtype=bf16"],
        &["--outtype=q8_0"],
        &["--outtype=tq1_0"],
        &["--vocab-only"],
        &["--split-max-tensors=7"],
    ]
    .into_iter()
    .enumerate()
    {
        let (dir, out) = (site.path().join(format!("mnt{n}")), site.path().join(format!("out{n}")));
        fs::create_dir(&out).unwrap();
        let converted = ggraft()
            .args(["convert", "--quiet", "--no-reflink"])
            .args(flags)
            .arg("--outfile")
            .arg(&out)
            .arg(tiny())
            .status();
        assert!(converted.unwrap().success());
        let mount = Mount::of(&tiny(), &dir, flags);
        let mut expected: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
        expected.sort();
        let shown = mount.files();
        assert_eq!(shown.len(), expected.len());
        for (shown, expected) in shown.iter().zip(&expected) {
            assert_eq!(shown.file_name(), expected.file_name());
            let bytes = fs::read(expected).unwrap();
            assert_eq!(fs::metadata(shown).unwrap().len(), bytes.len() as u64);
            assert!(fs::read(shown).unwrap() == bytes, "{flags:?}: {}", shown.display());
            // From the end to the start, in odd pieces.
            let mut file = fs::File::open(shown).unwrap();
            for start in (0..bytes.len()).step_by(4099).rev() {
                let mut piece = vec![0; 4099.min(bytes.len() - start)];
                file.seek(SeekFrom::Start(start as u64)).unwrap();
                file.read_exact(&mut piece).unwrap();
                assert!(piece == bytes[start..start + piece.len()], "{flags:?} at {start}");
            }
        }
        assert!(fs::write(shown[0].with_file_name("new"), "").is_err(), "it is read-only");
        mount.end();
    }
}

#[test]
fn a_source_that_changes_makes_reads_fail() {
    if !can_mount() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let model = site.path().join("model");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(tiny()).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let mount = Mount::of(&model, &site.path().join("mnt"), &["--outtype=f32"]);
    let file = mount.files().remove(0);
    let weights = fs::File::options().write(true).open(model.join("model.safetensors")).unwrap();
    // A byte of the last tensor, with the time put back as it was.
    let (len, modified) =
        (weights.metadata().unwrap().len(), weights.metadata().unwrap().modified().unwrap());
    std::os::unix::fs::FileExt::write_all_at(&weights, &[0x55], len - 1).unwrap();
    weights.set_modified(modified).unwrap();
    let error = fs::read(&file).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5), "{error}");
    let said = mount.end();
    assert_eq!(said.matches("model.safetensors").count(), 1, "{said}");
}

/// `ggraft with`, for which SIGINT is not ignored even where whoever runs the tests ignores it.
fn with(flags: &[&str], command: &[&str], temp: &Path) -> Command {
    let mut it = Command::new("env");
    it.args(["--default-signal=INT", env!("CARGO_BIN_EXE_ggraft"), "with"])
        .arg(tiny())
        .args(flags)
        .arg("--")
        .args(command)
        .env("TMPDIR", temp);
    it
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_command_gets_the_file_and_its_exit_code_counts() {
    if !can_mount() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let output =
        with(&["--outtype=q8_0"], &["sh", "-c", "cat \"$0\" | sha256sum; exit 9", "{}"], temp.path())
            .output()
            .unwrap();
    assert_eq!(output.status.code(), Some(9));
    let expected = temp.path().join("expected.gguf");
    let converted = ggraft()
        .args(["convert", "--quiet", "--no-reflink", "--outtype=q8_0", "--outfile"])
        .arg(&expected)
        .arg(tiny())
        .status();
    assert!(converted.unwrap().success());
    let sum = Command::new("sha256sum").stdin(fs::File::open(&expected).unwrap()).output().unwrap();
    assert_eq!(said(&output), said(&sum));
    fs::remove_file(expected).unwrap();
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "something is left");
    let output = with(&[], &["/nonexistent", "{}"], temp.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "something is left");
}

#[test]
fn however_it_ends_nothing_stays_mounted() {
    if !can_mount() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    for (n, name) in ["INT", "TERM", "KILL", "TERM", "KILL", "INT"].into_iter().enumerate() {
        let mut child = with(&[], &["sh", "-c", "cat \"$0\" >/dev/null; exec sleep 60", "{}"], temp.path())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(150 + 60 * n as u64));
        let start = Instant::now();
        signal(&child, name);
        child.wait().unwrap();
        assert!(start.elapsed() < Duration::from_secs(5), "SIG{name}: {:?}", start.elapsed());
    }
    // The next run takes away what the killed ones left.
    assert!(with(&[], &["true"], temp.path()).status().unwrap().success());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(temp.path().to_str().unwrap()), "{mounts}");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "something is left");
}
