//! Real file systems to test on, from `GGRAFT_TEST_*` (see scripts/with-test-filesystems.sh).

// Each test program uses a part of this.
#![allow(dead_code)]

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A fresh directory on the file system that `variable` names.
pub fn directory(variable: &str) -> Option<tempfile::TempDir> {
    match std::env::var_os(variable) {
        Some(dir) => Some(tempfile::tempdir_in(dir).unwrap()),
        None => {
            skip(&format!("{variable} is not set"));
            None
        }
    }
}

/// Tells that a test could not run.
pub fn skip(why: &str) {
    assert!(std::env::var_os("GGRAFT_REQUIRE_FS").is_none(), "{why}");
    // Straight to the descriptor: the test harness captures what `eprintln!` prints.
    _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
    if let Ok(mut tally) = OpenOptions::new().append(true).create(true).open(tally()) {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        // One call, so that programs do not write into each other's lines.
        _ = tally.write_all(format!("{} {test}\n", env!("CARGO_CRATE_NAME")).as_bytes());
    }
}

/// Where the tests that one `cargo test` skips are noted, for tests/zz_skipped.rs.
pub fn tally() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("skipped-{}", parent_id()))
}

/// A mounted file system that is unmounted when dropped.
pub struct Mount {
    pub dir: tempfile::TempDir,
}

impl Mount {
    /// A tmpfs with these options.
    pub fn tmpfs(options: &str) -> Option<Self> {
        let mount = Self { dir: tempfile::tempdir().unwrap() };
        mount.run(&["-t", "tmpfs", "-o", options, "tmpfs"]).then_some(mount)
    }

    /// Mounts it with other options; whether it could.
    pub fn again(&self, options: &str) -> bool {
        self.run(&["-o", &format!("remount,{options}")])
    }

    fn run(&self, args: &[&str]) -> bool {
        Command::new("mount").args(args).arg(self.dir.path()).output().is_ok_and(|o| o.status.success())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        _ = Command::new("umount").arg(self.dir.path()).status();
    }
}
