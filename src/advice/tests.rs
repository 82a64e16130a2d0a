//! Checkpoints whose every way can be worked out by hand.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::checkpoint::{Checkpoint, SourceFile, SourceTensor};
use crate::dtype::{Dtype, GgmlType};
use crate::gguf::KeyValues;
use crate::shape::Shape;
use crate::tensor::{OutputTensor, TensorExpr};

const BLOCK: u64 = 4096;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A model in one file of BF16 numbers: what is in it and what becomes of it.
struct Model {
    checkpoint: Checkpoint,
    tensors: Vec<OutputTensor>,
}

impl Model {
    fn new() -> Self {
        let file = SourceFile { path: "source".into(), len: BLOCK, data_start: BLOCK };
        let checkpoint = Checkpoint { files: vec![file], ..Checkpoint::default() };
        Self { checkpoint, tensors: Vec::new() }
    }

    /// A source of `len` bytes that begins at `phase` within a block, not next to the one before.
    fn source(&mut self, phase: u64, len: u64) -> usize {
        let (file, index) = (&mut self.checkpoint.files[0], self.checkpoint.tensors.len());
        let offset = file.len.next_multiple_of(BLOCK) + BLOCK + phase;
        file.len = offset + len;
        let (name, shape) = (format!("source.{index}"), Shape::from_slice(&[len / 2]));
        self.checkpoint.tensors.push(SourceTensor { name, dtype: Dtype::BF16, shape, file: 0, offset, len });
        index
    }

    fn output(&mut self, expr: TensorExpr, ggml_type: GgmlType) {
        let name = format!("tensor.{}", self.tensors.len());
        self.tensors.push(OutputTensor { name, expr, ggml_type });
    }

    /// A tensor that stays as it is.
    fn kept(mut self, phase: u64, len: u64) -> Self {
        let source = self.source(phase, len);
        self.output(TensorExpr::source(source, &[len / 2]), GgmlType::BF16);
        self
    }

    /// One that becomes F32, and twice as long.
    fn converted(mut self, len: u64) -> Self {
        let source = self.source(0, len);
        self.output(TensorExpr::source(source, &[len / 2]), GgmlType::F32);
        self
    }

    /// One put together from `count` parts of 32 KiB, if there are any.
    fn stacked(mut self, phase: u64, count: u64) -> Self {
        if count == 0 {
            return self;
        }
        let parts =
            (0..count).map(|_| TensorExpr::source(self.source(phase, 32 * KIB), &[16 * KIB])).collect();
        self.output(TensorExpr::stack(parts).unwrap(), GgmlType::BF16);
        self
    }

    /// Calls `look` with the request for it, and the plan.
    fn planned<T>(&self, change: impl Fn(&mut Request), look: impl Fn(&Request, &Plan) -> T) -> T {
        let sharing = Sharing { block: BLOCK, min_extent: 64 * KIB, refusals: vec![None] };
        let metadata = KeyValues::new();
        let mut request = Request {
            checkpoint: &self.checkpoint,
            offsets: None,
            metadata: &metadata,
            tensors: &self.tensors,
            path: Path::new("out.gguf"),
            layout: Layout::Single,
            alignment: Alignment::Strict,
            splits: SplitRules::default(),
            sharing: &sharing,
            stamp: &[],
        };
        change(&mut request);
        look(&request, &Plan::new(&request).unwrap())
    }

    fn advice(&self) -> Advice {
        self.planned(|_| {}, |request, plan| Advice::new(request, &plan.outputs).unwrap())
    }

    fn brief(&self) -> Option<Way> {
        self.planned(|_| {}, |request, plan| Advice::brief(request, &plan.outputs).unwrap()).map(|a| a.way)
    }
}

/// Of two matrices at different phases one file can share the larger; `parts` of 32 KiB are at its phase, too.
fn two_phases(parts: u64) -> Model {
    Model::new().kept(0, 2 * MIB).kept(512, 3 * MIB).stacked(512, parts)
}

/// What of the larger matrix is whole blocks.
const LARGER: u64 = 3 * MIB - BLOCK;

#[test]
fn figures_are_those_of_each_way() {
    let model = two_phases(20);
    let advice = model.advice();
    let file = model.checkpoint.files[0].len;
    let total = |change: fn(&mut Request)| model.planned(change, |_, plan| plan.bytes());
    let (single, split) = (total(|_| {}), total(|request| request.layout = Layout::Split));
    assert!(single > 5 * MIB + 20 * 32 * KIB && single < 5 * MIB + 20 * 32 * KIB + 2 * BLOCK);
    let alternative = |way, total, shared, extents, files, rewritten| Alternative {
        way,
        total,
        shared,
        extents,
        files,
        rewritten,
        staying: 0,
    };
    let expected = [
        // Aligned, they follow each other in source and output, parts as well.
        alternative(Way::Align, advice.better[0].total, 5 * MIB + 20 * 32 * KIB, 1, 1, file),
        alternative(Way::Split, split, 2 * MIB + LARGER, 2, 3, 0),
        alternative(Way::SmallExtents, single, LARGER + 20 * 28 * KIB, 21, 1, 0),
    ];
    assert_eq!(advice.better, expected);
    assert_eq!(advice.not_worth, None);
    let extents = |kib: u64, shared, extents| Extents { min_extent: kib * KIB, shared, extents };
    let (with, without) = ((LARGER + 20 * 28 * KIB, 21), (LARGER, 1));
    assert_eq!(
        advice.extents,
        [4, 8, 16]
            .map(|kib| extents(kib, with.0, with.1))
            .into_iter()
            .chain([32, 64].map(|kib| extents(kib, without.0, without.1)))
            .collect::<Vec<_>>()
    );
}

#[test]
fn what_shares_most_comes_first() {
    let ways = |model: Model| model.advice().better.iter().map(|a| a.way).collect::<Vec<_>>();
    assert_eq!(ways(two_phases(20)), [Way::Align, Way::Split, Way::SmallExtents]);
    assert_eq!(ways(two_phases(100)), [Way::Align, Way::SmallExtents, Way::Split]);
}

/// A percent of all bytes is the least that is told of.
#[test]
fn less_than_a_percent_is_not_listed() {
    // 32 KiB can be shared that are too short by default, beside a tensor of which nothing can.
    let listed = |converted: u64| {
        let model = Model::new().kept(0, 64 * KIB).stacked(0, 1).converted(converted);
        model.advice().better.iter().any(|a| a.way == Way::SmallExtents)
    };
    assert!(listed(1500 * KIB), "32 KiB of 3,096");
    assert!(!listed(1600 * KIB), "32 KiB of 3,296");
}

/// Aligning has to gain a tenth of what it rewrites.
#[test]
fn rewriting_for_less_than_a_tenth_is_called_not_worth_it() {
    let model = |kept: u64| Model::new().kept(8, kept).converted(40 * MIB);
    let little = model(2 * MIB).advice();
    assert!(little.better.iter().all(|a| !a.way.aligns()), "{little:?}");
    let not_worth = little.not_worth.expect("it shares more");
    assert_eq!((not_worth.way, not_worth.shared), (Way::Align, 2 * MIB));
    let enough = model(6 * MIB).advice();
    assert_eq!((enough.better[0].way, enough.better[0].shared), (Way::Align, 6 * MIB));
    assert_eq!(enough.not_worth, None);
}

#[test]
fn the_line_after_a_conversion_is_for_more_than_five_percent() {
    // Splitting shares as much as aligning, up to a percent, and asks for less.
    assert_eq!(two_phases(0).brief(), Some(Way::Split));
    assert_eq!(two_phases(100).brief(), Some(Way::Align), "parts are shared when they are aligned");
    assert_eq!(Model::new().kept(0, 2 * MIB).kept(512, 30 * MIB).brief(), Some(Way::Split));
    assert_eq!(Model::new().kept(0, MIB).kept(512, 30 * MIB).brief(), None);
    assert_eq!(Model::new().kept(0, 30 * MIB).brief(), None);
}

#[test]
fn keys_for_machines_are_these() {
    let advice = Advice {
        better: vec![Alternative {
            way: Way::Relaxed,
            total: 7,
            shared: 6,
            extents: 5,
            files: 4,
            rewritten: 3,
            staying: 2,
        }],
        not_worth: Some(Alternative {
            way: Way::AlignSmallExtents,
            total: 17,
            shared: 16,
            extents: 15,
            files: 14,
            rewritten: 13,
            staying: 12,
        }),
        extents: vec![Extents { min_extent: 4096, shared: 8, extents: 9 }],
    };
    let relaxed = "only for llama-quantize and llama-gguf-split --merge, or llama.cpp with --load-mode none; memory-mapped on the \
        CPU it aborts";
    let expected = json!([
        {
            "way": "relaxed", "align": false, "flags": "--layout split --alignment relaxed", "total": 7, "shared": 6,
            "extents": 5, "files": 4, "rewritten": 3, "staying": 2, "worthwhile": true, "caveat": relaxed,
        },
        {
            "way": "align-small-extents", "align": true, "flags": "--min-extent 4K", "total": 17, "shared": 16,
            "extents": 15, "files": 14, "rewritten": 13, "staying": 12, "worthwhile": false,
            "caveat": "rewrites the checkpoint once; short extents fragment the file",
        },
    ]);
    assert_eq!(Value::from(advice.to_json()), expected);
    let extents = json!([{"min_extent": 4096, "shared": 8, "extents": 9}]);
    assert_eq!(Value::from(advice.extents_to_json()), extents);
    let ids = Way::ALL.map(Way::id);
    assert_eq!(ids, ["split", "relaxed", "small-extents", "align", "align-small-extents"]);
}

/// Nobody is told to do what he does already, or what cannot be done together with what he asked for.
#[test]
fn ways_are_those_that_are_left() {
    let model = two_phases(20);
    let applying = |request: &Request, _: &Plan| {
        Way::ALL.into_iter().filter(|way| way.applies(request)).collect::<Vec<_>>()
    };
    let left = |change: fn(&mut Request)| model.planned(change, applying);
    let (extents, aligning) = ([Way::SmallExtents], [Way::Align, Way::AlignSmallExtents]);
    let with = |first: &[Way]| [first, &extents, &aligning].concat();
    assert_eq!(left(|_| {}), Way::ALL);
    assert_eq!(left(|request| request.layout = Layout::Split), with(&[Way::Relaxed]));
    let relaxed = |request: &mut Request| {
        (request.layout, request.alignment) = (Layout::Split, Alignment::Relaxed);
    };
    assert_eq!(left(relaxed), with(&[]));
    for rules in [
        SplitRules { max_tensors: 1, ..SplitRules::default() },
        SplitRules { max_bytes: 1 << 40, ..SplitRules::default() },
        SplitRules { no_tensor_first_split: true, ..SplitRules::default() },
    ] {
        let ruled = model.planned(|request| request.splits = rules, applying);
        assert_eq!(ruled, with(&[]), "{rules:?}");
    }
    for (min_extent, has) in [(4 * KIB, false), (4 * KIB + 1, true)] {
        let sharing = Sharing { block: KIB, min_extent, refusals: vec![None] };
        let of = |way: Way| {
            model.planned(|_| {}, |request, _| way.applies(&Request { sharing: &sharing, ..*request }))
        };
        let short = [of(Way::SmallExtents), of(Way::AlignSmallExtents)];
        assert_eq!((short, of(Way::Align)), ([has; 2], true), "{min_extent}");
    }
    let mut torch = two_phases(20);
    torch.checkpoint.format = Format::Torch;
    let left = torch.planned(|_| {}, |request, _| Way::ALL.map(|way| way.applies(request)));
    assert_eq!(left, [true, true, true, false, false], "only safetensors can be aligned");
}

/// Nothing can be shared.
fn refused() -> Sharing {
    Sharing { block: BLOCK, min_extent: 64 * KIB, refusals: vec![Some("another disk".into())] }
}

/// What would be shared beside the checkpoint is told of one that lies where nothing can be.
#[test]
fn beside_the_checkpoint_more_could_be_shared() {
    let mut model = two_phases(0);
    let refused = refused();
    let outlook = |model: &Model, aligned| {
        model.planned(
            |_| {},
            |request, _| beside(&Request { sharing: &refused, ..*request }, aligned).unwrap(),
        )
    };
    let nothing = model.planned(
        |_| {},
        |request, _| Plan::outlook(&Request { sharing: &refused, ..*request }).unwrap().shared,
    );
    assert_eq!(nothing, (0, 0));
    assert_eq!(outlook(&model, false).shared, (LARGER, 1));
    assert_eq!(outlook(&model, true).shared, (5 * MIB, 1));
    model.checkpoint.format = Format::Torch;
    assert_eq!(outlook(&model, true).shared, (LARGER, 1), "that cannot be aligned");
}

/// Where nothing can be shared, or there is nothing, no way is planned.
#[test]
fn there_is_no_advice_where_there_is_no_hope() {
    let model = two_phases(20);
    let refused = refused();
    let advice = model.planned(
        |_| {},
        |request, plan| Advice::new(&Request { sharing: &refused, ..*request }, &plan.outputs).unwrap(),
    );
    assert!(advice.better.is_empty() && advice.extents.is_empty(), "{advice:?}");
    let advice = Model::new().advice();
    assert!(advice.better.is_empty() && advice.extents.is_empty(), "{advice:?}");
}
