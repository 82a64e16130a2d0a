//! Running `ggraft mount`, for tests of what it shows.

// Each test program uses a part of this.
#![allow(dead_code)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Whether file systems can be mounted here.
pub fn can_mount() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    let can = root && fs::File::options().read(true).write(true).open("/dev/fuse").is_ok();
    if !can {
        assert!(std::env::var_os("GGRAFT_REQUIRE_FS").is_none(), "this needs root and /dev/fuse");
        _ = writeln!(std::io::stderr(), "SKIPPED: needs root and /dev/fuse");
    }
    can
}

/// The program.
pub fn ggraft() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ggraft"))
}

/// Copies the files of the model `from` to the directory `to`, which is made.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A running `ggraft mount`.
pub struct Mount {
    pub child: Child,
    dir: PathBuf,
}

impl Mount {
    /// Mounts `model` at `dir`, which is made.
    pub fn of(model: &Path, dir: &Path, flags: &[&str]) -> Self {
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

    /// The files that it shows, by name.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Ends it as a service manager does, and answers what it said.
    pub fn end(mut self) -> String {
        signal(&self.child, "TERM");
        self.child.wait().unwrap();
        assert!(!is_mounted(&self.dir));
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

/// Sends `child` the signal `name`.
pub fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

/// Whether something is mounted at `dir`.
pub fn is_mounted(dir: &Path) -> bool {
    let dir = dir.to_str().unwrap();
    fs::read_to_string("/proc/self/mounts").unwrap().lines().any(|line| line.split(' ').nth(1) == Some(dir))
}
