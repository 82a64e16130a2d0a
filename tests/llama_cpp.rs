//! What the real llama.cpp says with converted models.
//!
//! These need more than the Rust toolchain: `GGRAFT_TEST_PYTHON` names a Python that has the wheel `xllamacpp`
//! (`scripts/venv.sh` prints one), `GGRAFT_TEST_SMOLLM2` a directory made by `scripts/make_smollm2.py`,
//! `GGRAFT_TEST_XFS` and `_BTRFS` file systems (`scripts/with-test-filesystems.sh` makes them). Without
//! them the tests say on stderr that they were skipped, and pass; with `GGRAFT_REQUIRE_LLAMA_CPP=1` they fail.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

#[path = "common/damaged.rs"]
mod damaged;

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
    convert(&repository().join("tests/models/tiny-llama"), &gguf, &[]);
    for (opening, rest) in RHYMES {
        assert_eq!(llama_cpp_continues(&python, &gguf, opening, 64), rest);
    }
}

#[test]
fn so_it_does_in_other_types_and_several_files() {
    let Some(python) = required("GGRAFT_TEST_PYTHON") else { return };
    let dir = tempfile::tempdir().unwrap();
    let first = "out-00001-of-00003.gguf";
    for (flags, name) in [
        (["--outtype", "f16"], "out.gguf"),
        (["--outtype", "f32"], "out.gguf"),
        (["--split-max-tensors", "7"], first),
    ] {
        convert(&repository().join("tests/models/tiny-llama"), &dir.path().join("out.gguf"), &flags);
        let (opening, rest) = RHYMES[0];
        assert_eq!(llama_cpp_continues(&python, &dir.path().join(name), opening, 64), rest, "{flags:?}");
    }
}

#[test]
fn smollm2_knows_the_capital_of_france() {
    let Some(python) = required("GGRAFT_TEST_PYTHON") else { return };
    let Some(model) = required("GGRAFT_TEST_SMOLLM2") else { return };
    let dir = tempfile::tempdir().unwrap();
    let gguf = dir.path().join("smollm2.gguf");
    convert(Path::new(&model), &gguf, &[]);
    let answer = llama_cpp_continues(&python, &gguf, "The capital of France is", 8);
    assert!(answer.contains(" Paris"), "{answer:?}");
}

/// The published file's data lies off the 32-byte grid; with a longer header blocks can be shared.
#[test]
fn smollm2_knows_it_from_shared_blocks_too() {
    for variable in ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS"] {
        let Some(python) = required("GGRAFT_TEST_PYTHON") else { return };
        let Some(model) = required("GGRAFT_TEST_SMOLLM2") else { return };
        let Some(fs) = required(variable) else { return };
        let dir = tempfile::tempdir_in(fs).unwrap();
        for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
            std::fs::copy(Path::new(&model).join(file), dir.path().join(file)).unwrap();
        }
        let bytes = std::fs::read(Path::new(&model).join("model.safetensors")).unwrap();
        let (len, rest) = bytes.split_first_chunk::<8>().unwrap();
        let (header, data) = rest.split_at(usize::try_from(u64::from_le_bytes(*len)).unwrap());
        let mut header = header.to_vec();
        header.resize((8 + header.len()).next_multiple_of(32) - 8, b' ');
        let aligned = [&(header.len() as u64).to_le_bytes()[..], &header, data].concat();
        std::fs::write(dir.path().join("model.safetensors"), aligned).unwrap();

        let gguf = dir.path().join("shared.gguf");
        let report = convert(dir.path(), &gguf, &["--reflink", "always", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert!(report["measured"]["shared"].as_u64() > Some(100_000_000), "{report:#}");
        let answer = llama_cpp_continues(&python, &gguf, "The capital of France is", 8);
        assert!(answer.contains(" Paris"), "{variable}: {answer:?}");
    }
}

#[test]
fn llama_cpp_refuses_a_truncated_file() {
    let Some(python) = required("GGRAFT_TEST_PYTHON") else { return };
    let dir = tempfile::tempdir().unwrap();
    let gguf = dir.path().join("truncated.gguf");
    convert(&repository().join("tests/models/tiny-llama"), &gguf, &[]);
    let file = std::fs::OpenOptions::new().write(true).open(&gguf).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let output = generate(&python, &gguf, RHYMES[0].0, 1).output().unwrap();
    assert!(!output.status.success(), "the tests above would not notice a file that does not load");
    assert_eq!(output.stdout, b"");
}

/// What is refused without --allow-incomplete is of no use to llama.cpp either.
#[test]
fn llama_cpp_refuses_incomplete_models() {
    let Some(python) = required("GGRAFT_TEST_PYTHON") else { return };
    let loads = |files: &[&str], removed: Option<&str>, damage: damaged::Damage| {
        let dir = tempfile::tempdir().unwrap();
        let mut model = damaged::Model::load();
        damage(&mut model);
        model.write(dir.path(), files);
        removed.iter().for_each(|file| std::fs::remove_file(dir.path().join(file)).unwrap());
        let gguf = dir.path().join("out.gguf");
        convert(dir.path(), &gguf, &["--allow-incomplete"]);
        generate(&python, &gguf, RHYMES[0].0, 1).output().unwrap().status.success()
    };
    let whole = ["model.safetensors"];
    assert!(loads(&whole, None, |_| ()), "the model as it is must load");
    for (problem, damage) in damaged::DAMAGES {
        assert!(!loads(&whole, None, damage), "llama.cpp loads a model of which {problem}");
    }
    let halves = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    for half in halves {
        assert!(!loads(&halves, Some(half), |_| ()), "llama.cpp loads a model without {half}");
    }
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

/// Runs `ggraft convert`; gives its stdout.
fn convert(model: &Path, gguf: &Path, flags: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    run(command.arg("convert").arg(model).arg("--outfile").arg(gguf).args(flags))
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
