//! Running ggraft on made-up files in a directory of their own.

// Each test uses a part of this.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use sha2::{Digest, Sha256};

use crate::made::Made;

/// What `in.gguf` is where it does not matter.
pub const MADE: Made = Made { seed: 5, version: 3, alignment: 32, tensors: 9, size: 300_000, ones: false };

/// A directory in which `in.gguf` is `made`.
pub fn site(made: &Made) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in.gguf"), made.bytes()).unwrap();
    dir
}

/// Runs ggraft in `dir`.
pub fn ggraft<S: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ggraft")).current_dir(dir).args(args).output().unwrap()
}

/// What it said on standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs ggraft in `dir`, which must succeed.
pub fn done(dir: &Path, args: &[&str]) -> String {
    let output = ggraft(dir, args);
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs ggraft in `dir`, which must exit with `code`; what it says.
pub fn refused(dir: &Path, args: &[&str], code: i32) -> String {
    let output = ggraft(dir, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
    said(&output)
}

pub fn digest(path: &Path) -> String {
    Sha256::digest(fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything in `dir`, hidden or not.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
