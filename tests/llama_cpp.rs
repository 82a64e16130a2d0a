//! What the real llama.cpp says with converted models.
//!
//! These need more than the Rust toolchain: `GGRAFT_TEST_PYTHON` names a Python that has the wheel `xllamacpp`
//! (`scripts/venv.sh` prints one), `GGRAFT_TEST_SMOLLM2` a directory made by `scripts/make_smollm2.py`. Without
//! them the tests say on stderr that they were skipped, and pass; with `GGRAFT_REQUIRE_LLAMA_CPP=1` they fail.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

/// Openings of rhymes that `tests/models/tiny-llama` knows by heart, and how they go on. Between them they
/// came out wrong for every mistake tried: Q or K not permuted, K permuted by the number of query heads,
/// gate and up projections exchanged.
const RHYMES: [(&str, &str); 2] = [
    (
        "Humpty Dumpty sat on a wall,",
        "\nHumpty Dumpty had a great fall;\nAll the king's horses and all the king's men\n\
         Couldn't put Humpty together again.",
    ),
    (
        "Hickory, dickory, dock,",
        "\nThe mouse ran up the clock;\nThe clock struck one, the mouse ran down,\n\
         Hickory, dickory, dock.",
    ),
];

#[test]
fn tiny_llama_recites_its_rhymes() {
    let Some(python) = required("GGRAFT_TEST_PYTHON") else { return };
    let dir = tempfile::tempdir().unwrap();
    let gguf = dir.path().join("tiny-llama.gguf");
    convert(&repository().join("tests/models/tiny-llama"), &gguf);
    for (opening, rest) in RHYMES {
        assert_eq!(llama_cpp_continues(&python, &gguf, opening, 64), rest);
    }
}

#[test]
fn smollm2_knows_the_capital_of_france() {
    let Some(python) = required("GGRAFT_TEST_PYTHON") else { return };
    let Some(model) = required("GGRAFT_TEST_SMOLLM2") else { return };
    let dir = tempfile::tempdir().unwrap();
    let gguf = dir.path().join("smollm2.gguf");
    convert(Path::new(&model), &gguf);
    let answer = llama_cpp_continues(&python, &gguf, "The capital of France is", 8);
    assert!(answer.contains(" Paris"), "{answer:?}");
}

#[test]
fn llama_cpp_refuses_a_truncated_file() {
    let Some(python) = required("GGRAFT_TEST_PYTHON") else { return };
    let dir = tempfile::tempdir().unwrap();
    let gguf = dir.path().join("truncated.gguf");
    convert(&repository().join("tests/models/tiny-llama"), &gguf);
    let file = std::fs::OpenOptions::new().write(true).open(&gguf).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let output = generate(&python, &gguf, RHYMES[0].0, 1).output().unwrap();
    assert!(!output.status.success(), "the tests above would not notice a file that does not load");
    assert_eq!(output.stdout, b"");
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The value of environment variable `name`, or `None` when the test is to be skipped.
fn required(name: &str) -> Option<OsString> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    if value.is_none() {
        let why = format!("{name} is not set (tests/llama_cpp.rs says what it is for)");
        assert!(env::var_os("GGRAFT_REQUIRE_LLAMA_CPP").is_none_or(|v| v != "1"), "{why}");
        // The test harness would hide what eprintln! prints in a passing test.
        _ = writeln!(io::stderr(), "SKIPPED: {why}");
    }
    value
}

/// Runs `ggraft convert`.
fn convert(model: &Path, gguf: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    run(command.arg("convert").arg(model).arg("--outfile").arg(gguf));
}

/// What llama.cpp says after `prompt`: at most `tokens` tokens, greedily, from a memory-mapped file.
fn llama_cpp_continues(python: &OsStr, gguf: &Path, prompt: &str, tokens: u32) -> String {
    let output = run(&mut generate(python, gguf, prompt, tokens));
    output.strip_suffix('\n').expect("the script ends its output with a newline").to_owned()
}

fn generate(python: &OsStr, gguf: &Path, prompt: &str, tokens: u32) -> Command {
    let mut command = Command::new(python);
    command.arg(repository().join("scripts/llama_generate.py")).arg(gguf).arg(prompt);
    command.arg("--n-predict").arg(tokens.to_string());
    command
}

/// Runs a command that must succeed; gives its stdout.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
