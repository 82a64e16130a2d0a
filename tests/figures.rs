//! The figures that people are shown after a conversion: they are those of the file that was written, and of what another way
//! would have given, each found out here by other means.

mod common;
#[path = "common/filesystems.rs"]
mod filesystems;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::model_dir::ModelDir;
use filesystems::directory;
use ggraft::gguf;
use serde_json::{Value, json};

/// A Llama of 5 MB whose data start where `header` puts them.
fn model(parent: &Path, header: &str) -> PathBuf {
    let model: ModelDir = serde_json::from_value(json!({
        "dir": "Test-Llama", "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 512,
            "intermediate_size": 1024, "num_hidden_layers": 1, "num_attention_heads": 8,
            "num_key_value_heads": 8, "vocab_size": 512, "tie_word_embeddings": true,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        },
        "weights": {"seed": 7, "dtype": "bf16", "header": header, "ordinary": true},
    }))
    .unwrap();
    model.write(parent, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")).unwrap();
    parent.join("Test-Llama")
}

/// Matrices of the model: embedding, Q, K, V, O, gate, up, down, in bytes. Of these Q and K change the order of their rows.
const MATRICES: u64 = 2 * 512 * (512 + 4 * 512 + 3 * 1024);
const REORDERED: u64 = 2 * 512 * 2 * 512;
/// Three norms, which become F32.
const NORMS: u64 = 3 * 4 * 512;

fn ggraft(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_ggraft")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// What a conversion says on standard error.
fn said(model: &Path, out: &Path, flags: &[&str]) -> String {
    let paths = [model.to_str().unwrap(), "--outfile", out.to_str().unwrap()];
    String::from_utf8(ggraft(&[&["convert"], &paths[..], flags].concat()).stderr).unwrap()
}

/// The first number of bytes before `what`, as it is shown: "1.23 MB shared".
fn shown(text: &str, what: &str) -> String {
    let before = text.split(what).next().filter(|before| before.len() < text.len());
    let before = before.unwrap_or_else(|| panic!("{what:?} is not in {text}"));
    let words: Vec<&str> = before.split_whitespace().collect();
    words[words.len() - 2..].join(" ")
}

/// `bytes` as it is shown.
fn decimal(bytes: u64) -> String {
    let (mut n, mut unit) = (bytes as f64, 0);
    while n >= 1000.0 {
        (n, unit) = (n / 1000.0, unit + 1);
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{n:.2} {}", ["B", "kB", "MB", "GB"][unit]),
    }
}

#[test]
fn a_report_adds_up_to_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (model(dir.path(), "padded"), dir.path().join("m.gguf"));
    let text = said(&model, &out, &["--no-reflink"]);
    let (file, len) = (gguf::read(&out).unwrap(), fs::metadata(&out).unwrap().len());
    assert_eq!(shown(&text, ")"), format!("({}", decimal(len)), "{text}");
    assert_eq!(shown(&text, " copied"), decimal(MATRICES), "{text}");
    assert_eq!(shown(&text, " converted"), decimal(NORMS), "{text}");
    assert_eq!(shown(&text, " metadata"), decimal(file.data_start), "nothing needs padding: {text}");
    assert!(!text.contains(" shared,") && text.contains("nothing is shared with the checkpoint"), "{text}");
}

#[test]
fn what_is_shared_and_what_is_not_is_counted() {
    let Some(dir) = directory("GGRAFT_TEST_XFS") else { return };
    let published = model(dir.path(), "odd");
    let (aligned, out) = (dir.path().join("Aligned"), dir.path().join("m.gguf"));
    ggraft(&["align", published.to_str().unwrap(), "-o", aligned.to_str().unwrap(), "--quiet"]);
    let text = said(&aligned, &out, &[]);
    assert_eq!(shown(&text, " shared,"), decimal(MATRICES - REORDERED), "{text}");
    assert_eq!(shown(&text, " copied"), decimal(REORDERED), "{text}");
    assert_eq!(shown(&text, " converted"), decimal(NORMS), "{text}");
    let line = |what: &str| {
        text.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {text}"))
    };
    assert!(line("reordered").contains(&format!("{} in 2 tensors", decimal(REORDERED))), "{text}");
    assert!(line("another type").contains(&format!("{} in 3 tensors", decimal(NORMS))), "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("not shared: ")).collect();
    assert!(lines[0].contains("reordered"), "the largest comes first: {text}");
    assert_eq!(lines.len(), 2, "{text}");

    // What is new on the disk is the rest of the file.
    let len = fs::metadata(&out).unwrap().len();
    let percent = 100.0 * (MATRICES - REORDERED) as f64 / len as f64;
    let disk = line("on disk: ");
    assert!(disk.contains(&format!("{percent:.2} % shared")), "{len}: {text}");
    assert!(disk.contains(&format!("{} new", decimal(len - (MATRICES - REORDERED)))), "{len}: {text}");
}

/// The advice after a conversion, followed.
#[test]
fn advice_promises_what_comes_true() {
    let Some(dir) = directory("GGRAFT_TEST_XFS") else { return };
    let (model, out) = (model(dir.path(), "odd"), dir.path().join("m.gguf"));
    let text = said(&model, &out, &[]);
    let advice = text.lines().find(|line| line.contains("advice: ")).unwrap_or_else(|| panic!("{text}"));
    let align = format!("ggraft align {} --in-place", model.display());
    assert!(advice.contains(&align), "{advice}");
    let check = ["align", model.to_str().unwrap(), "--check", "--json"];
    let check: Value = serde_json::from_slice(&ggraft(&check).stdout).unwrap();
    let rewritten = fs::metadata(model.join("model.safetensors")).unwrap().len();
    assert!(advice.contains(&format!("(one rewrite of {})", decimal(rewritten))), "{advice}");
    ggraft(&["align", model.to_str().unwrap(), "--in-place", "--quiet"]);
    let flags = ["convert", model.to_str().unwrap(), "--outfile", out.to_str().unwrap(), "--json"];
    let report: Value = serde_json::from_slice(&ggraft(&flags).stdout).unwrap();
    let [cloned, total] = ["cloned", "total"].map(|key| report["bytes"][key].as_u64().unwrap());
    assert_eq!(cloned, MATRICES - REORDERED);
    // All percentages are of the output.
    let [output, percent] =
        [&check["conversion"]["output_bytes"], &check["conversion"]["aligned"]["percent"]];
    assert_eq!(output.as_f64(), Some(total as f64), "{check}");
    assert_eq!(percent.as_f64(), Some(100.0 * cloned as f64 / total as f64), "{check}");
    let promised = format!("{:.1} % would be shared instead of 0.0 %", 100.0 * cloned as f64 / total as f64);
    assert!(advice.contains(&promised), "{promised}: {advice}");
}
