//! `ggraft mount` and `ggraft with`: the mounted file is the converted one, and nothing stays mounted.
//!
//! Needs root and /dev/fuse; without, the tests say so on stderr and pass, with `GGRAFT_REQUIRE_FS=1` they fail.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[path = "common/mounts.rs"]
mod mounts;

use mounts::{Mount, can_mount, copy, ggraft, is_mounted, signal};

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models");

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
    copy(&tiny(), &model);
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

/// Many readers at once, in every way there is to read: in order, at random, mapped, and past the page cache.
#[test]
fn however_it_is_read_it_is_the_same() {
    if !can_mount() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let expected = site.path().join("expected.gguf");
    let converted = ggraft()
        .args(["convert", "--quiet", "--no-reflink", "--outtype=q8_0", "--outfile"])
        .arg(&expected)
        .arg(tiny())
        .status();
    assert!(converted.unwrap().success());
    let bytes = fs::read(&expected).unwrap();
    // With room for one tile, and for none.
    for cache in ["--cache=1M", "--cache=0"] {
        let mount = Mount::of(&tiny(), &site.path().join("mnt"), &["--outtype=q8_0", cache]);
        let file = mount.files().remove(0);
        thread::scope(|scope| {
            for n in 0..8usize {
                let (file, bytes) = (&file, &bytes);
                scope.spawn(move || {
                    let mut it = fs::File::options();
                    if n % 2 == 1 {
                        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut it, libc_o_direct());
                    }
                    let it = it.read(true).open(file).unwrap();
                    let mut piece = vec![0; 12_288];
                    for step in 0..200 {
                        let at = (step * 7919 + n * 104_729) * 4096 % bytes.len() / 4096 * 4096;
                        let read = std::os::unix::fs::FileExt::read_at(&it, &mut piece, at as u64).unwrap();
                        assert_eq!(read, piece.len().min(bytes.len() - at));
                        assert!(piece[..read] == bytes[at..at + read], "at {at}");
                    }
                });
            }
        });
        mount.end();
    }
}

/// `O_DIRECT` on Linux, wherever the tests run.
fn libc_o_direct() -> i32 {
    if cfg!(any(target_arch = "aarch64", target_arch = "arm")) { 0o200_000 } else { 0o40_000 }
}

#[test]
fn in_the_background_it_is_ready_when_the_command_returns() {
    if !can_mount() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let dir = site.path().join("mnt");
    fs::create_dir(&dir).unwrap();
    let output = ggraft().arg("mount").arg(tiny()).arg(&dir).arg("--background").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(is_mounted(&dir));
    let path = PathBuf::from(said(&output));
    assert!(path.starts_with(&dir) && fs::read(&path).is_ok(), "{}", path.display());
    assert!(Command::new("umount").arg(&dir).status().unwrap().success());
    // What fails says so and fails, too.
    let output = ggraft().args(["mount", "/nonexistent"]).arg(&dir).arg("--background").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent"));
    assert!(!is_mounted(&dir));
}

#[test]
fn whoever_waits_for_it_is_told() {
    if !can_mount() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let dir = site.path().join("mnt");
    fs::create_dir(&dir).unwrap();
    let socket = std::os::unix::net::UnixDatagram::bind(site.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The shell's descriptor 7 is its standard output.
    let mut child = Command::new("sh")
        .args(["-c", "exec 7>&1 >/dev/null; exec \"$0\" mount \"$1\" \"$2\" --ready-fd 7 --quiet"])
        .arg(env!("CARGO_BIN_EXE_ggraft"))
        .args([&tiny(), &dir])
        .env("NOTIFY_SOCKET", site.path().join("notify"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = String::new();
    child.stdout.take().unwrap().read_to_string(&mut lines).unwrap();
    assert!(is_mounted(&dir));
    assert!(fs::metadata(lines.trim()).unwrap().is_file(), "{lines}");
    let mut told = [0; 100];
    let len = socket.recv(&mut told).unwrap();
    assert!(told[..len].starts_with(b"READY=1\n"), "{:?}", &told[..len]);
    signal(&child, "INT");
    signal(&child, "TERM");
    child.wait().unwrap();
    assert!(!is_mounted(&dir));
    let output = ggraft().arg("mount").arg(tiny()).arg(&dir).args(["--ready-fd", "77"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What is open does not keep it from ending, and ends with it.
#[test]
fn it_waits_for_nobody() {
    if !can_mount() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let mount = Mount::of(&tiny(), &site.path().join("mnt"), &[]);
    let mut open = fs::File::open(mount.files().remove(0)).unwrap();
    let start = Instant::now();
    mount.end();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    open.seek(SeekFrom::Start(0)).unwrap();
    let mut rest = Vec::new();
    // What the kernel has, it may still give.
    if let Err(error) = open.read_to_end(&mut rest) {
        assert!(matches!(error.raw_os_error(), Some(5 | 103 | 107)), "{error}");
    }
}

/// Every signal goes to the command, also the second one, and its exit code is what counts.
#[test]
fn signals_are_the_commands() {
    if !can_mount() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let script =
        "trap 'echo int' INT; trap 'echo usr; exit 3' USR1; echo ready; while :; do sleep 0.05; done";
    let mut child =
        with(&[], &["sh", "-c", script, "{}"], temp.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    for (expected, next) in
        [("ready", Some("INT")), ("int", Some("INT")), ("int", Some("USR1")), ("usr", None)]
    {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        assert_eq!(line.trim(), expected);
        if let Some(name) = next {
            signal(&child, name);
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "something is left");
}
