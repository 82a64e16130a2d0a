//! What a file system may answer to a clone, by a library that is preloaded and answers in its place: whatever it is,
//! the conversion ends well, with the same tensors.

mod common;
#[path = "common/filesystems.rs"]
mod filesystems;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::model_dir::ModelDir;
use filesystems::skip;
use serde_json::{Value, json};

const EAGAIN: i32 = 11;
const EINVAL: i32 = 22;
const ETXTBSY: i32 = 26;
const EXDEV: i32 = 18;

/// A model in a directory, and the library.
struct Setting {
    dir: tempfile::TempDir,
    model: PathBuf,
    library: PathBuf,
}

impl Setting {
    /// None without a C compiler.
    fn new() -> Option<Self> {
        Self::of(512, 2, "bf16")
    }

    /// With so many layers, whose matrices have so many columns.
    fn of(hidden: u64, layers: u64, dtype: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("clone.so");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let cc = Command::new("cc")
            .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
            .args([&library, &root.join("tests/faults/clone.c")])
            .output();
        let Ok(output) = cc else {
            skip("there is no C compiler (cc)");
            return None;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let model: ModelDir = serde_json::from_value(json!({
            "dir": "Test-Llama", "tokenizer": "spm",
            "config": {
                "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
                "intermediate_size": 512, "num_hidden_layers": layers, "num_attention_heads": 4,
                "num_key_value_heads": 4, "vocab_size": 512, "tie_word_embeddings": true,
                "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
            },
            "weights": {"seed": 7, "dtype": dtype, "header": "aligned"},
        }))
        .unwrap();
        model.write(dir.path(), &root.join("tests/tokenizers")).unwrap();
        Some(Self { model: dir.path().join("Test-Llama"), library, dir })
    }

    fn convert(&self, answers: &str, flags: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ggraft"))
            .arg("convert")
            .arg(&self.model)
            .args(["--json", "--outfile"])
            .arg(self.out())
            .args(flags)
            .env("LD_PRELOAD", &self.library)
            .env("GGRAFT_TEST_CLONES", answers)
            .output()
            .unwrap()
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out.gguf")
    }

    /// The report, and what is in the output besides the header.
    #[track_caller]
    fn converted(&self, answers: &str, flags: &[&str]) -> (Value, Vec<Tensor>) {
        let output = self.convert(answers, flags);
        assert!(output.status.success(), "{answers}: {}", String::from_utf8_lossy(&output.stderr));
        let bytes = fs::read(self.out()).unwrap();
        let tensors = ggraft::gguf::read(&self.out()).unwrap().tensors.into_iter().map(|t| {
            let range = t.offset as usize..(t.offset + t.len.unwrap()) as usize;
            (t.name, bytes[range].to_vec())
        });
        let mut tensors: Vec<Tensor> = tensors.collect();
        tensors.sort();
        (serde_json::from_slice(&output.stdout).unwrap(), tensors)
    }
}

/// Name and bytes.
type Tensor = (String, Vec<u8>);

/// Why bytes were not shared, in words.
fn reasons(report: &Value) -> String {
    let reasons = report["reasons"].as_array().unwrap();
    reasons.iter().map(|r| format!("{}\n", r["explanation"].as_str().unwrap())).collect()
}

#[test]
fn data_that_are_not_committed_yet_are_waited_for() {
    let Some(setting) = Setting::new() else { return };
    let (copied, expected) = setting.converted("0", &["--no-reflink"]);
    assert_eq!(copied["bytes"]["cloned"], 0);
    let (at_once, _) = setting.converted("0", &[]);
    assert!(at_once["bytes"]["cloned"].as_u64() > Some(0), "{at_once:#}");
    // The probe's answer comes first.
    for answers in ["11 0", "11 11 11 0", "0 11 0 11 11 0"] {
        let (report, tensors) = setting.converted(answers, &["--reflink", "always"]);
        assert_eq!(report["bytes"], at_once["bytes"], "{answers}: nothing less is shared");
        assert!(tensors == expected, "{answers}");
    }
}

#[test]
fn data_that_are_never_committed_are_copied() {
    let Some(setting) = Setting::new() else { return };
    let (_, expected) = setting.converted("0", &["--no-reflink"]);
    for answers in [format!("{EAGAIN}"), format!("0 0 {EAGAIN}")] {
        let start = Instant::now();
        let (report, tensors) = setting.converted(&answers, &[]);
        let took = start.elapsed();
        assert!(tensors == expected, "{answers}");
        assert!(reasons(&report).contains("not yet committed"), "{report:#}");
        // ZFS commits every five seconds; there is more than one clone, and the wait is for all of them.
        assert!(took > Duration::from_secs(5) && took < Duration::from_secs(11), "{took:?}");
    }
    let output = setting.convert(&format!("{EAGAIN}"), &["--reflink", "always"]);
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Clones that are refused when they are made, though the first one was not.
#[test]
fn what_was_refused_is_counted() {
    let Some(setting) = Setting::new() else { return };
    let (at_once, _) = setting.converted("0", &[]);
    let count = |report: &Value, key: &str| report["bytes"][key].as_u64().unwrap();
    let planned = count(&at_once, "cloned");
    for (answer, words) in
        [(EINVAL, "without saying why"), (ETXTBSY, "swap file"), (EXDEV, "different file systems")]
    {
        let (report, _) = setting.converted(&format!("0 {answer}"), &[]);
        assert_eq!(count(&report, "cloned"), 0, "{report:#}");
        assert_eq!(count(&report, "copied"), count(&at_once, "copied") + planned);
        assert_eq!(count(&report, "total"), count(&at_once, "total"));
        let reasons = report["reasons"].as_array().unwrap();
        let refused = reasons.iter().find(|reason| reason["reason"] == "refused").unwrap();
        assert_eq!(refused["bytes"], planned, "{report:#}");
        // All matrices have the same size, and lose less than a block or two each.
        assert_eq!(refused["tensors"], planned.div_ceil(512 * 512 * 2), "{report:#}");
        assert!(refused["explanation"].as_str().unwrap().contains(words), "{report:#}");

        let output = setting.convert(&format!("0 {answer}"), &["--reflink", "always"]);
        assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let (some, _) = setting.converted("0 22 0", &[]);
    assert!(count(&some, "cloned") > 0 && count(&some, "cloned") < planned, "{some:#}");
    assert_eq!(count(&some, "cloned") + count(&some, "copied"), planned + count(&at_once, "copied"));
}

#[test]
fn a_refusal_without_a_reason_is_not_given_one() {
    let Some(setting) = Setting::new() else { return };
    let (_, expected) = setting.converted("0", &["--no-reflink"]);
    for answers in [format!("{EINVAL}"), format!("0 {EINVAL}"), format!("0 0 {EINVAL}")] {
        let (report, tensors) = setting.converted(&answers, &[]);
        assert!(tensors == expected, "{answers}");
        let why = reasons(&report);
        assert!(why.contains("without saying why") && !why.contains("NOCOW"), "{answers}: {why}");
    }
}

/// Rows of two blocks each that change their places are one step of the plan; any of them may be refused.
#[test]
fn some_rows_of_many_may_be_refused() {
    let Some(setting) = Setting::of(2048, 1, "f32") else { return };
    let (_, expected) = setting.converted("0", &["--outtype", "f32", "--no-reflink"]);
    let flags = ["--outtype", "f32", "--min-extent", "4K"];
    let (at_once, tensors) = setting.converted("0", &flags);
    assert!(tensors == expected);
    let bytes = |report: &Value, key: &str| report["bytes"][key].as_u64().unwrap();
    // What goes through the rows of the first matrix, and of the last, after the probe.
    let start = "0 ".repeat(300);
    for answers in [
        format!("{start}{EINVAL} 0"),
        format!("{start}{EINVAL} {EINVAL} 0 {EINVAL} 0 0 {EINVAL} 0"),
        format!("{start}{EINVAL} 0 {ETXTBSY} {EXDEV} 0 {EINVAL}"),
        format!("0 {EINVAL} 0"),
    ] {
        let (report, tensors) = setting.converted(&answers, &flags);
        assert!(tensors == expected, "{answers}");
        let lost = bytes(&at_once, "cloned") - bytes(&report, "cloned");
        assert_eq!(bytes(&report, "copied"), bytes(&at_once, "copied") + lost);
        let refused = report["reasons"].as_array().unwrap().iter().filter(|r| r["reason"] == "refused");
        assert_eq!(refused.map(|r| r["bytes"].as_u64().unwrap()).sum::<u64>(), lost, "{report:#}");
        assert!(lost >= 4096, "{answers}: {report:#}");
    }
}
