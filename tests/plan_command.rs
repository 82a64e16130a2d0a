//! `ggraft plan`: it shows what `ggraft convert` does, writes nothing, and nothing in a checkpoint's names
//! reaches a terminal or a browser as anything but text.
//!
//! Sharing needs the file systems of scripts/with-test-filesystems.sh; without them a test says so and
//! passes, or fails if `GGRAFT_REQUIRE_FS` is set.

mod common;
#[path = "common/filesystems.rs"]
mod filesystems;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use common::model_dir::ModelDir;
use filesystems::directory;
use serde_json::{Value, json};

/// A Llama of 14 MB whose data starts where `header` puts it.
fn model(parent: &Path, name: &str, header: &str, shards: u64) -> PathBuf {
    wide(parent, name, header, shards, 1024)
}

/// The same with rows of `hidden` elements.
fn wide(parent: &Path, name: &str, header: &str, shards: u64, hidden: u64) -> PathBuf {
    let model: ModelDir = serde_json::from_value(json!({
        "dir": name, "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
            "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 16,
            "num_key_value_heads": 4, "vocab_size": 512, "tie_word_embeddings": true,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        },
        "weights": {"seed": 3, "dtype": "bf16", "shards": shards, "header": header},
    }))
    .unwrap();
    model.write(parent, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")).unwrap();
    parent.join(name)
}

fn ggraft(command: &str, model: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ggraft")).arg(command).arg(model).args(flags).output().unwrap()
}

fn succeeds(command: &str, model: &Path, flags: &[&str]) -> String {
    let output = ggraft(command, model, flags);
    assert!(output.status.success(), "{flags:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn document(command: &str, model: &Path, flags: &[&str]) -> Value {
    serde_json::from_str(&succeeds(command, model, &[flags, &["--json"]].concat())).unwrap()
}

/// Directories to test in: everywhere, and where blocks can be shared.
fn directories() -> Vec<tempfile::TempDir> {
    let sharing = ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS"].iter().filter_map(|v| directory(v));
    [tempfile::tempdir().unwrap()].into_iter().chain(sharing).collect()
}

/// Every file below `dir` with its length and time of change.
fn listing(dir: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let (path, metadata) = entry.map(|e| (e.path(), e.metadata().unwrap())).unwrap();
        if metadata.is_dir() {
            files.append(&mut listing(&path));
        } else {
            files.insert(path, (metadata.len(), metadata.modified().unwrap()));
        }
    }
    files
}

/// Every step at every place, patterns written out.
fn flat(steps: &[Value]) -> Vec<Value> {
    let mut all = Vec::new();
    for step in steps {
        let pattern = &step["pattern"];
        if pattern.is_null() {
            all.push(step.clone());
            continue;
        }
        let number = |key: &str| pattern[key].as_u64().unwrap();
        assert_eq!(
            (&step["action"], step["len"].as_u64()),
            (&"pattern".into(), Some(number("count") * number("stride")))
        );
        for i in 0..number("count") {
            for mut step in flat(pattern["steps"].as_array().unwrap()) {
                step["start"] = (step["start"].as_u64().unwrap() + i * number("stride")).into();
                if step["action"] == "shared" {
                    let offset = step["source_offset"].as_u64().unwrap();
                    step["source_offset"] = (offset + i * number("source_stride")).into();
                }
                all.push(step);
            }
        }
    }
    all
}

#[test]
fn every_byte_is_accounted_for_once_and_by_the_right_tensor() {
    for dir in directories() {
        let model = model(dir.path(), "Model", "padded", 2);
        for flags in [&[][..], &["--layout", "split"], &["--no-reflink"], &["--outtype", "f16"]] {
            let plan = document("plan", &model, flags);
            let mut sums: BTreeMap<String, u64> = BTreeMap::new();
            for output in plan["outputs"].as_array().unwrap() {
                let tensors = output["tensors"].as_array().unwrap();
                let mut at = 0;
                for step in &flat(output["steps"].as_array().unwrap()) {
                    let (start, len) = (step["start"].as_u64().unwrap(), step["len"].as_u64().unwrap());
                    assert_eq!(start, at, "no gap and no overlap: {step}");
                    at += len;
                    *sums.entry(step["action"].as_str().unwrap().to_owned()).or_default() += len;
                    if let Some(index) = step["tensor"].as_u64() {
                        let tensor = &tensors[usize::try_from(index).unwrap()];
                        let offset = tensor["offset"].as_u64().unwrap();
                        let end = offset + tensor["bytes"].as_u64().unwrap();
                        assert!(offset < at && start < end, "{step} has no byte of {tensor}");
                    }
                }
                assert_eq!(output["bytes"], at);
            }
            let total = |key: &str| plan["bytes"][key].as_u64().unwrap();
            let sum = |kinds: &[&str]| kinds.iter().filter_map(|kind| sums.get(*kind)).sum::<u64>();
            assert_eq!(sum(&["shared"]), total("cloned"));
            assert_eq!(sum(&["copied"]), total("copied"));
            assert_eq!(sum(&["converted", "generated"]), total("converted"));
            assert_eq!(sum(&["header"]), total("header"));
            assert_eq!(sums.values().sum::<u64>(), total("total"));
        }
    }
}

#[test]
fn it_says_what_convert_does_and_writes_nothing() {
    for dir in directories() {
        let model = model(dir.path(), "Model", "aligned", 1);
        let before = listing(dir.path());
        let out = dir.path().join("out.gguf");
        let flags = ["--outfile", out.to_str().unwrap()];
        let plan = document("plan", &model, &flags);
        succeeds("plan", &model, &[&flags[..], &["--tensors"]].concat());
        assert_eq!(listing(dir.path()), before);

        let done = document("convert", &model, &flags);
        assert_eq!(plan["bytes"], done["bytes"]);
        assert_eq!(plan["reasons"], done["reasons"]);
        assert_eq!(plan["outputs"][0]["path"], done["outputs"][0]["path"]);
        assert_eq!(plan["outputs"][0]["bytes"], fs::metadata(&out).unwrap().len());
    }
}

#[test]
fn what_keeps_a_model_from_being_shared_is_said_with_the_remedy() {
    let Some(dir) = directory("GGRAFT_TEST_XFS") else { return };
    let shifted = model(dir.path(), "Shifted", "odd", 1);
    let text = succeeds("plan", &shifted, &[]);
    assert!(text.contains("off-grid") && text.contains("ggraft align"), "{text}");
    let out = dir.path().join("out.gguf");
    let output = ggraft("convert", &shifted, &["--outfile", out.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("ggraft align"), "convert advises, too");

    let aligned = dir.path().join("Aligned");
    succeeds("align", &shifted, &["-o", aligned.to_str().unwrap()]);
    let text = succeeds("plan", &aligned, &[]);
    assert!(!text.contains("ggraft align"), "there is nothing left to align: {text}");
    let bytes = |model: &Path| document("plan", model, &[])["bytes"]["cloned"].as_u64().unwrap();
    assert_eq!(bytes(&shifted), 0);
    assert!(bytes(&aligned) > 4 << 20, "{}", bytes(&aligned));
}

/// Every key of the document for machines; all of them are promises.
const KEYS: &str = "advice block bytes bytes.cloned bytes.converted bytes.copied bytes.header bytes.padding bytes.total \
    left_out min_extents model outputs outputs[].alignment outputs[].bytes outputs[].data_start outputs[].path \
    outputs[].steps outputs[].steps[].action outputs[].steps[].file outputs[].steps[].last_tensor \
    outputs[].steps[].len outputs[].steps[].pattern outputs[].steps[].reason outputs[].steps[].source_offset \
    outputs[].steps[].start outputs[].steps[].tensor outputs[].tensors outputs[].tensors[].bytes \
    outputs[].tensors[].name outputs[].tensors[].offset outputs[].tensors[].shape \
    outputs[].tensors[].type outputs[].totals outputs[].totals.cloned outputs[].totals.converted \
    outputs[].totals.copied outputs[].totals.header outputs[].totals.padding outputs[].totals.total \
    reasons reasons[].bytes reasons[].explanation reasons[].reason reasons[].tensors sources \
    sources[].bytes sources[].data_start sources[].path";

/// The keys in `value`, with those that lead to them.
fn keys(value: &Value, path: &str, found: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                keys(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, &format!("{path}[]"), found)),
        _ => {}
    }
}

#[test]
fn keys_keep_their_names() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/tiny-llama");
    let out = tempfile::tempdir().unwrap();
    let flags = ["--no-reflink", "--outfile", out.path().to_str().unwrap()];
    let mut found = std::collections::BTreeSet::new();
    keys(&document("plan", &model, &flags), "", &mut found);
    assert_eq!(found, KEYS.split_whitespace().map(str::to_owned).collect());
}

/// Rows of 4 KiB that change their places can be shared one by one, and `plan` says in how many extents.
#[test]
fn it_tells_what_each_length_of_extents_would_give() {
    let Some(dir) = directory("GGRAFT_TEST_XFS") else { return };
    let (published, aligned) = (wide(dir.path(), "Wide", "odd", 1, 2048), dir.path().join("Aligned"));
    succeeds("align", &published, &["-o", aligned.to_str().unwrap()]);
    let choices = document("plan", &aligned, &[])["min_extents"].as_array().unwrap().clone();
    assert_eq!(choices.len(), 5);
    for choice in &choices {
        let flag = choice["min_extent"].to_string();
        let plan = document("plan", &aligned, &["--min-extent", &flag]);
        assert_eq!(plan["bytes"]["cloned"], choice["shared"], "--min-extent {flag}");
        let steps = flat(plan["outputs"][0]["steps"].as_array().unwrap());
        let shared = steps.iter().filter(|step| step["action"] == "shared").count();
        assert_eq!(choice["extents"], shared, "--min-extent {flag}");
    }
    let bytes = |i: usize| choices[i]["shared"].as_u64().unwrap();
    assert!(bytes(0) > bytes(1) + (1 << 20), "{choices:?}");
    assert!(succeeds("plan", &aligned, &[]).contains("--min-extent"));
}

/// A directory name that would do harm where it is not escaped.
const HOSTILE: &str = "x\u{1b}[31m\u{202e}<script>alert(1)<!--";

#[test]
fn names_are_text_on_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path(), HOSTILE, "padded", 1);
    let out = dir.path().join(format!("{HOSTILE}.gguf"));
    let text = succeeds("plan", &model, &["--tensors", "--outfile", out.to_str().unwrap()]);
    assert!(text.contains("[31m"), "the name is there: {text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    let plan = document("plan", &model, &[]);
    assert_eq!(plan["model"], model.to_str().unwrap(), "machines get the name as it is");
}

#[test]
fn the_page_stands_alone_and_names_are_text_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path(), HOSTILE, "padded", 1);
    let (page, out) = (dir.path().join("plan.html"), dir.path().join(format!("{HOSTILE}.gguf")));
    let flags = ["--html", page.to_str().unwrap(), "--outfile", out.to_str().unwrap()];
    assert_eq!(succeeds("plan", &model, &flags), "", "the page is all there is to see");
    assert!(!out.exists());
    // The name of SVG's namespace looks like an address; nothing is loaded from there.
    let html = fs::read_to_string(&page).unwrap().replace("http://www.w3.org/2000/svg", "");
    assert!(html.starts_with("<!DOCTYPE html>") || html.starts_with("<!doctype html>"));
    for outside in ["http://", "https://", "<link", "src=", "@import", "url("] {
        assert!(!html.contains(outside), "{outside} in a page that needs nothing else");
    }
    for markup in ["<script>alert", "<!--"] {
        assert!(!html.contains(markup), "{markup} from a name has become markup");
    }
    assert!(html.contains("blk.1.ffn_down.weight") && html.contains("alert(1)"));
}

#[test]
fn the_page_does_not_replace_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path(), "Model", "padded", 1);
    let before = listing(&model);
    for name in ["model.safetensors", "config.json"] {
        let output = ggraft("plan", &model, &["--html", model.join(name).to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(listing(&model), before);
    let both = ggraft("plan", &model, &["--json", "--html", "page.html"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn what_cannot_be_converted_cannot_be_planned() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path(), "Model", "padded", 1);
    fs::write(model.join("config.json"), r#"{"architectures": ["NoSuchModel"]}"#).unwrap();
    for flags in [&[][..], &["--json"], &["--html", "page.html"]] {
        let output = ggraft("plan", &model, flags);
        assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
        // Programs are told on standard output, in the form they asked for; nobody else is.
        let said = String::from_utf8_lossy(&output.stdout);
        match flags {
            ["--json"] => {
                let said: serde_json::Value = serde_json::from_str(&said).unwrap();
                assert_eq!(said["error"]["exit_code"], 3, "{said}");
            }
            _ => assert_eq!(said, ""),
        }
    }
}
