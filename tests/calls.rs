//! What ggraft does about single calls of the operating system: how many threads it asks for, what it still does after a
//! signal, and whose fault it is if a link cannot be read.

mod common;
#[path = "common/faults.rs"]
mod faults;
#[path = "common/filesystems.rs"]
mod filesystems;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use common::model_dir::ModelDir;
use faults::{Action, Call, EIO, Run};
use filesystems::directory;
use serde_json::json;

const SIGTERM: i32 = 15;

/// A model of 10 MB, in bytes that can be shared where they are.
fn model(parent: &Path) -> PathBuf {
    let model: ModelDir = serde_json::from_value(json!({
        "dir": "Test-Llama", "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 512,
            "intermediate_size": 1024, "num_hidden_layers": 2, "num_attention_heads": 8,
            "num_key_value_heads": 8, "vocab_size": 512, "tie_word_embeddings": true,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        },
        "weights": {"seed": 7, "dtype": "bf16", "header": "aligned", "ordinary": true},
    }))
    .unwrap();
    model.write(parent, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")).unwrap();
    parent.join("Test-Llama")
}

fn said(output: &Output) -> String {
    format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))
}

/// Runs ggraft with all calls noted; none without a C compiler.
fn traced(arguments: &[&str], fault: Option<(usize, Action)>) -> Option<(Output, Vec<Call>)> {
    Run { all: true, fault, ..Run::default() }.ggraft(arguments)
}

#[test]
fn as_many_threads_as_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (model(dir.path()), dir.path().join("m.gguf"));
    let (model, out) = (model.to_str().unwrap(), out.to_str().unwrap());
    let convert = ["convert", model, "--outfile", out, "--no-reflink", "--quiet", "--threads"];
    for command in [&convert[..], &["verify", out, model, "--threads"]] {
        let threads = |n: &str| {
            let (output, calls) = traced(&[command, &[n]].concat(), None)?;
            assert!(output.status.success(), "{}", said(&output));
            Some(calls.iter().filter(|call| call.kind == "thread").count())
        };
        let Some(one) = threads("1") else { return };
        assert_eq!(threads("2"), Some(one + 1), "{command:?}");
        assert_eq!(threads("7"), Some(one + 6), "{command:?}");
    }
}

/// Asks a run to stop, as Ctrl-C does, at one of its calls of a kind, with so many of them to come, and holds what comes after it against that: nothing
/// more of it but what was in hand, no output, and death by the signal.
fn assert_stops(arguments: &[&str], kinds: &[&str], to_come: usize, dir: &Path, out: &Path) {
    let Some((output, calls)) = traced(arguments, None) else { return };
    assert!(output.status.success(), "{}", said(&output));
    fs::remove_file(out).unwrap();
    let is_one = |call: &Call| kinds.contains(&call.kind.as_str()) && call.path.starts_with(dir);
    let steps: Vec<usize> = (1..).zip(&calls).filter(|(_, call)| is_one(call)).map(|(n, _)| n).collect();
    assert!(steps.len() > to_come, "{kinds:?}: {} calls", steps.len());
    let step = steps[steps.len() - 1 - to_come];
    let (output, calls) = traced(arguments, Some((step, Action::Interrupt))).unwrap();
    assert_eq!(output.status.signal(), Some(SIGTERM), "{}", said(&output));
    assert!(is_one(&calls[step - 1]), "{:?}", calls[step - 1]);
    let more = calls[step..].iter().filter(|call| is_one(call)).count();
    assert_eq!(more, 0, "{kinds:?} after the signal, of {to_come} that were to come");
    assert!(!out.exists());
}

#[test]
fn after_ctrl_c_no_further_job_is_begun() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (model(dir.path()), dir.path().join("m.gguf"));
    let arguments =
        ["convert", model.to_str().unwrap(), "--outfile", out.to_str().unwrap(), "--quiet", "--threads", "1"];
    for flags in [&["--no-reflink"][..], &["--outtype", "f32"]] {
        let arguments = [&arguments[..], flags].concat();
        assert_stops(&arguments, &["pwrite", "copy_file_range"], 4, dir.path(), &out);
    }
}

#[test]
fn after_ctrl_c_no_further_blocks_are_shared() {
    let Some(dir) = directory("GGRAFT_TEST_XFS") else { return };
    let (model, out) = (model(dir.path()), dir.path().join("m.gguf"));
    let aligned = dir.path().join("Aligned");
    let align = ["align", model.to_str().unwrap(), "-o", aligned.to_str().unwrap(), "--quiet"];
    let Some((output, _)) = traced(&align, None) else { return };
    assert!(output.status.success(), "{}", said(&output));
    let arguments = [
        "convert",
        aligned.to_str().unwrap(),
        "--outfile",
        out.to_str().unwrap(),
        "--quiet",
        "--threads",
        "1",
    ];
    assert_stops(&arguments, &["clone"], 2, dir.path(), &out);
}

/// A snapshot in a cache of the Hugging Face library: all of its files are links.
#[test]
fn a_link_that_cannot_be_read_is_no_fault_of_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let (model, repository) = (model(dir.path()), dir.path().join("models--test--llama"));
    let (blobs, snapshot) = (repository.join("blobs"), repository.join("snapshots/0123abcd"));
    fs::create_dir_all(&blobs).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    for (i, entry) in fs::read_dir(&model).unwrap().map(Result::unwrap).enumerate() {
        fs::rename(entry.path(), blobs.join(i.to_string())).unwrap();
        symlink(format!("../../blobs/{i}"), snapshot.join(entry.file_name())).unwrap();
    }
    let out = dir.path().join("m.gguf");
    let arguments =
        ["convert", snapshot.to_str().unwrap(), "--outfile", out.to_str().unwrap(), "--quiet", "--no-fsync"];
    let Some((output, calls)) = traced(&arguments, None) else { return };
    assert!(output.status.success(), "{}", said(&output));
    fs::remove_file(&out).unwrap();
    let followed = |call: &Call| call.kind == "realpath" && call.path.parent() == Some(&snapshot);
    let steps: Vec<usize> = (1..).zip(&calls).filter(|(_, call)| followed(call)).map(|(n, _)| n).collect();
    assert!(steps.len() >= 3, "{} links", steps.len());
    for step in steps {
        let (output, _) = traced(&arguments, Some((step, Action::Fail(EIO)))).unwrap();
        let name = &calls[step - 1].path;
        assert_eq!(output.status.code(), Some(1), "{}: {}", name.display(), said(&output));
        assert!(!out.exists());
    }
    // One that leads nowhere is.
    fs::remove_file(snapshot.join("config.json")).unwrap();
    symlink("../../blobs/none", snapshot.join("config.json")).unwrap();
    let (output, _) = traced(&arguments, None).unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
}
