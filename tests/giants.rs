//! Models of publishers' sizes: what is planned costs time in proportion to the number of tensors and of files.
//!
//! Weights are holes, so that no disk is needed for them.

#[path = "common/filesystems.rs"]
mod filesystems;
#[path = "common/sparse.rs"]
mod sparse;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use filesystems::directory;
use ggraft::align::{Job, Target};
use ggraft::tensor::TensorExpr;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::Value;

/// Children's use of time is counted for all of them together, so there is one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds that `f` computes in this process.
fn own_seconds(f: impl FnOnce()) -> f64 {
    let used = || getrusage(UsageWho::RUSAGE_THREAD).unwrap().user_time().num_microseconds();
    let before = used();
    f();
    (used() - before) as f64 / 1e6
}

/// Runs ggraft on `model` and gives the seconds it computed, which other load on the machine does not change.
fn seconds(command: &str, model: &Path, flags: &[&str]) -> f64 {
    let used = || getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().user_time().num_microseconds();
    let before = used();
    let output =
        Command::new(env!("CARGO_BIN_EXE_ggraft")).arg(command).arg(model).args(flags).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    (used() - before) as f64 / 1e6
}

/// Eight times as many tensors or files take about eight times as long, not 64 times.
fn assert_proportional(what: &str, few: f64, many: f64) {
    println!("{what}: {few:.2} s, eight times as many: {many:.2} s");
    assert!(many < 13.0 * few.max(0.02), "{what}: {few:.2} s, eight times as many: {many:.2} s");
}

#[test]
fn time_is_in_proportion_to_tensors() {
    let _alone = alone();
    for (what, fp8, command, flags) in [
        ("FP8", true, "convert", &["--dry-run", "--no-reflink"][..]),
        ("BF16", false, "convert", &["--dry-run", "--no-reflink"]),
        ("align", false, "align", &["--check"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let [few, many] = [128, 1024].map(|experts| {
            let model =
                sparse::mixtral(16, experts, 128, 128, fp8).write(dir.path(), &experts.to_string(), 2);
            seconds(command, &model, flags)
        });
        assert_proportional(what, few, many);
    }
}

#[test]
fn time_is_in_proportion_to_files() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let [few, many] = [1250, 10_000].map(|shards| {
        let model = sparse::llama(2222, 64, 64).write(dir.path(), &shards.to_string(), shards);
        let target = Target::Directory(dir.path().join("aligned"));
        own_seconds(|| assert_eq!(Job::prepare(&model, target).unwrap().shards.len(), shards))
    });
    assert_proportional("align", few, many);
}

#[test]
fn time_is_in_proportion_to_joined_parts() {
    let [few, many] = [4000, 32_000].map(|experts| {
        let stack = |first| {
            TensorExpr::stack((first..first + experts).map(|i| TensorExpr::source(i, &[4, 4])).collect())
        };
        let stacks = vec![stack(0).unwrap(), stack(experts).unwrap()];
        own_seconds(|| {
            let joined = TensorExpr::concat_along(1, stacks).map_err(|e| e.to_string());
            assert_eq!(joined.unwrap().pieces().len(), 2 * experts);
        })
    });
    assert_proportional("joining", few, many);
}

fn document(command: &str, model: &Path, flags: &[&str]) -> Value {
    serde_json::from_str(&said(command, model, &[flags, &["--json"]].concat())).unwrap()
}

fn said(command: &str, model: &Path, flags: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_ggraft")).arg(command).arg(model).args(flags).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A model in eight bits has to be converted whatever its layout: less than a tenth of what aligning rewrites
/// could be shared more.
#[test]
fn what_gains_next_to_nothing_is_not_advised() {
    let _alone = alone();
    let Some(dir) = directory("GGRAFT_TEST_XFS") else { return };
    let model = sparse::mixtral(2, 64, 1024, 1024, true).write(dir.path(), "FP8", 3);
    let size: u64 = (1..=3)
        .map(|i| fs::metadata(model.join(format!("model-{i:05}-of-00003.safetensors"))).unwrap().len())
        .sum();
    let check = &document("align", &model, &["--check"])["conversion"];
    assert!(check["aligned"]["shared"].as_u64() > check["today"]["shared"].as_u64(), "{check}");
    assert_eq!(
        (&check["worthwhile"], check["rewritten"].as_u64()),
        (&Value::Bool(false), Some(size)),
        "{check}"
    );
    assert!(said("align", &model, &["--check"]).contains("not worth rewriting"));

    let advice = document("plan", &model, &[])["advice"].take();
    let advised = advice.as_array().unwrap().iter().filter(|a| a["worthwhile"] == true);
    assert!(advised.clone().all(|a| a["align"] == false), "{advice}");
    let text = said("plan", &model, &[]);
    assert!(text.contains("Not worth rewriting"), "{text}");
    let offers = text.lines().skip_while(|line| !line.contains("COULD SHARE"));
    assert!(!offers.clone().any(|line| line.contains("ggraft align")), "{text}");
}

/// Widths that are no whole number of blocks: the order of tensors decides, and advice knows that of `align`.
#[test]
fn advice_promises_what_aligning_keeps() {
    let _alone = alone();
    let Some(dir) = directory("GGRAFT_TEST_XFS") else { return };
    let model = sparse::llama(12, 576, 1536).write(dir.path(), "Small", 1);
    let plan = document("plan", &model, &[]);
    let align =
        plan["advice"].as_array().unwrap().iter().find(|a| a["way"] == "align").expect("a way to share more");
    assert_eq!(document("align", &model, &["--check"])["conversion"]["aligned"]["shared"], align["shared"]);
    let aligned = dir.path().join("Aligned");
    document("align", &model, &["-o", aligned.to_str().unwrap()]);
    let kept = document("plan", &aligned, &[]);
    assert_eq!(kept["bytes"]["cloned"], align["shared"]);
    let extents = kept["outputs"][0]["steps"].as_array().unwrap().iter().filter(|s| s["action"] == "shared");
    assert_eq!(align["extents"], extents.count());
}

/// 64 outputs and more, and what is open anyway, do not fit into 40; shards take turns.
#[test]
fn too_many_files_are_named_by_their_number() {
    let dir = tempfile::tempdir().unwrap();
    let model = sparse::llama(14, 64, 64).write(dir.path(), "Shards", 64);
    let command = r#"ulimit -n 40 && exec "$0" convert "$1" --no-reflink --split-max-tensors 2"#;
    let output =
        Command::new("sh").args(["-c", command, env!("CARGO_BIN_EXE_ggraft")]).arg(&model).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let numbers: Vec<u64> =
        said.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    assert!(numbers.contains(&40) && numbers.iter().any(|n| (65..100).contains(n)), "{said}");
}
