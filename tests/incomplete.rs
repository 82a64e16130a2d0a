//! Models that lack something: refused, unless they are asked for; and those that are only odd: warned of.
//!
//! `tests/llama_cpp.rs` has llama.cpp's word on the former.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ggraft::checkpoint::Checkpoint;
use ggraft::source::ModelDir;

#[path = "common/damaged.rs"]
mod damaged;

use damaged::{DAMAGES, Model};

const WHOLE: [&str; 1] = ["model.safetensors"];

fn convert(model: &Path, out: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.arg("convert").arg(model).arg("--outfile").arg(out).args(flags).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Converts a model with a whole set of files that is refused for what `expected` says. With --allow-incomplete it is
/// converted, and warned of.
fn refused(model: &Path, expected: &str) {
    let out = model.join("out.gguf");
    let output = convert(model, &out, &[]);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(4), "{message}");
    assert!(message.contains(expected), "{expected}: {message}");
    assert!(
        message.contains("--allow-incomplete") && message.contains(&*model.to_string_lossy()),
        "{message}"
    );
    assert_eq!(message.lines().filter(|line| !line.starts_with("  hint: ")).count(), 1, "{message}");
    assert!(!out.exists());
    let vocabulary = convert(model, &out, &["--vocab-only"]);
    assert!(vocabulary.status.success(), "{}", stderr(&vocabulary));

    let output = convert(model, &out, &["--allow-incomplete"]);
    let message = stderr(&output);
    assert!(output.status.success(), "{message}");
    let warned = message.lines().any(|line| line.starts_with("ggraft: warning: ") && line.contains(expected));
    assert!(warned, "{expected}: {message}");
}

/// Converts a model; gives what was warned of on standard error, which is also what the report has.
fn warnings(model: &Path, flags: &[&str]) -> Vec<String> {
    let flags = [flags, &["--json"]].concat();
    let output = convert(model, &model.join("out.gguf"), &flags);
    let message = stderr(&output);
    assert!(output.status.success(), "{message}");
    let shown: Vec<_> = message.lines().filter_map(|line| line.strip_prefix("ggraft: warning: ")).collect();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["warnings"], serde_json::json!(shown));
    let quiet = convert(model, &model.join("out.gguf"), &[&flags[..], &["--quiet"]].concat());
    assert_eq!(stderr(&quiet), "");
    let quiet: serde_json::Value = serde_json::from_slice(&quiet.stdout).unwrap();
    assert_eq!(quiet["warnings"], report["warnings"]);
    shown.into_iter().map(str::to_owned).collect()
}

#[test]
fn what_llama_cpp_does_not_load_is_refused() {
    for (expected, damage) in DAMAGES {
        let dir = tempfile::tempdir().unwrap();
        let mut model = Model::load();
        damage(&mut model);
        model.write(dir.path(), &WHOLE);
        refused(dir.path(), expected);
    }
}

#[test]
fn names_that_tell_of_missing_files_are_believed() {
    let sets: [(&[&str], &str, &str); 4] = [
        (
            &["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
            "model-00001",
            "1 of 2 files is",
        ),
        (
            &["model-1-of-3.safetensors", "model-2-of-3.safetensors", "model-3-of-3.safetensors"],
            "model-2",
            "1 of 3",
        ),
        (&["model-1-of-2.safetensors", "model-2-of-3.safetensors"], "", "different sets"),
        (&["model-1-of-1.safetensors", "model-01-of-1.safetensors"], "", "have one number"),
    ];
    for (files, removed, expected) in sets {
        let dir = tempfile::tempdir().unwrap();
        Model::load().write(dir.path(), files);
        for file in files.iter().filter(|file| !removed.is_empty() && file.starts_with(removed)) {
            fs::remove_file(dir.path().join(file)).unwrap();
        }
        refused(dir.path(), expected);
    }
    let dir = tempfile::tempdir().unwrap();
    Model::load()
        .write(dir.path(), &["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]);
    assert_eq!(warnings(dir.path(), &[]), [""; 0]);
}

#[test]
fn so_are_those_of_other_formats() {
    let dir = tempfile::tempdir().unwrap();
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/torch/module/pytorch_model.bin");
    fs::copy(bin, dir.path().join("pytorch_model-00002-of-00002.bin")).unwrap();
    let incomplete = Checkpoint::open(&ModelDir::open(dir.path()).unwrap()).unwrap().incomplete.unwrap();
    assert!(incomplete.contains("pytorch_model-00001-of-00002.bin"), "{incomplete}");

    let dir = tempfile::tempdir().unwrap();
    Model::load().write(dir.path(), &["consolidated-00001-of-00002.safetensors"]);
    let incomplete =
        Checkpoint::open_consolidated(&ModelDir::open(dir.path()).unwrap()).unwrap().incomplete.unwrap();
    assert!(incomplete.contains("consolidated-00002-of-00002.safetensors"), "{incomplete}");
}

#[test]
fn a_whole_model_is_not_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    Model::load().write(dir.path(), &WHOLE);
    assert_eq!(warnings(dir.path(), &[]), [""; 0]);
    assert_eq!(warnings(dir.path(), &["--outtype", "f16"]), [""; 0]);
}

#[test]
fn what_one_layer_lacks_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model::load();
    model.remove("layers.1.mlp.down_proj");
    model.write(dir.path(), &WHOLE);
    let [warning] = &warnings(dir.path(), &[])[..] else { panic!("expected one warning") };
    assert!(warning.contains(r#"blk.1 has no "ffn_down.weight"; blk.0 has"#), "{warning}");
}

#[test]
fn more_rows_than_tokens_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model::load();
    let embedding = model.tensor("model.embed_tokens.weight");
    embedding.shape[0] += 8;
    embedding.data.extend([0; 8 * 64 * 2]);
    model.write(dir.path(), &WHOLE);
    let [warning] = &warnings(dir.path(), &[])[..] else { panic!("expected one warning") };
    assert!(
        warning.contains("token_embd.weight has 520 rows, one for each of 512 tokens is expected"),
        "{warning}"
    );
}

/// The first file has a matrix that stays in order, and one whose rows change places; both are counted.
#[test]
fn numbers_beyond_f16_are_counted() {
    const MILLION: [u8; 2] = [0x74, 0x49];
    const INFINITY: [u8; 2] = [0x80, 0x7f];
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model::load();
    for (name, places) in [
        ("model.layers.0.mlp.down_proj.weight", &[0, 77, 5000][..]),
        ("model.layers.1.self_attn.q_proj.weight", &[4000]),
    ] {
        let data = &mut model.tensor(name).data;
        data[200..202].copy_from_slice(&INFINITY);
        places.iter().for_each(|at| data[2 * at..][..2].copy_from_slice(&MILLION));
    }
    model.write(dir.path(), &WHOLE);
    for flags in [&["--outtype", "f16"][..], &["--outtype", "f16", "--split-max-tensors", "3"]] {
        let [warning] = &warnings(dir.path(), flags)[..] else { panic!("expected one warning") };
        assert!(warning.starts_with("4 values beyond ±65504"), "{warning}");
        assert!(warning.contains(r#""blk.0.ffn_down.weight", "blk.1.attn_q.weight";"#), "{warning}");
    }
    for outtype in ["f32", "bf16", "q8_0"] {
        assert_eq!(warnings(dir.path(), &["--outtype", outtype]), [""; 0]);
    }
}

#[test]
fn a_chat_template_that_does_not_count_is_named() {
    let dir = tempfile::tempdir().unwrap();
    Model::load().write(dir.path(), &WHOLE);
    let path = dir.path().join("tokenizer_config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["chat_template"] = serde_json::Value::Null;
    fs::write(&path, config.to_string()).unwrap();
    assert_eq!(warnings(dir.path(), &[]), [""; 0]);
    fs::write(dir.path().join("chat_template.jinja"), "{{ messages }}").unwrap();
    let [warning] = &warnings(dir.path(), &[])[..] else { panic!("expected one warning") };
    assert!(warning.contains("chat_template.jinja: left out"), "{warning}");
    config.as_object_mut().unwrap().remove("chat_template");
    fs::write(&path, config.to_string()).unwrap();
    assert_eq!(warnings(dir.path(), &[]), [""; 0]);
}
