//! Real file systems to test on, from `GGRAFT_TEST_*` (see scripts/with-test-filesystems.sh).

// Each test program uses a part of this.
#![allow(dead_code)]

use std::io::Write;

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
}
