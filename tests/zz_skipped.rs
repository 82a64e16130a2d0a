//! Runs last of this package's test programs: says how many tests could not run here, which the others count as passed.

use std::fs;
use std::io::Write;

#[path = "common/filesystems.rs"]
mod filesystems;

#[test]
fn what_was_skipped_is_said() {
    let path = filesystems::tally();
    let lines = fs::read_to_string(&path).unwrap_or_default();
    _ = fs::remove_file(path);
    let mut tests: Vec<&str> = lines.lines().collect();
    tests.sort_unstable();
    tests.dedup();
    if !tests.is_empty() {
        // Straight to the descriptor: the test harness captures what `eprintln!` prints.
        _ = writeln!(
            std::io::stderr(),
            "{} tests were skipped, or in part; as root all of them run:\n    \
             sudo scripts/with-test-filesystems.sh cargo test --workspace",
            tests.len()
        );
    }
}
