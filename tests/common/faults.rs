//! Runs ggraft with `faults.c` between it and the C library: what it asks of the disk is written down, and fails when a
//! test wants it to.

// Each test program uses a part of this.
#![allow(dead_code)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The call fails with this error number.
    Fail(i32),
    /// The process is killed instead of making the call.
    Kill,
    /// The call reads or writes half of what it was asked for.
    Half,
    /// It reads or writes nothing, as at the end of a file.
    Nothing,
    /// The process is asked to stop before it. Not by Ctrl-C, which a shell may have it ignore.
    Interrupt,
}

pub const ENOENT: i32 = 2;
pub const EIO: i32 = 5;
pub const ENOSPC: i32 = 28;

/// One run of ggraft.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    /// At which step what happens.
    pub fault: Option<(usize, Action)>,
    /// Which byte of every output changes when it is complete.
    pub flip: Option<u64>,
    /// Whether the file system has no unnamed files.
    pub named: bool,
    /// Whether all calls count, not only those that decide what a crash leaves behind.
    pub all: bool,
}

/// A call of the trace: its kind and the path it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub kind: String,
    pub path: PathBuf,
}

impl Run {
    /// Runs ggraft and gives what it said and the calls it made. None if there is no C compiler.
    pub fn ggraft(self, arguments: &[&str]) -> Option<(Output, Vec<Call>)> {
        let scratch = tempfile::tempdir().unwrap();
        let trace = scratch.path().join("trace");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
        command.args(arguments).env("LD_PRELOAD", library()?).env("GGRAFT_FAULT_TRACE", &trace);
        if let Some((step, action)) = self.fault {
            let number = match action {
                Action::Fail(number) => number,
                Action::Kill => 0,
                Action::Half => -1,
                Action::Nothing => -2,
                Action::Interrupt => -3,
            };
            command.env("GGRAFT_FAULT_STEP", step.to_string()).env("GGRAFT_FAULT_ACTION", number.to_string());
        }
        if let Some(byte) = self.flip {
            command.env("GGRAFT_FAULT_FLIP", byte.to_string());
        }
        if self.named {
            command.env("GGRAFT_FAULT_NAMED", "1");
        }
        if self.all {
            command.env("GGRAFT_FAULT_ALL", "1");
        }
        let output = command.output().unwrap();
        let calls = fs::read_to_string(&trace).unwrap_or_default();
        let call = |line: &str| {
            let mut words = line.splitn(3, ' ');
            let (number, kind, path) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
            Some((number, Call { kind: kind.to_owned(), path: PathBuf::from(path) }))
        };
        let mut calls: Vec<(usize, Call)> = calls.lines().map(|line| call(line).expect(line)).collect();
        // Threads may have written them down in another order.
        calls.sort_by_key(|(number, _)| *number);
        Some((output, calls.into_iter().map(|(_, call)| call).collect()))
    }
}

/// The compiled `faults.c`.
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let compile = || {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{}.so", std::process::id()));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/faults.c");
        let compiler =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&path).arg(source).output();
        match compiler {
            Ok(output) => {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                Some(path)
            }
            Err(error) => {
                assert!(std::env::var_os("GGRAFT_REQUIRE_FS").is_none(), "cc: {error}");
                // Straight to the descriptor: the test harness captures what `eprintln!` prints.
                _ = writeln!(std::io::stderr(), "SKIPPED: no C compiler: {error}");
                None
            }
        }
    };
    LIBRARY.get_or_init(compile).as_deref()
}
