//! What writing asks before it begins, of plans that nothing is written of.

use super::*;
use crate::plan::Pattern;

fn step(start: u64, len: u64, action: Action) -> Step {
    Step { start, len, action, reason: None }
}

/// A plan for a file `name` of these steps, with sources that nobody opens.
fn plan(name: &Path, steps: Vec<Step>) -> Plan {
    let output = Output {
        path: name.to_owned(),
        len: steps.iter().map(|step| step.len).sum(),
        data_start: 0,
        alignment: 32,
        tensors: Vec::new(),
        steps,
        like: None,
    };
    Plan { sources: vec!["model.safetensors".into()], block: 4096, refusal: None, outputs: vec![output] }
}

#[test]
fn shared_bytes_are_no_work_and_verified_ones_twice_as_much() {
    let clone = Action::Clone { file: 0, offset: 0 };
    let copy = Action::Copy { file: 0, offset: 8192 };
    let plan = plan(Path::new("out.gguf"), vec![step(0, 8192, clone), step(8192, 100, copy)]);
    assert_eq!(work(&plan, &Settings::default()), 100);
    assert_eq!(work(&plan, &Settings { verify: true, ..Settings::default() }), 200);
}

/// Half an exabyte is more than there is; blocks that are shared and zeros take none of it.
#[test]
fn only_what_takes_space_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (name, much) = (dir.path().join("out.gguf"), 1 << 57);
    let (clone, copy) = (Action::Clone { file: 0, offset: 0 }, Action::Copy { file: 0, offset: 0 });
    let free = plan(&name, vec![step(0, much, clone.clone()), step(much, much, Action::Zero)]);
    check_space([&free], Links::Follow).unwrap();
    let inner = vec![step(much, 4096, clone), step(much + 4096, much / 4, copy.clone())];
    let pattern = Pattern { count: 3, stride: much / 4 + 4096, source_stride: 4096, steps: inner };
    let repeated = step(much, 3 * (much / 4 + 4096), Action::Repeat(pattern.into()));
    let full = plan(&name, vec![step(0, much, copy), repeated]);
    let error = check_space([&full], Links::Follow).unwrap_err().to_string();
    // 2^57 once, and a quarter of it three times.
    assert!(error.contains(&format!("needs {} bytes", 7u64 << 55)), "{error}");
    let small = plan(&name, vec![step(0, 1, Action::Copy { file: 0, offset: 0 })]);
    check_space([&small], Links::Follow).unwrap();
    check_space([&small, &full], Links::Follow).unwrap_err();
}
