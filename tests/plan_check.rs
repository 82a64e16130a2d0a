//! `Plan::check` finds what is wrong with a plan, each fault planted by itself.

use std::path::PathBuf;
use std::sync::Arc;

use ggraft::dtype::{Dtype, GgmlType};
use ggraft::plan::{Action, Output, Pattern, Placed, Plan, Step, Walk};
use ggraft::tensor::Dim;

fn walk(elements: u64) -> Arc<Walk> {
    let dims = [Dim { len: elements, stride: 1 }].into();
    Arc::new(Walk {
        file: 0,
        offset: 9000,
        dtype: Dtype::BF16,
        dims,
        first: 0,
        arithmetic: Vec::new(),
        codes: None,
    })
}

fn placed(name: &str, dtype: &'static str, offset: u64, len: u64) -> Placed {
    Placed { name: name.into(), shape: vec![len], dtype, offset, len }
}

/// A header, padding, and a tensor each that is shared, gathered and converted.
fn sound() -> Plan {
    let step = |start, len, action| Step { start, len, action, reason: None };
    let steps = vec![
        step(0, 100, Action::Bytes(vec![1; 100].into())),
        step(100, 3996, Action::Zero),
        step(4096, 8192, Action::Clone { file: 0, offset: 4096 }),
        step(12288, 64, Action::Gather { walk: walk(40), first: 8, quiet: false }),
        step(12352, 34, Action::Encode { walk: walk(64), first: 32, to: GgmlType::Q8_0 }),
        step(12386, 30, Action::Zero),
    ];
    let tensors = vec![
        placed("shared", "BF16", 4096, 8192),
        placed("copied", "BF16", 12288, 64),
        placed("converted", "Q8_0", 12352, 34),
    ];
    let output = Output {
        path: "out.gguf".into(),
        len: 12416,
        data_start: 4096,
        alignment: 32,
        tensors,
        steps,
        like: None,
    };
    Plan { sources: vec![PathBuf::from("source")], block: 4096, refusal: None, outputs: vec![output] }
}

fn clone(plan: &mut Plan, file: usize, offset: u64) {
    plan.outputs[0].steps[2].action = Action::Clone { file, offset };
}

/// A file of a header and three times a block that is cloned and one that is gathered, from rows of three blocks.
fn repeating() -> Plan {
    let rows = Walk {
        dims: vec![Dim { len: 3, stride: 6144 }, Dim { len: 4096, stride: 1 }].into(),
        ..Walk::clone(&walk(0))
    };
    let step = |start, len, action| Step { start, len, action, reason: None };
    let steps = vec![
        step(4096, 4096, Action::Clone { file: 0, offset: 8192 }),
        step(8192, 4096, Action::Gather { walk: rows.into(), first: 2048, quiet: false }),
    ];
    let pattern = Pattern { count: 3, stride: 8192, source_stride: 12288, steps };
    let steps = vec![
        step(0, 4096, Action::Bytes(vec![1; 4096].into())),
        step(4096, 24576, Action::Repeat(pattern.into())),
    ];
    let tensors =
        vec![Placed { name: "rows".into(), shape: vec![12288], dtype: "BF16", offset: 4096, len: 24576 }];
    let mut plan = sound();
    plan.outputs[0] = Output { len: 28672, tensors, steps, ..plan.outputs[0].clone() };
    plan
}

/// What it is, and how to plant it, in a pattern or in how far on its elements are.
type PatternFault = (&'static str, fn(&mut Pattern, &mut u64));

/// What it is, how to plant it, and what is said of it.
type Fault = (&'static str, fn(&mut Plan), &'static str);

#[test]
fn each_fault_is_found() {
    sound().check().unwrap();
    let faults: [Fault; 23] = [
        ("a gap", |p| p.outputs[0].steps[1].len -= 1, "expected one at"),
        ("a gap at the start", |p| p.outputs[0].steps[0].start = 1, "expected one at 0"),
        ("an overlap", |p| p.outputs[0].steps[3].start -= 2, "expected one at"),
        ("a step is missing", |p| drop(p.outputs[0].steps.remove(4)), "expected one at"),
        ("an empty step", |p| p.outputs[0].steps[1].len = 0, "of 0 bytes"),
        ("beyond all numbers", |p| p.outputs[0].steps[1].len = u64::MAX, "beyond 2^64"),
        (
            "the last step is missing",
            |p| drop(p.outputs[0].steps.pop()),
            "steps end at 12386, the file at 12416",
        ),
        ("the file is longer", |p| p.outputs[0].len += 32, "the file at"),
        ("a clone of no source", |p| clone(p, 1, 4096), "contradicts itself"),
        ("a clone from within a block", |p| clone(p, 0, 4096 + 32), "contradicts itself"),
        ("blocks are larger", |p| p.block = 8192, "contradicts itself"),
        (
            "a clone to within a block",
            |p| {
                let steps = &mut p.outputs[0].steps;
                (steps[1].len, steps[2].start) = (4028, 4128);
                steps[2].len = 8160;
            },
            "contradicts itself",
        ),
        (
            "what is gathered ends behind its source",
            |p| {
                p.outputs[0].steps[3].action = Action::Gather { walk: walk(40), first: 9, quiet: false };
            },
            "contradicts itself",
        ),
        (
            "half an element is gathered",
            |p| {
                (p.outputs[0].steps[3].len, p.outputs[0].steps[4].start) = (63, 12351);
            },
            "contradicts itself",
        ),
        (
            "a copy of a file that is none of the sources",
            |p| p.outputs[0].steps[3].action = Action::Copy { file: 1, offset: 9016 },
            "contradicts itself",
        ),
        (
            "a copy from beyond all files",
            |p| p.outputs[0].steps[3].action = Action::Copy { file: 0, offset: u64::MAX - 8 },
            "contradicts itself",
        ),
        (
            "too few to convert",
            |p| {
                p.outputs[0].steps[4].action =
                    Action::Encode { walk: walk(63), first: 32, to: GgmlType::Q8_0 };
            },
            "contradicts itself",
        ),
        (
            "bytes of another length",
            |p| {
                p.outputs[0].steps[0].action = Action::Bytes(vec![1; 99].into());
            },
            "contradicts itself",
        ),
        ("a tensor elsewhere", |p| p.outputs[0].tensors[1].offset += 32, "tensor copied at 12320"),
        ("tensors swapped", |p| p.outputs[0].tensors.swap(1, 2), "readers expect it at"),
        ("data starts elsewhere", |p| p.outputs[0].data_start -= 32, "tensor shared at 4096"),
        ("another grid", |p| p.outputs[0].alignment = 8192, "readers expect it at"),
        ("a tensor is missing", |p| drop(p.outputs[0].tensors.pop()), "tensors end at 12352"),
    ];
    for (what, plant, expected) in faults {
        let mut plan = sound();
        plant(&mut plan);
        let error = plan.check().map_err(|error| error.to_string()).expect_err(what);
        assert!(error.contains(expected), "{what}: {error}");
    }
    repeating().check().unwrap();
    let faults: [PatternFault; 10] = [
        ("no repetition", |p, _| p.count = 0),
        ("one repetition too many", |p, _| p.count += 1),
        ("a stride that is no whole number of blocks", |p, _| p.source_stride += 32),
        ("a shorter stride", |p, _| p.stride -= 4096),
        ("a gap", |p, _| p.steps[1].start += 2),
        ("something missing", |p, _| drop(p.steps.pop())),
        ("something else than what may repeat", |p, _| p.steps[1].action = Action::Zero),
        ("more elements than there are", |_, first| *first = 1),
        ("a clone from within a block", |p, _| p.steps[0].action = Action::Clone { file: 0, offset: 32 }),
        ("numbers beyond all files", |p, _| (p.count, p.stride) = (1 << 33, 1 << 33)),
    ];
    for (what, plant) in faults {
        let mut plan = repeating();
        let step = &mut plan.outputs[0].steps[1];
        let Action::Repeat(pattern) = &step.action else { panic!("{step:?}") };
        let (mut pattern, mut elements) = ((**pattern).clone(), 0);
        plant(&mut pattern, &mut elements);
        if let Some(Step { action: Action::Gather { first, .. }, .. }) = pattern.steps.get_mut(1) {
            *first += elements;
        }
        step.action = Action::Repeat(pattern.into());
        plan.check().expect_err(what);
    }
    let mut two = sound();
    two.outputs.push(two.outputs[0].clone());
    two.outputs[1].len += 1;
    assert!(two.check().is_err(), "every output is looked at");
}
