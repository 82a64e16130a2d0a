//! Runs last of this package's test programs: says how many tests could not run here, which the others count as passed.

use std::fs;
use std::io::Write;
use std::process::Command;

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

/// Stands for tests that need something that is not there.
#[test]
#[ignore = "only for the test below"]
fn one_that_cannot_run() {
    filesystems::skip("it never can");
}

/// As the one before.
#[test]
#[ignore = "only for the test below"]
fn another_that_cannot_run() {
    filesystems::skip("it never can");
    filesystems::skip("for two reasons");
}

/// This program again, as `cargo test` would run it: skips of all programs with one parent are counted together.
#[test]
fn each_skipped_test_is_counted_once() {
    let run = |arguments: &[&str]| {
        let mut program = Command::new(std::env::current_exe().unwrap());
        let output = program.args(arguments).env_remove("GGRAFT_REQUIRE_FS").output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let last = ["--exact", "what_was_skipped_is_said"];
    assert_eq!(run(&last), "", "nothing was skipped");
    assert_eq!(run(&["--ignored", "--test-threads", "2"]).matches("SKIPPED: ").count(), 3);
    let said = run(&last);
    assert!(said.starts_with("2 tests were skipped"), "{said}");
    assert!(said.contains("sudo scripts/with-test-filesystems.sh cargo test --workspace"), "{said}");
    assert_eq!(run(&last), "", "what was said is not said again");
}
