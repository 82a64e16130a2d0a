//! Real file systems to test on, from `GGRAFT_TEST_*` (see scripts/with-test-filesystems.sh).

use std::io::Write;

/// A fresh directory on the file system that `variable` names.
pub fn directory(variable: &str) -> Option<tempfile::TempDir> {
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
