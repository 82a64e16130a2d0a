//! What the tests share: directories on real file systems, and child processes to kill.

// Each test program uses a part of this.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

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

/// Every kind of file system there is.
pub fn real_file_systems() -> Vec<tempfile::TempDir> {
    ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS", "GGRAFT_TEST_EXT4", "GGRAFT_TEST_TMPFS"]
        .iter()
        .filter_map(|variable| directory(variable))
        .collect()
}

/// The same, and wherever temporary files go.
pub fn everywhere() -> Vec<tempfile::TempDir> {
    real_file_systems().into_iter().chain([tempfile::tempdir().unwrap()]).collect()
}

/// All names in `dir`, sorted.
pub fn names(dir: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into()).collect();
    names.sort();
    names
}

/// Tells a child process from a run of all tests; its value is the child's argument.
const ARGUMENT: &str = "GGRAFT_TEST_CHILD";

/// In the child: the argument it was started with.
pub fn child_argument() -> Option<PathBuf> {
    std::env::var_os(ARGUMENT).map(PathBuf::from)
}

/// Starts the ignored test `test` of this program in a process of its own, by way of `wrapper` (may be empty).
pub fn start_child(wrapper: &[&str], test: &str, argument: &OsStr) -> (Running, Receiver<String>) {
    let this = std::env::current_exe().unwrap();
    let mut line: Vec<&OsStr> = wrapper.iter().map(OsStr::new).collect();
    line.extend([this.as_os_str(), "--ignored".as_ref(), "--exact".as_ref(), test.as_ref()]);
    let mut child = Command::new(line[0])
        .args(&line[1..])
        .arg("--nocapture")
        .env(ARGUMENT, argument)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (send, said) = channel();
    thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    (Running(child), said)
}

/// A child process, killed when the test that started it ends.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Waits until the child says `line`, and fails if it does not.
pub fn expect_line(said: &Receiver<String>, line: &str) {
    while said.recv_timeout(Duration::from_secs(20)).expect(line) != line {}
}
