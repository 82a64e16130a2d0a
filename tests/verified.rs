//! What was written is compared with what it was made of before it gets its name: `convert --verify`, and `align`.

#[path = "common/faults.rs"]
mod faults;
#[path = "common/filesystems.rs"]
mod filesystems;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "common/sparse.rs"]
mod sparse;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use faults::Run;
use ggraft::gguf;
use serde_json::Value;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");

/// Runs ggraft, of whose outputs byte `flip` changes when they are complete. None if there is no C compiler.
fn ggraft(flip: Option<u64>, arguments: &[&str]) -> Option<Output> {
    Run { flip, ..Run::default() }.ggraft(arguments).map(|(output, _)| output)
}

/// All files below `dir`, hidden ones included.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => files.extend(contents(&entry)),
            false => _ = files.insert(entry.clone(), fs::read(&entry).unwrap()),
        }
    }
    files
}

fn model_in(dir: &Path) -> PathBuf {
    let model = dir.join("tiny-llama");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(TINY).unwrap().map(|entry| entry.unwrap().path()) {
        fs::copy(&entry, model.join(entry.file_name().unwrap())).unwrap();
    }
    model
}

/// File systems to try it on: the one of temporary files, and those that share blocks.
fn places() -> Vec<tempfile::TempDir> {
    let sharing = ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS"];
    let sharing = sharing.iter().filter_map(|variable| filesystems::directory(variable));
    std::iter::once(tempfile::tempdir().unwrap()).chain(sharing).collect()
}

fn text(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}: {out}{err}", output.status)
}

/// That a run found the change, and what its error says.
fn differs(output: &Output, what: &str) -> Value {
    assert_eq!(output.status.code(), Some(6), "{what}: {}", text(output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["error"]["kind"], "differs", "{what}");
    document["error"].clone()
}

#[test]
fn a_conversion_that_went_wrong_gets_no_name() {
    for (flags, place) in [("bf16", 0), ("f32", 0), ("q8_0", 0), ("bf16", 1), ("bf16", 2)] {
        let places = places();
        let Some(place) = places.get(place) else { continue };
        let (model, out) = (model_in(place.path()), place.path().join("out.gguf"));
        let arguments =
            ["convert", model.to_str().unwrap(), "--outfile", out.to_str().unwrap(), "--json", "--outtype"];
        let verified = [&arguments[..], &[flags, "--verify", "--min-extent", "4K"]].concat();
        let Some(run) = ggraft(None, &verified) else { return };
        assert!(run.status.success(), "{}", text(&run));
        let report: Value = serde_json::from_slice(&run.stdout).unwrap();
        let sum: u64 = ["shared", "compared", "recomputed"]
            .iter()
            .map(|key| report["verified"][key].as_u64().unwrap())
            .sum();
        let padding = report["bytes"]["padding"].as_u64().unwrap();
        assert_eq!(sum, report["bytes"]["total"].as_u64().unwrap() - padding, "{report:#}");
        assert!(String::from_utf8_lossy(&run.stderr).contains("verified: "), "{}", text(&run));

        let header = gguf::read(&out).unwrap();
        let (first, last) = (header.tensors.first().unwrap(), header.tensors.last().unwrap());
        let before = contents(place.path());
        let ends = [first.offset, last.offset + last.len.unwrap() - 1];
        for (byte, tensor) in
            [(40, None), (header.data_start - 1, None), (ends[0], Some(first)), (ends[1], Some(last))]
        {
            let what = format!("byte {byte} of {flags}");
            let error = differs(&ggraft(Some(byte), &verified).unwrap(), &what);
            assert_eq!(error["tensor"].as_str(), tensor.map(|t| t.name.as_str()), "{error}");
            assert_eq!(error["file"], out.to_str().unwrap());
            assert!(error["message"].as_str().unwrap().contains(&format!("(byte {byte} of ")), "{error}");
            assert!(contents(place.path()) == before, "{what}: something was changed");
        }
        fs::remove_file(&out).unwrap();
        differs(&ggraft(Some(ends[0]), &verified).unwrap(), "without an old file");
        assert!(!out.exists());
        // Without, nobody would know.
        let unverified = ggraft(Some(ends[0]), &[&arguments[..], &[flags]].concat()).unwrap();
        assert!(unverified.status.success() && out.exists(), "{}", text(&unverified));
    }
}

#[test]
fn an_alignment_that_went_wrong_replaces_nothing() {
    for place in places() {
        let model = model_in(place.path());
        let before = contents(place.path());
        let to = place.path().join("aligned");
        let here = model.to_str().unwrap();
        let elsewhere = ["align", here, "-o", to.to_str().unwrap(), "--json"];
        let in_place = ["align", here, "--in-place", "--json"];
        let len = fs::metadata(model.join("model.safetensors")).unwrap().len();
        for flip in [8, 4096, len / 2] {
            let Some(run) = ggraft(Some(flip), &elsewhere) else { return };
            differs(&run, "-o");
            assert!(contents(place.path()) == before && !to.exists(), "{flip}");
            let error = differs(&ggraft(Some(flip), &in_place).unwrap(), "--in-place");
            assert_eq!(error["tensor"].is_null(), flip == 8, "{error}");
            let lock = |path: &Path| path.ends_with(".ggraft-align.lock");
            let after: BTreeMap<_, _> =
                contents(place.path()).into_iter().filter(|(path, _)| !lock(path)).collect();
            assert!(after == before, "{flip}: the model was changed");
            assert_eq!(error["file"], model.join("model.safetensors").to_str().unwrap());
        }
        let unverified = ggraft(Some(4096), &[&elsewhere[..], &["--no-verify"]].concat()).unwrap();
        assert!(unverified.status.success(), "{}", text(&unverified));
        fs::remove_dir_all(&to).unwrap();
        let run = ggraft(None, &elsewhere).unwrap();
        let report: Value = serde_json::from_slice(&run.stdout).unwrap();
        let sum =
            |keys: &[&str]| keys.iter().map(|key| report["verified"][key].as_u64().unwrap()).sum::<u64>();
        assert_eq!(sum(&["shared", "compared", "recomputed"]), report["bytes"]["total"].as_u64().unwrap());
    }
}

/// Rows that change their places are one step of the plan, of which some may be what they should be and others not.
#[test]
fn a_change_among_many_rows_is_found() {
    for place in places().into_iter().skip(1) {
        let model = sparse::llama(1, 2048, 512).write(place.path(), "Rows", 1);
        let out = place.path().join("out.gguf");
        let [here, to] = [&model, &out].map(|path| path.to_str().unwrap());
        let flags = [here, "--json", "--min-extent", "4K", "--outfile", to];
        let plan: Value =
            serde_json::from_slice(&ggraft(None, &[&["plan"], &flags[..]].concat()).unwrap().stdout).unwrap();
        let steps = plan["outputs"][0]["steps"].as_array().unwrap();
        let step = steps.iter().filter(|step| step["action"] == "pattern").max_by_key(|s| s["len"].as_u64());
        let step = step.expect("rows that are cloned one by one");
        let number = |value: &Value, key: &str| value[key].as_u64().unwrap();
        let verified = [&["convert"], &flags[..], &["--verify"]].concat();
        let run = ggraft(None, &verified).unwrap();
        assert!(run.status.success(), "{}", text(&run));
        let report: Value = serde_json::from_slice(&run.stdout).unwrap();
        assert!(number(&report["verified"], "shared") >= number(&report["bytes"], "cloned"), "{report:#}");
        for byte in [0, number(step, "len") / 3 + 1, number(step, "len") - 1] {
            let at = number(step, "start") + byte;
            let error = differs(&ggraft(Some(at), &verified).unwrap(), &format!("byte {at}"));
            assert!(error["message"].as_str().unwrap().contains(&format!("(byte {at} of ")), "{error}");
        }
    }
}
