//! What the planner makes of the freedom it has, in cases small enough to work out by hand: tensors that are converted
//! anyway fill the space between those that are shared, stacked parts with different wishes, extents that meet inside a block.

use std::path::Path;

use ggraft::checkpoint::{Checkpoint, SourceFile, SourceTensor};
use ggraft::dtype::{Dtype, GgmlType};
use ggraft::gguf::KeyValues;
use ggraft::plan::{Action, Alignment, Layout, Plan, Request, Sharing, SplitRules};
use ggraft::tensor::{OutputTensor, TensorExpr};

const BLOCK: u64 = 4096;
const MIB: u64 = 1 << 20;

/// Sources of BF16 numbers in one file: offset and length in bytes of each.
fn checkpoint(places: &[(u64, u64)]) -> Checkpoint {
    let tensor = |(i, (offset, len)): (usize, &(u64, u64))| SourceTensor {
        name: format!("source.{i}"),
        dtype: Dtype::BF16,
        shape: [len / 2].as_slice().into(),
        file: 0,
        offset: *offset,
        len: *len,
    };
    let end = places.iter().map(|(offset, len)| offset + len).max().unwrap();
    let file = SourceFile { path: "source".into(), len: end, data_start: places[0].0 };
    Checkpoint {
        files: vec![file],
        tensors: places.iter().enumerate().map(tensor).collect(),
        ..Checkpoint::default()
    }
}

fn output(name: &str, expr: TensorExpr, ggml_type: GgmlType) -> OutputTensor {
    OutputTensor { name: name.into(), expr, ggml_type }
}

fn plan(checkpoint: &Checkpoint, tensors: &[OutputTensor], layout: Layout) -> Plan {
    Plan::new(&Request {
        checkpoint,
        offsets: None,
        metadata: &KeyValues::new(),
        tensors,
        path: Path::new("out.gguf"),
        layout,
        alignment: Alignment::Strict,
        splits: SplitRules::default(),
        sharing: &Sharing { block: BLOCK, min_extent: 65536, refusals: vec![None] },
        stamp: &[],
    })
    .unwrap()
}

fn names(plan: &Plan) -> Vec<Vec<&str>> {
    plan.outputs.iter().map(|output| output.tensors.iter().map(|t| t.name.as_str()).collect()).collect()
}

/// Source offset, place in the output and length of all clones.
fn clones(plan: &Plan) -> Vec<(u64, u64, u64)> {
    let steps = plan.outputs.iter().flat_map(|output| &output.steps);
    steps
        .filter_map(|step| match step.action {
            Action::Clone { offset, .. } => Some((offset, step.start, step.len)),
            _ => None,
        })
        .collect()
}

/// A matrix ends 64 bytes into a block, and the next one begins 128 bytes into one. In between there is room for 64 bytes, such as
/// a norm of 16 numbers in F32: with it both are shared in one file, without it each needs one of its own.
#[test]
fn what_is_converted_fills_the_space_in_split_layouts() {
    let (first, second) = (2 * MIB + 64, 3 * MIB);
    let places = [(BLOCK, first), (BLOCK + first, 32), (4 * MIB + 128, second)];
    let checkpoint = checkpoint(&places);
    let matrix = |name, i: usize| output(name, TensorExpr::source(i, &[places[i].1 / 2]), GgmlType::BF16);
    let norm = output("norm", TensorExpr::source(1, &[16]), GgmlType::F32);
    let tensors = [norm.clone(), matrix("first", 0), matrix("second", 2)];
    let with = plan(&checkpoint, &tensors, Layout::Split);
    assert_eq!(names(&with), [vec![], vec!["first", "norm", "second"]]);
    let whole = |offset: u64, len: u64| (offset + len) / BLOCK * BLOCK - offset.next_multiple_of(BLOCK);
    assert_eq!(with.shared(), (whole(BLOCK, first) + whole(4 * MIB + 128, second), 2));

    let without = plan(&checkpoint, &tensors[1..], Layout::Split);
    assert_eq!(names(&without), [vec![], vec!["second"], vec!["first"]]);
    assert_eq!(without.shared(), with.shared());
}

/// What would change no phase in a file where it is not shared waits for a file where it is.
#[test]
fn a_tensor_of_whole_blocks_is_not_taken_along() {
    let checkpoint = checkpoint(&[(BLOCK, 2 * MIB), (4 * MIB + 512, 3 * MIB)]);
    let tensors = [("first", 2 * MIB), ("second", 3 * MIB)];
    let tensors: Vec<OutputTensor> = (tensors.iter().enumerate())
        .map(|(i, (name, len))| output(name, TensorExpr::source(i, &[len / 2]), GgmlType::BF16))
        .collect();
    let planned = plan(&checkpoint, &tensors, Layout::Split);
    assert_eq!(names(&planned), [vec![], vec!["second"], vec!["first"]]);
    assert_eq!(planned.shared(), (5 * MIB - BLOCK, 2));
}

/// Three experts of whole blocks, of which two begin 512 bytes into a block: their phase is the one that counts, wherever they are
/// in the stack. Together they gain more than the third, though each alone gains a block less.
#[test]
fn of_the_phases_of_stacked_experts_the_one_that_shares_most_counts() {
    let len = 400 * BLOCK;
    for order in [[0, 512, 512], [512, 0, 512], [512, 512, 0]] {
        let places: Vec<(u64, u64)> =
            (0..).zip(order).map(|(i, phase)| (BLOCK + i * (len + 8 * BLOCK) + phase, len)).collect();
        let checkpoint = checkpoint(&places);
        let experts = (0..3).map(|i| TensorExpr::source(i, &[len / 2])).collect();
        let tensors = [output("experts", TensorExpr::stack(experts).unwrap(), GgmlType::BF16)];
        for layout in [Layout::Single, Layout::Split] {
            let planned = plan(&checkpoint, &tensors, layout);
            assert_eq!(planned.shared(), (2 * (len - BLOCK), 2), "{order:?} {layout:?}");
            assert!(clones(&planned).iter().all(|(source, ..)| source % BLOCK == 0));
        }
    }
}

/// If both gain the same, the lower phase is chosen: nothing else would do the same every time.
#[test]
fn of_equal_phases_the_lower_counts() {
    let len = 40 * BLOCK;
    for order in [[512, 1024], [1024, 512]] {
        let places: Vec<(u64, u64)> =
            (0..).zip(order).map(|(i, phase)| (BLOCK + i * (len + 8 * BLOCK) + phase, len)).collect();
        let checkpoint = checkpoint(&places);
        let experts = (0..2).map(|i| TensorExpr::source(i, &[len / 2])).collect();
        let tensors = [output("experts", TensorExpr::stack(experts).unwrap(), GgmlType::BF16)];
        let planned = plan(&checkpoint, &tensors, Layout::Single);
        assert_eq!(planned.outputs[0].tensors[0].offset % BLOCK, 512, "{order:?}");
    }
}

/// Two tensors that follow each other in source and output, and whose border is in the middle of a block: the block is shared.
#[test]
fn extents_that_meet_inside_a_block_are_one() {
    let half = 40 * BLOCK + BLOCK / 2;
    for gap in [0, BLOCK] {
        let checkpoint = checkpoint(&[(BLOCK, half), (BLOCK + half + gap, half)]);
        let tensors = [0, 1]
            .map(|i| output(["first", "second"][i], TensorExpr::source(i, &[half / 2]), GgmlType::BF16));
        let planned = plan(&checkpoint, &tensors, Layout::Single);
        let start = planned.outputs[0].data_start;
        let expected = match gap {
            0 => vec![(BLOCK, start, 2 * half)],
            // With something between them in the source there are two, and the block is copied.
            _ => vec![(BLOCK, start, 40 * BLOCK), (42 * BLOCK + gap, start + 41 * BLOCK, 40 * BLOCK)],
        };
        assert_eq!(clones(&planned), expected, "{gap}");
    }
}

/// The same inside of one tensor, whose parts were joined.
#[test]
fn parts_that_meet_inside_a_block_are_one() {
    let half = 40 * BLOCK + BLOCK / 2;
    let checkpoint = checkpoint(&[(BLOCK, half), (BLOCK + half, half)]);
    let parts = (0..2).map(|i| TensorExpr::source(i, &[half / 2])).collect();
    let tensors = [output("joined", TensorExpr::concat(parts).unwrap(), GgmlType::BF16)];
    let planned = plan(&checkpoint, &tensors, Layout::Single);
    assert_eq!(clones(&planned), [(BLOCK, planned.outputs[0].data_start, 2 * half)]);
}
