//! Conversions on real file systems: what is shared, what is not, and that it makes no difference to the tensors.
//!
//! Directories come from `GGRAFT_TEST_*` (see scripts/with-test-filesystems.sh). A test whose file system is not
//! there says so and passes, or fails if `GGRAFT_REQUIRE_FS` is set.

mod common;
#[path = "common/filesystems.rs"]
mod filesystems;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::model_dir::ModelDir;
use filesystems::directory;
use serde_json::{Value, json};

const LAYERS: u64 = 2;

/// Bytes of a layer that keep their value and order: V, O, gate, up, down.
const KEPT_PER_LAYER: u64 = 2 * (512 * 2048 + 2048 * 2048 + 3 * 512 * 2048);

/// A Llama of 55 MB all of whose tensors are multiples of the block size, with data at an offset that `header` decides.
fn model(parent: &Path, header: &str, shards: u64) -> PathBuf {
    let model: ModelDir = serde_json::from_value(json!({
        "dir": "Test-Llama", "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 2048,
            "intermediate_size": 512, "num_hidden_layers": LAYERS, "num_attention_heads": 16,
            "num_key_value_heads": 4, "vocab_size": 512, "tie_word_embeddings": true,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        },
        "weights": {"seed": 7, "dtype": "bf16", "shards": shards, "header": header},
    }))
    .unwrap();
    model.write(parent, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")).unwrap();
    parent.join("Test-Llama")
}

fn ggraft(model: &Path, out: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.arg("convert").arg(model).arg("--outfile").arg(out).arg("--json").args(flags).output().unwrap()
}

/// Converts and gives the report.
fn convert(model: &Path, out: &Path, flags: &[&str]) -> Value {
    let output = ggraft(model, out, flags);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every tensor's shape, type and bytes, from all files of the report.
fn tensors(report: &Value) -> BTreeMap<String, (Vec<u64>, u32, Vec<u8>)> {
    let mut tensors = BTreeMap::new();
    for output in report["outputs"].as_array().unwrap() {
        let path = Path::new(output["path"].as_str().unwrap());
        let file = File::open(path).unwrap();
        for tensor in ggraft::gguf::read(path).unwrap().tensors {
            let mut bytes = vec![0; usize::try_from(tensor.len.unwrap()).unwrap()];
            file.read_exact_at(&mut bytes, tensor.offset).unwrap();
            tensors.insert(tensor.name, (tensor.shape, tensor.type_id, bytes));
        }
    }
    tensors
}

/// The file systems that can share, by the variable that names them.
fn sharing() -> Vec<tempfile::TempDir> {
    ["GGRAFT_TEST_XFS", "GGRAFT_TEST_XFS_1K", "GGRAFT_TEST_BTRFS"]
        .iter()
        .filter_map(|v| directory(v))
        .collect()
}

#[test]
fn aligned_checkpoints_are_shared() {
    for dir in sharing() {
        let dir = dir.path();
        let model = model(dir, "aligned", 1);
        let report = convert(&model, &dir.join("shared.gguf"), &[]);
        // Everything but Q and K, the norms and the metadata; at most a block is lost at each end of a run.
        let kept = LAYERS * KEPT_PER_LAYER + 2 * 512 * 2048;
        let lost = 8192 * (5 * LAYERS + 1);
        let shared = report["measured"]["shared"].as_u64().unwrap();
        assert!(shared + lost >= kept && shared <= kept, "{shared} of {kept} bytes are shared: {report:#}");
        assert_eq!(report["bytes"]["cloned"], shared, "what was planned is what the extent map says");

        let copy = convert(&model, &dir.join("copied.gguf"), &["--no-reflink"]);
        assert_eq!(copy["measured"]["shared"], 0, "--no-reflink shares nothing");
        assert!(tensors(&report) == tensors(&copy), "sharing changes no tensor");
        let unique = report["measured"]["unique"].as_u64().unwrap();
        assert!(
            unique + shared >= report["bytes"]["total"].as_u64().unwrap(),
            "all blocks are accounted for"
        );
    }
}

#[test]
fn the_source_is_not_changed_by_writing_to_the_output() {
    for dir in sharing() {
        let dir = dir.path();
        let model = model(dir, "aligned", 1);
        let source = model.join("model.safetensors");
        let before = fs::read(&source).unwrap();
        let out = dir.join("out.gguf");
        convert(&model, &out, &["--reflink", "always"]);
        let len = fs::metadata(&out).unwrap().len();
        File::options().write(true).open(&out).unwrap().write_all_at(&vec![0xa5; len as usize], 0).unwrap();
        assert!(fs::read(&source).unwrap() == before);
    }
}

#[test]
fn shards_share_as_far_as_their_phases_allow() {
    for dir in sharing() {
        let dir = dir.path();
        let model = model(dir, "padded", 3);
        let report = convert(&model, &dir.join("shared.gguf"), &[]);
        let copy = convert(&model, &dir.join("copied.gguf"), &["--no-reflink"]);
        assert!(tensors(&report) == tensors(&copy), "sharing changes no tensor");
        assert_eq!(report["bytes"]["cloned"], report["measured"]["shared"]);
        let split = convert(&model, &dir.join("split.gguf"), &["--split-max-tensors", "9"]);
        assert_eq!(split["outputs"].as_array().unwrap().len(), 3, "20 tensors");
        assert!(tensors(&split) == tensors(&copy));
    }
}

/// Half of one set and half of another have the right names, so each says which it belongs to; but not where files are
/// the reference's to the byte.
#[test]
fn the_files_of_a_set_know_each_other() {
    for dir in sharing() {
        let dir = dir.path();
        let model = model(dir, "aligned", 1);
        let convert = |out: &str, flags: &[&str]| {
            let flags = [&["--split-max-tensors", "9"], flags].concat();
            let report = convert(&model, &dir.join(out), &flags);
            let path = |output: &Value| PathBuf::from(output["path"].as_str().unwrap());
            report["outputs"].as_array().unwrap().iter().map(path).collect::<Vec<_>>()
        };
        let identifiers = |files: &[PathBuf]| {
            let identifier =
                |path: &PathBuf| match ggraft::gguf::read(path).unwrap().metadata.get("ggraft.split.set") {
                    Some(ggraft::gguf::Value::String(text)) => Some(text.clone()),
                    other => other.map(|other| panic!("{other:?}")),
                };
            let mut all: Vec<_> = files.iter().map(identifier).collect();
            all.dedup();
            assert_eq!(all.len(), 1, "all files have the same");
            all.remove(0)
        };
        let first = convert("first.gguf", &[]);
        let id = identifiers(&first);
        assert!(id.is_some());
        assert_eq!(identifiers(&convert("again.gguf", &[])), id, "the same inputs");
        assert_ne!(identifiers(&convert("renamed.gguf", &["--model-name", "other"])), id);
        assert_eq!(identifiers(&convert("copied.gguf", &["--no-reflink"])), None);

        // Other weights under the same names: written in place, so that nothing but times differ.
        let weights = File::options().write(true).open(model.join("model.safetensors")).unwrap();
        weights.write_all_at(&[1; 2], weights.metadata().unwrap().len() - 2).unwrap();
        let second = convert("second.gguf", &[]);
        assert_ne!(identifiers(&second), id);
        fs::rename(&second[1], &first[1]).unwrap();
        let refused = ggraft::inspect::inspect(&first[0]).unwrap_err();
        assert!(refused.to_string().contains("belongs to another set"), "{refused}");
    }
}

#[test]
fn odd_offsets_are_copied_and_explained() {
    for dir in sharing() {
        let dir = dir.path();
        let model = model(dir, "odd", 1);
        let report = convert(&model, &dir.join("out.gguf"), &[]);
        assert_eq!(report["measured"]["shared"], 0);
        let reasons = report["reasons"].as_array().unwrap();
        assert!(reasons.iter().any(|r| r["reason"] == "off-grid"), "{reasons:?}");
        let copy = convert(&model, &dir.join("copied.gguf"), &["--no-reflink"]);
        let read = |name: &str| fs::read(dir.join(name)).unwrap();
        assert!(
            read("out.gguf") == read("copied.gguf"),
            "where nothing is shared the file is the reference's"
        );
        assert!(tensors(&report) == tensors(&copy));
        let always = ggraft(&model, &dir.join("always.gguf"), &["--reflink", "always"]);
        assert_eq!(always.status.code(), Some(5));
    }
}

/// On file systems that cannot share, and from one to another, the same command copies and says so.
#[test]
fn elsewhere_it_copies() {
    let variables = ["GGRAFT_TEST_EXT4", "GGRAFT_TEST_TMPFS", "GGRAFT_TEST_XFS_NOREFLINK"];
    let mut places: Vec<(PathBuf, PathBuf, Vec<tempfile::TempDir>)> = Vec::new();
    for dir in variables.iter().filter_map(|v| directory(v)) {
        places.push((dir.path().into(), dir.path().into(), vec![dir]));
    }
    if let (Some(xfs), Some(btrfs)) = (directory("GGRAFT_TEST_XFS"), directory("GGRAFT_TEST_BTRFS")) {
        places.push((xfs.path().into(), btrfs.path().into(), vec![xfs, btrfs]));
    }
    for (source, target, _keep) in &places {
        let model = model(source, "aligned", 1);
        let out = target.join("out.gguf");
        let output = ggraft(&model, &out, &[]);
        assert!(output.status.success());
        let stderr = String::from_utf8(output.stderr).unwrap();
        let says = ["cannot share blocks", "on different file systems"].iter().any(|s| stderr.contains(s));
        assert!(says, "{stderr}");
        let copied = target.join("copied.gguf");
        convert(&model, &copied, &["--no-reflink"]);
        assert!(fs::read(&out).unwrap() == fs::read(&copied).unwrap());

        let always = ggraft(&model, &target.join("always.gguf"), &["--reflink", "always"]);
        assert_eq!(always.status.code(), Some(5), "{}", String::from_utf8_lossy(&always.stderr));
        assert!(!target.join("always.gguf").exists());
    }
}
